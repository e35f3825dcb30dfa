//! Which of the library's functions `mpp-host` looks up.
//!
//! All return an `i32`. What they take is in `mpp-host`; it differs by generation for `VENC_GetStream`, `VENC_RequestIDR`,
//! `AENC_GetStream` and `VDA_GetData`, and video output takes a device in G1 where it takes a layer later.

use crate::generation::Generation;

/// In all generations.
const ALL: &[&str] = &[
    "HI_MPI_SYS_Init",
    "HI_MPI_SYS_Exit",
    "HI_MPI_SYS_SetConf",
    "HI_MPI_SYS_Bind",
    "HI_MPI_SYS_UnBind",
    "HI_MPI_SYS_GetVersion",
    "HI_MPI_SYS_GetCurPts",
    "HI_MPI_VB_SetConf",
    "HI_MPI_VB_Init",
    "HI_MPI_VB_Exit",
    "HI_MPI_VI_SetDevAttr",
    "HI_MPI_VI_EnableDev",
    "HI_MPI_VI_DisableDev",
    "HI_MPI_VI_SetChnAttr",
    "HI_MPI_VI_EnableChn",
    "HI_MPI_VI_DisableChn",
    "HI_MPI_VI_SetUserPic",
    "HI_MPI_VI_EnableUserPic",
    "HI_MPI_VI_DisableUserPic",
    "HI_MPI_VPSS_CreateGrp",
    "HI_MPI_VPSS_DestroyGrp",
    "HI_MPI_VPSS_StartGrp",
    "HI_MPI_VPSS_StopGrp",
    "HI_MPI_VPSS_SetChnAttr",
    "HI_MPI_VPSS_SetChnMode",
    "HI_MPI_VPSS_EnableChn",
    "HI_MPI_VPSS_DisableChn",
    "HI_MPI_VENC_CreateChn",
    "HI_MPI_VENC_DestroyChn",
    "HI_MPI_VENC_StartRecvPic",
    "HI_MPI_VENC_StartRecvPicEx",
    "HI_MPI_VENC_StopRecvPic",
    "HI_MPI_VENC_Query",
    "HI_MPI_VENC_SetChnAttr",
    "HI_MPI_VENC_GetChnAttr",
    "HI_MPI_VENC_GetStream",
    "HI_MPI_VENC_ReleaseStream",
    "HI_MPI_VENC_RequestIDR",
    "HI_MPI_VENC_GetFd",
    "HI_MPI_RGN_Create",
    "HI_MPI_RGN_Destroy",
    "HI_MPI_RGN_SetBitMap",
    "HI_MPI_RGN_AttachToChn",
    "HI_MPI_RGN_SetDisplayAttr",
    "HI_MPI_AI_SetPubAttr",
    "HI_MPI_AI_Enable",
    "HI_MPI_AI_Disable",
    "HI_MPI_AI_EnableChn",
    "HI_MPI_AI_DisableChn",
    "HI_MPI_AENC_CreateChn",
    "HI_MPI_AENC_DestroyChn",
    "HI_MPI_AENC_GetStream",
    "HI_MPI_AENC_ReleaseStream",
    "HI_MPI_AENC_GetFd",
    "HI_MPI_VDA_CreateChn",
    "HI_MPI_VDA_DestroyChn",
    "HI_MPI_VDA_StartRecvPic",
    "HI_MPI_VDA_StopRecvPic",
    "HI_MPI_VDA_GetData",
    "HI_MPI_VDA_ReleaseData",
    "HI_MPI_VDA_GetFd",
    "HI_MPI_VO_SetPubAttr",
    "HI_MPI_VO_Enable",
    "HI_MPI_VO_Disable",
    "HI_MPI_VO_SetVideoLayerAttr",
    "HI_MPI_VO_EnableVideoLayer",
    "HI_MPI_VO_DisableVideoLayer",
    "HI_MPI_VO_SetChnAttr",
    "HI_MPI_VO_EnableChn",
    "HI_MPI_VO_DisableChn",
];

/// In G1 alone.
const GROUPS: &[&str] = &[
    "HI_MPI_VENC_CreateGroup",
    "HI_MPI_VENC_DestroyGroup",
    "HI_MPI_VENC_RegisterChn",
    "HI_MPI_VENC_UnRegisterChn",
    "HI_MPI_VENC_RequestIDRInst",
    // The header spells it so; from G2 on it is `DetachFromChn`.
    "HI_MPI_RGN_DetachFrmChn",
];

/// In G2 and G3.
const LATER: &[&str] = &["HI_MPI_RGN_DetachFromChn", "HI_MPI_VENC_CloseFd"];

/// The symbols that a library of that generation has to have.
pub fn functions(generation: Generation) -> impl Iterator<Item = &'static str> {
    let own = match generation {
        Generation::G1 => GROUPS,
        Generation::G2 | Generation::G3 => LATER,
    };
    ALL.iter().chain(own).copied()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn none_is_named_twice_and_groups_are_of_g1_alone() {
        for generation in Generation::ALL {
            let names: BTreeSet<_> = functions(generation).collect();
            assert_eq!(names.len(), functions(generation).count());
            assert!(names.iter().all(|name| name.starts_with("HI_MPI_")));
            assert_eq!(names.contains("HI_MPI_VENC_CreateGroup"), generation == Generation::G1);
            assert_eq!(names.contains("HI_MPI_RGN_DetachFromChn"), generation != Generation::G1);
        }
    }
}
