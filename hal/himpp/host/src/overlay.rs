//! Regions: bitmaps on an encoder's picture or the monitor, and covers.
//!
//! A region is made, attached, and for a bitmap filled; a bitmap of the same size in the same place is only filled anew.
//! Positions and sizes are even: odd ones are refused by some chips and shift colours on others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use mpp_abi::common::{Bitmap as BitmapParam, MppChn};
use mpp_abi::value;
use mpp_wire::{BitmapPlan, Fault, FaultKind, MAX_BITMAP_BYTES, Rect};

use crate::library::{Arg, CallError};
use crate::param::Param;
use crate::platform::Platform;

/// A region that is there.
#[derive(Debug)]
pub(crate) struct Region {
    handle: i32,
    target: MppChn,
    place: Rect,
    /// What a bitmap shows, as a hash: the same again is not uploaded again.
    shown: u64,
    /// When the library had taken it; the platform's own clock jumps.
    uploaded: Option<Instant>,
    /// What came too soon after that.
    late: Option<BitmapPlan>,
}

/// Between two uploads of a bitmap: the first generation takes all of it each time, and no more often.
const BETWEEN_UPLOADS: Duration = Duration::from_secs(1);

impl Region {
    /// A cover: nothing below it is seen from here on.
    pub(crate) fn cover(
        platform: &Platform,
        handle: i32,
        target: MppChn,
        place: Rect,
        layer: u32,
    ) -> Result<Self, Fault> {
        check_even(place)?;
        let shapes = &platform.shapes;
        Self::make(platform, handle, target, place, shapes.cover_region(), shapes.cover_place(place, layer))
    }

    /// A bitmap, on an encoder's picture or (`external`) on the monitor.
    pub(crate) fn bitmap(
        platform: &Platform,
        handle: i32,
        target: MppChn,
        plan: &BitmapPlan,
        layer: u32,
        external: bool,
    ) -> Result<Self, Fault> {
        check_bitmap(plan)?;
        let (shapes, place) = (&platform.shapes, plan.place);
        let (region, placed) =
            (shapes.bitmap_region(place, external), shapes.bitmap_place(place, layer, external));
        let mut region = Self::make(platform, handle, target, place, region, placed)?;
        match region.fill(platform, plan) {
            Ok(()) => Ok(region),
            Err(error) => {
                region.remove(platform);
                Err(error)
            }
        }
    }

    fn make(
        platform: &Platform,
        handle: i32,
        target: MppChn,
        place: Rect,
        mut region: Param,
        mut placed: Param,
    ) -> Result<Self, Fault> {
        let library = &platform.library;
        library.call("RGN_Create", &mut [Arg::Int(handle), Arg::Of(&mut region)])?;
        let made = Self { handle, target, place, shown: 0, uploaded: None, late: None };
        let mut at = Param::new(target);
        library
            .call("RGN_AttachToChn", &mut [Arg::Int(handle), Arg::Of(&mut at), Arg::Also(&mut placed)])
            .inspect_err(|_| made.remove(platform))?;
        Ok(made)
    }

    pub(crate) fn place(&self) -> Rect {
        self.place
    }

    /// Moves a cover.
    pub(crate) fn move_cover(&mut self, platform: &Platform, place: Rect, layer: u32) -> Result<(), Fault> {
        if place == self.place {
            return Ok(());
        }
        check_even(place)?;
        let (mut target, mut placed) = (Param::new(self.target), platform.shapes.cover_place(place, layer));
        platform.library.call(
            "RGN_SetDisplayAttr",
            &mut [Arg::Int(self.handle), Arg::Of(&mut target), Arg::Also(&mut placed)],
        )?;
        self.place = place;
        Ok(())
    }

    /// Whether a bitmap can be filled in without making the region anew.
    pub(crate) fn fits(&self, plan: &BitmapPlan) -> bool {
        self.place == plan.place
    }

    /// Fills a bitmap in, unless it shows the same already. What comes within a second of the last one waits for
    /// [`Region::fill_late`].
    #[allow(
        clippy::disallowed_methods,
        reason = "this program lies below the HAL, and the platform's clock jumps"
    )]
    pub(crate) fn fill(&mut self, platform: &Platform, plan: &BitmapPlan) -> Result<(), Fault> {
        check_bitmap(plan)?;
        let mut hasher = DefaultHasher::new();
        plan.argb1555.hash(&mut hasher);
        let wanted = hasher.finish();
        self.late = None;
        if wanted == self.shown {
            return Ok(());
        }
        if self.uploaded.is_some_and(|uploaded| uploaded.elapsed() < BETWEEN_UPLOADS) {
            self.late = Some(plan.clone());
            return Ok(());
        }
        let mut pixels = Param::array(&plan.argb1555);
        let mut bitmap = Param::new(BitmapParam {
            pixel_format: value::ARGB1555,
            width: plan.place.width.into(),
            height: plan.place.height.into(),
            data: pixels.address32(),
        });
        let filled: Result<(), CallError> =
            platform.library.call("RGN_SetBitMap", &mut [Arg::Int(self.handle), Arg::Of(&mut bitmap)]);
        filled?;
        // Only now: a call that was held up on its way has reached the library later than it was made.
        (self.shown, self.uploaded) = (wanted, Some(Instant::now()));
        Ok(())
    }

    /// Fills in what came too soon, once its time has come.
    pub(crate) fn fill_late(&mut self, platform: &Platform) -> Result<(), Fault> {
        self.late.take().map_or(Ok(()), |plan| self.fill(platform, &plan))
    }

    pub(crate) fn remove(&self, platform: &Platform) {
        let library = &platform.library;
        // The first generation spells it otherwise.
        let detach = if library.has("RGN_DetachFromChn") { "RGN_DetachFromChn" } else { "RGN_DetachFrmChn" };
        let mut target = Param::new(self.target);
        library.try_call(detach, &mut [Arg::Int(self.handle), Arg::Of(&mut target)]);
        library.try_call("RGN_Destroy", &mut [Arg::Int(self.handle)]);
    }
}

fn check_bitmap(plan: &BitmapPlan) -> Result<(), Fault> {
    check_even(plan.place)?;
    let samples = usize::from(plan.place.width) * usize::from(plan.place.height);
    if samples == plan.argb1555.len() && samples * size_of::<u16>() <= MAX_BITMAP_BYTES {
        return Ok(());
    }
    let message = format!("a bitmap of {:?} with {} samples", plan.place, plan.argb1555.len());
    Err(Fault::new(FaultKind::Unsupported, message))
}

fn check_even(place: Rect) -> Result<(), Fault> {
    let Rect { x, y, width, height } = place;
    if width > 0 && height > 0 && [x, y, width, height].iter().all(|n| n.is_multiple_of(2)) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Unsupported, format!("a region of odd place or size: {place:?}")))
}
