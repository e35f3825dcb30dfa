//! Motion: the grid of differences that the platform counts beside the picture.
//!
//! Does not belong here: zones and thresholds (analytics).
#![allow(unsafe_code, reason = "the grid lies in the library's memory")]

use mpp_abi::common::{MppChn, VdaChnAttr, VdaData, VdaMdAttr};
use mpp_abi::{ErrorCode, value};
use mpp_wire::{Fault, FaultKind, InputPlan, MotionPlan};

use crate::encoder::AT_ONCE;
use crate::library::{Arg, CallError};
use crate::param::{Param, library_bytes};
use crate::platform::Platform;

/// The picture that is looked at: small is enough, and cheap. A block has 16 samples.
pub(crate) const WIDTH: u16 = 352;
/// See [`WIDTH`].
pub(crate) const HEIGHT: u16 = 288;
/// Blocks a side: as `hal::MAX_GRID_SIDE`.
const MAX_SIDE: u32 = 256;
/// Results that are kept until they are fetched.
const BUFFERS: u32 = 8;
/// How much of each picture goes into the background, of 256: it follows daylight, not a person who waits.
const BACKGROUND_WEIGHT: u32 = 128;
/// From which sum on the detector itself speaks of an object; the grid has all sums anyway.
const THRESHOLD: u32 = 100;
const MAX_OBJECTS: u32 = 128;

/// A running detector.
#[derive(Debug)]
pub(crate) struct Motion {
    detector: i32,
    source: MppChn,
    descriptor: i32,
}

/// A grid's size and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    /// Microseconds of the platform's clock.
    pub(crate) pts: u64,
}

impl Motion {
    /// Whether the library has what is needed.
    pub(crate) fn is_there(platform: &Platform) -> bool {
        ["VDA_CreateChn", "VDA_StartRecvPic", "VDA_GetData", "VDA_ReleaseData", "VDA_GetFd"]
            .into_iter()
            .all(|function| platform.library.has(function))
    }

    /// Starts detector number `detector` on `source`'s pictures.
    pub(crate) fn open(
        platform: &Platform,
        detector: i32,
        source: MppChn,
        plan: MotionPlan,
        input: &InputPlan,
    ) -> Result<Self, CallError> {
        let mut motion = Self { detector, source, descriptor: -1 };
        motion.start(platform, plan, input).inspect_err(|_| motion.close(platform))?;
        Ok(motion)
    }

    fn start(&mut self, platform: &Platform, plan: MotionPlan, input: &InputPlan) -> Result<(), CallError> {
        let (library, id) = (&platform.library, self.detector);
        let attr = VdaMdAttr {
            algorithm: value::VDA_BACKGROUND,
            block_size: value::VDA_BLOCK_16,
            sad_bits: value::VDA_SAD_8_BIT,
            buffers: BUFFERS,
            interval: u32::from(input.frame_rate / plan.per_sec.max(1)).max(1) - 1,
            background_weight: BACKGROUND_WEIGHT,
            threshold: THRESHOLD,
            max_objects: MAX_OBJECTS,
            ..VdaMdAttr::default()
        };
        let mut channel = VdaChnAttr::of(value::VDA_MOTION, &attr);
        (channel.width, channel.height) = (WIDTH.into(), HEIGHT.into());
        library.call("VDA_CreateChn", &mut [Arg::Int(id), Arg::Of(&mut Param::new(channel))])?;
        platform.bind(self.source, self.sink())?;
        library.call("VDA_StartRecvPic", &mut [Arg::Int(id)])?;
        self.descriptor = library.descriptor("VDA_GetFd", &mut [Arg::Int(id)])?;
        Ok(())
    }

    pub(crate) fn close(&mut self, platform: &Platform) {
        let (library, id) = (&platform.library, self.detector);
        platform.unbind(self.source, self.sink());
        self.descriptor = -1;
        library.try_call("VDA_StopRecvPic", &mut [Arg::Int(id)]);
        library.try_call("VDA_DestroyChn", &mut [Arg::Int(id)]);
    }

    fn sink(&self) -> MppChn {
        MppChn::new(value::MOD_VDA, 0, self.detector)
    }

    /// Readable while a grid waits.
    pub(crate) fn descriptor(&self) -> i32 {
        self.descriptor
    }

    /// The next grid, its cells put into `into` row by row, 0 to 255; `None` while there is none.
    pub(crate) fn read(&self, platform: &Platform, into: &mut Vec<u8>) -> Result<Option<Grid>, Fault> {
        let library = &platform.library;
        let mut data = Param::new(VdaData::default());
        let detector = || Arg::Int(self.detector);
        match library.call("VDA_GetData", &mut [detector(), Arg::Of(&mut data), Arg::Int(AT_ONCE)]) {
            Err(error) if error.is(ErrorCode::Empty) => return Ok(None),
            taken => taken?,
        }
        let found = data.get::<VdaData>();
        let grid = copy(&found, into);
        library.call("VDA_ReleaseData", &mut [detector(), Arg::Of(&mut data)])?;
        grid
    }
}

fn copy(found: &VdaData, into: &mut Vec<u8>) -> Result<Option<Grid>, Fault> {
    into.clear();
    let (sad, columns, rows) = (found.motion.sad, found.columns, found.rows);
    if found.work_mode != value::VDA_MOTION || found.motion.sad_valid == 0 {
        return Ok(None);
    }
    let sides = 1..=MAX_SIDE;
    let possible = sad.data.0 != 0
        && sad.sad_bits == value::VDA_SAD_8_BIT
        && sides.contains(&columns)
        && sides.contains(&rows)
        && (columns..=4 * MAX_SIDE).contains(&sad.stride);
    if !possible {
        let message = format!("the detector tells of {columns}x{rows} blocks, {} bytes a row", sad.stride);
        return Err(Fault::new(FaultKind::Device, message));
    }
    let bytes = (sad.stride * (rows - 1) + columns) as usize;
    // SAFETY: the library handed the grid out (GetData) and keeps it until ReleaseData, which comes after this.
    let cells = unsafe { library_bytes(sad.data.0, bytes) };
    for row in cells.chunks(sad.stride as usize) {
        into.extend_from_slice(&row[..columns as usize]);
    }
    Ok(Some(Grid { columns: columns as u16, rows: rows as u16, pts: found.pts }))
}
