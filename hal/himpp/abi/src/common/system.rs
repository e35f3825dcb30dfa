//! Channels, memory, version: what every module needs.
//!
//! Public headers: `hi_common.h`, `hi_comm_vb.h`, `hi_comm_sys.h`, `hi_comm_venc.h`.

use crate::layout::layout;

layout! {
    /// One end of a binding: a module, a device of it, a channel of that.
    pub struct MppChn = "hiMPP_CHN_S", 12 {
        /// Module number: it differs by generation ([`Codes`](crate::Codes)).
        0 module: i32 = "enModId",
        /// Device or group number, 0 up.
        4 device: i32 = "s32DevId",
        /// Channel number, 0 up.
        8 channel: i32 = "s32ChnId",
    }
}

layout! {
    /// One pool of picture buffers.
    pub struct VbPool = "hiVB_CPOOL_S", 24 {
        /// Bytes of one block.
        0 block_size: u32 = "u32BlkSize",
        /// How many blocks.
        4 blocks: u32 = "u32BlkCnt",
        /// Which memory zone, ended by zero; empty is the unnamed zone.
        8 name: [u8; 16] = "acMmzName",
    }
}

layout! {
    /// The pools of picture buffers that modules share.
    pub struct VbConf = "hiVB_CONF_S", 388 {
        /// How many pools there may be, those that modules make themselves included: 1 to 256.
        0 max_pools: u32 = "u32MaxPoolCnt",
        /// Shared pools; a pool without blocks is none.
        4 pools: [VbPool; 16] = "astCommPool",
    }
}

layout! {
    /// Settings of the platform as a whole.
    pub struct MppSysConf = "hiMPP_SYS_CONF_S", 4 {
        /// Bytes to which a picture's stride is rounded up: 16 to 1024, a multiple of 16.
        0 align_width: u32 = "u32AlignWidth",
    }
}

layout! {
    /// What the library calls itself; [`recognise`](crate::recognise) knows what follows from it.
    pub struct MppVersion = "hiMPP_VERSION_S", 64 {
        /// Text, ended by zero.
        0 text: [u8; 64] = "aVersion",
    }
}

layout! {
    /// How many pictures an encoder takes before it stops by itself.
    pub struct VencRecvPicParam = "hiVENC_RECV_PIC_PARAM_S", 4 {
        /// Pictures: 1 up, -1 is without end.
        0 pictures: i32 = "s32RecvPicNum",
    }
}

impl MppVersion {
    /// The text up to its zero; what is no UTF-8 ends it too.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.text.iter().position(|byte| *byte == 0).unwrap_or(self.text.len());
        let text = &self.text[..end];
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// With that text, cut at 63 bytes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut version = Self::default();
        let length = text.len().min(version.text.len() - 1);
        version.text[..length].copy_from_slice(&text.as_bytes()[..length]);
        version
    }
}

impl MppChn {
    /// That channel of that device of that module.
    #[must_use]
    pub const fn new(module: i32, device: i32, channel: i32) -> Self {
        Self { module, device, channel }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_at_its_zero_or_at_its_end() {
        assert_eq!(MppVersion::new("Hi3521A_MPP_V1.0.5.0").as_str(), "Hi3521A_MPP_V1.0.5.0");
        assert_eq!(MppVersion { text: [b'x'; 64] }.as_str().len(), 64);
        assert_eq!(MppVersion { text: [0xff; 64] }.as_str(), "");
    }
}
