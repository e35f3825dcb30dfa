//! `SYS` and `VB`.

use mpp_abi::common::{MppChn, MppSysConf, MppVersion, VbConf};

use super::exports;
use super::pointer::{Filled, Given};
use crate::binding::end;
use crate::refusal::Module;
use crate::system::Pool;

exports! {
    HI_MPI_VB_SetConf(conf: Given<VbConf>) of Vb always => |library| {
        let conf = conf.get(Module::Vb)?;
        let pools = conf.pools.map(|pool| Pool { block_bytes: pool.block_size, blocks: pool.blocks });
        library.platform.system.set_pools(conf.max_pools, &pools)?;
        Ok(0)
    };
    HI_MPI_VB_Init() of Vb always => |library| {
        library.platform.system.init_buffers()?;
        Ok(0)
    };
    HI_MPI_VB_Exit() of Vb always => |library| {
        library.platform.system.exit_buffers()?;
        Ok(0)
    };
    HI_MPI_SYS_SetConf(conf: Given<MppSysConf>) of Sys always => |library| {
        let align = conf.get(Module::Sys)?.align_width;
        library.platform.system.set_align(align)?;
        Ok(0)
    };
    HI_MPI_SYS_Init() of Sys always => |library| {
        library.platform.system.init()?;
        Ok(0)
    };
    HI_MPI_SYS_Exit() of Sys always => |library| {
        library.exit();
        Ok(0)
    };
    HI_MPI_SYS_GetVersion(version: Filled<MppVersion>) of Sys always => |library| {
        version.put(Module::Sys, MppVersion::new(&library.version))?;
        Ok(0)
    };
    HI_MPI_SYS_GetCurPts(pts: Filled<u64>) of Sys => |library| {
        pts.put(Module::Sys, library.platform.pts_at(library.platform.now))?;
        Ok(0)
    };
    HI_MPI_SYS_Bind(from: Given<MppChn>, to: Given<MppChn>) of Sys => |library| {
        let (from, to) = (end(&from.get(Module::Sys)?), end(&to.get(Module::Sys)?));
        let codes = library.platform.codes;
        library.platform.bindings.bind(codes, from, to)?;
        library.platform.changes += 1;
        Ok(0)
    };
    HI_MPI_SYS_UnBind(from: Given<MppChn>, to: Given<MppChn>) of Sys => |library| {
        let (from, to) = (end(&from.get(Module::Sys)?), end(&to.get(Module::Sys)?));
        library.platform.bindings.unbind(from, to)?;
        Ok(0)
    };
}
