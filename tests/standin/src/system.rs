//! `SYS` and `VB`: how the platform comes up, and pools of picture buffers.

use mpp_abi::ErrorCode;

use crate::refusal::{Module, Outcome};

/// Blocks that an input needs at least: one that is filled, one that is read, one between.
const BLOCKS_PER_INPUT: u32 = 3;

/// One pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Bytes of a block.
    pub(crate) block_bytes: u32,
    /// Blocks.
    pub(crate) blocks: u32,
}

/// How far the platform is up.
#[derive(Debug, Default)]
pub(crate) struct System {
    pools: Option<Vec<Pool>>,
    buffers: bool,
    align: Option<u32>,
    up: bool,
}

impl System {
    /// As a process that crashed has left it: the vendor's modules keep their state.
    pub(crate) fn stale() -> Self {
        Self { pools: Some(Vec::new()), buffers: true, align: Some(16), up: true }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    /// `VB_SetConf`.
    pub(crate) fn set_pools(&mut self, max_pools: u32, pools: &[Pool]) -> Outcome {
        let used: Vec<Pool> = pools.iter().copied().filter(|pool| pool.blocks > 0).collect();
        Module::Vb.permit(!self.buffers, "VB_SetConf after VB_Init")?;
        Module::Vb.require((1..=256).contains(&max_pools), format_args!("{max_pools} pools; 1 to 256"))?;
        Module::Vb.require(used.len() as u32 <= max_pools, "more pools than the most that there may be")?;
        Module::Vb.require(used.iter().all(|pool| pool.block_bytes > 0), "a pool of blocks without bytes")?;
        self.pools = Some(used);
        Ok(())
    }

    /// `VB_Init`.
    pub(crate) fn init_buffers(&mut self) -> Outcome {
        if self.pools.is_none() {
            return Module::Vb.refuse(ErrorCode::NotConfigured, "VB_Init before VB_SetConf");
        }
        self.buffers = true;
        Ok(())
    }

    /// `VB_Exit`; of what is not there it is none.
    pub(crate) fn exit_buffers(&mut self) -> Outcome {
        if self.up {
            return Module::Vb.refuse(ErrorCode::Busy, "VB_Exit before SYS_Exit");
        }
        (self.buffers, self.pools) = (false, None);
        Ok(())
    }

    /// `SYS_SetConf`.
    pub(crate) fn set_align(&mut self, align: u32) -> Outcome {
        Module::Sys.permit(!self.up, "SYS_SetConf after SYS_Init")?;
        let fits = (16..=1024).contains(&align) && align.is_multiple_of(16);
        Module::Sys.require(fits, format_args!("a stride of multiples of {align}"))?;
        self.align = Some(align);
        Ok(())
    }

    /// `SYS_Init`.
    pub(crate) fn init(&mut self) -> Outcome {
        if self.align.is_none() {
            return Module::Sys.refuse(ErrorCode::NotConfigured, "SYS_Init before SYS_SetConf");
        }
        if !self.buffers {
            return Module::Sys.refuse(ErrorCode::NotReady, "SYS_Init before VB_Init");
        }
        self.up = true;
        Ok(())
    }

    /// `SYS_Exit`.
    pub(crate) fn exit(&mut self) {
        (self.up, self.align) = (false, None);
    }

    /// Whether pictures of that size find blocks when that many inputs make them.
    pub(crate) fn check_blocks(
        &self,
        module: Module,
        width: u32,
        height: u32,
        semiplanar_422: bool,
        inputs: u32,
    ) -> Outcome {
        let stride = width.next_multiple_of(self.align.unwrap_or(16));
        let bytes = if semiplanar_422 { stride * height * 2 } else { stride * height * 3 / 2 };
        let blocks: u32 = self
            .pools
            .iter()
            .flatten()
            .filter(|pool| pool.block_bytes >= bytes)
            .map(|pool| pool.blocks)
            .fold(0, u32::saturating_add);
        let needed = inputs * BLOCKS_PER_INPUT;
        if blocks < needed {
            return module.refuse(
                ErrorCode::NoBuffer,
                format_args!(
                    "{blocks} blocks of at least {bytes} bytes for {width}x{height}; {needed} are needed"
                ),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Pool = Pool { block_bytes: 1920 * 1088 * 3 / 2, blocks: 6 };

    fn code(outcome: Outcome) -> Option<ErrorCode> {
        outcome.err().map(|refusal| refusal.code)
    }

    fn up() -> System {
        let mut system = System::default();
        system.set_pools(64, &[POOL]).unwrap();
        system.init_buffers().unwrap();
        system.set_align(16).unwrap();
        system.init().unwrap();
        system
    }

    #[test]
    fn the_platform_comes_up_in_its_order_alone() {
        let mut system = System::default();
        assert_eq!(code(system.init_buffers()), Some(ErrorCode::NotConfigured));
        assert_eq!(code(system.init()), Some(ErrorCode::NotConfigured));
        system.set_align(16).unwrap();
        assert_eq!(code(system.init()), Some(ErrorCode::NotReady));
        system.set_pools(64, &[POOL]).unwrap();
        system.init_buffers().unwrap();
        assert_eq!(code(system.set_pools(64, &[POOL])), Some(ErrorCode::NotPermitted));
        system.init().unwrap();
        assert!(system.is_up());
        assert_eq!(code(system.exit_buffers()), Some(ErrorCode::Busy));
        system.exit();
        system.exit_buffers().unwrap();
        assert_eq!(code(system.init_buffers()), Some(ErrorCode::NotConfigured));
    }

    #[test]
    fn what_a_crash_has_left_must_be_cleared_first() {
        let mut system = System::stale();
        assert_eq!(code(system.set_pools(64, &[POOL])), Some(ErrorCode::NotPermitted));
        assert_eq!(code(system.set_align(16)), Some(ErrorCode::NotPermitted));
        system.exit();
        system.exit_buffers().unwrap();
        system.set_pools(64, &[POOL]).unwrap();
    }

    #[test]
    fn odd_settings_are_refused() {
        let mut system = System::default();
        assert_eq!(code(system.set_align(20)), Some(ErrorCode::BadParameter));
        assert_eq!(code(system.set_pools(0, &[])), Some(ErrorCode::BadParameter));
        assert_eq!(code(system.set_pools(1, &[POOL, POOL])), Some(ErrorCode::BadParameter));
    }

    #[test]
    fn blocks_must_hold_the_picture_and_suffice() {
        let system = up();
        assert_eq!(system.check_blocks(Module::Vi, 1920, 1080, false, 2), Ok(()));
        for (width, height, wide_chroma, inputs) in
            [(1920, 1080, false, 3), (1920, 1080, true, 1), (2048, 1080, false, 1)]
        {
            let outcome = system.check_blocks(Module::Vi, width, height, wide_chroma, inputs);
            assert_eq!(code(outcome), Some(ErrorCode::NoBuffer), "{width}x{height}");
        }
    }
}
