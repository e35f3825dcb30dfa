//! One encoder: made, bound to its source, read, taken down.
//!
//! Video streams and snapshots are alike here. Invariant: what `GetStream` handed out is released before anything else
//! happens to the encoder, on every path: an encoder with an unreleased picture stalls.
#![allow(unsafe_code, reason = "coded pictures lie in the library's memory")]

use mpp_abi::ErrorCode;
use mpp_abi::common::MppChn;
use mpp_wire::{Codec, Fault, FaultKind, MAX_PACK_BYTES};

use crate::library::{Arg, CallError};
use crate::param::{Param, library_bytes};
use crate::platform::Platform;
use crate::shapes::Picture;

/// More packs than a picture has: parameter sets, messages, and a slice for each macroblock row of the largest.
const MAX_PACKS: u32 = 192;
/// The last argument of `GetStream` and kin: "do not block" in the first generation, "0 ms" later.
pub(crate) const AT_ONCE: i32 = 0;

/// A running encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    id: i32,
    source: MppChn,
    codec: Option<Codec>,
    descriptor: i32,
    /// Room for packs, kept from picture to picture.
    packs: (u32, Param),
}

impl Encoder {
    /// Makes encoder `id`, lets it take pictures from `source`.
    ///
    /// # Errors
    /// What the library says; nothing is left of it then.
    pub(crate) fn open(
        platform: &Platform,
        id: i32,
        codec: Option<Codec>,
        source: MppChn,
        attr: &mut Param,
    ) -> Result<Self, CallError> {
        let mut encoder = Self { id, source, codec, descriptor: -1, packs: (0, platform.shapes.packs(0)) };
        encoder.start(platform, attr).inspect_err(|_| encoder.close(platform))?;
        Ok(encoder)
    }

    fn start(&mut self, platform: &Platform, attr: &mut Param) -> Result<(), CallError> {
        let (library, id) = (&platform.library, self.id);
        if platform.shapes.has_encoder_groups() {
            library.call("VENC_CreateGroup", &mut [Arg::Int(id)])?;
        }
        library.call("VENC_CreateChn", &mut [Arg::Int(id), Arg::Of(attr)])?;
        if platform.shapes.has_encoder_groups() {
            library.call("VENC_RegisterChn", &mut [Arg::Int(id), Arg::Int(id)])?;
        }
        platform.bind(self.source, platform.shapes.encoder_sink(id))?;
        library.call("VENC_StartRecvPic", &mut [Arg::Int(id)])?;
        self.descriptor = library.descriptor("VENC_GetFd", &mut [Arg::Int(id)])?;
        Ok(())
    }

    /// Takes it down, whatever of it is there.
    pub(crate) fn close(&mut self, platform: &Platform) {
        let (library, id) = (&platform.library, self.id);
        platform.unbind(self.source, platform.shapes.encoder_sink(id));
        library.try_call("VENC_StopRecvPic", &mut [Arg::Int(id)]);
        // The descriptor is the library's: it is told, where it can be, and closes it itself.
        if self.descriptor >= 0 && library.has("VENC_CloseFd") {
            library.try_call("VENC_CloseFd", &mut [Arg::Int(id)]);
        }
        self.descriptor = -1;
        if platform.shapes.has_encoder_groups() {
            library.try_call("VENC_UnRegisterChn", &mut [Arg::Int(id)]);
        }
        library.try_call("VENC_DestroyChn", &mut [Arg::Int(id)]);
        if platform.shapes.has_encoder_groups() {
            library.try_call("VENC_DestroyGroup", &mut [Arg::Int(id)]);
        }
    }

    /// Readable while a picture waits.
    pub(crate) fn descriptor(&self) -> i32 {
        self.descriptor
    }

    /// Where regions on this encoder's picture alone are attached.
    pub(crate) fn region_target(&self, platform: &Platform) -> MppChn {
        platform.shapes.encoder_sink(self.id)
    }

    /// Changes rates while it runs.
    pub(crate) fn set(&self, platform: &Platform, attr: &mut Param) -> Result<(), CallError> {
        platform.library.call("VENC_SetChnAttr", &mut [Arg::Int(self.id), Arg::Of(attr)])
    }

    /// Makes the next picture a keyframe.
    pub(crate) fn request_keyframe(&self, platform: &Platform) -> Result<(), CallError> {
        let id = Arg::Int(self.id);
        if platform.shapes.has_encoder_groups() {
            // Two functions here; this one does not wait for the GOP's order.
            platform.library.call("VENC_RequestIDRInst", &mut [id])
        } else {
            platform.library.call("VENC_RequestIDR", &mut [id, Arg::Int(1)])
        }
    }

    /// The next picture, its bytes put behind one another into `into`; `None` while there is none.
    ///
    /// # Errors
    /// What the library says, or that what it says cannot be.
    pub(crate) fn read(&mut self, platform: &Platform, into: &mut Vec<u8>) -> Result<Option<Picture>, Fault> {
        let (library, shapes, id) = (&platform.library, &platform.shapes, self.id);
        let mut status = shapes.status();
        library.call("VENC_Query", &mut [Arg::Int(id), Arg::Of(&mut status)])?;
        let waiting = shapes.waiting_packs(&status);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > MAX_PACKS {
            return Err(impossible(id, &format!("a picture of {waiting} packs")));
        }
        if self.packs.0 < waiting {
            self.packs = (waiting, shapes.packs(waiting as usize));
        }
        let (room, packs) = (self.packs.0, &mut self.packs.1);
        let mut stream = shapes.stream(packs.address32(), room);
        let taken =
            library.call("VENC_GetStream", &mut [Arg::Int(id), Arg::Of(&mut stream), Arg::Int(AT_ONCE)]);
        match taken {
            Err(error) if error.is(ErrorCode::Empty) => return Ok(None),
            taken => taken?,
        }
        let picture = shapes.picture(self.codec, &stream, packs, room);
        let copied = if packs.is_whole() {
            copy(&picture, into).map_err(|what| impossible(id, what))
        } else {
            Err(impossible(id, "packs larger than ours"))
        };
        // Before anything can go wrong with what was read.
        library.call("VENC_ReleaseStream", &mut [Arg::Int(id), Arg::Of(&mut stream)])?;
        copied.map(|()| Some(picture))
    }
}

fn copy(picture: &Picture, into: &mut Vec<u8>) -> Result<(), &'static str> {
    into.clear();
    for piece in &picture.pieces {
        let bytes = piece.bytes as usize;
        if piece.address == 0 || into.len() + bytes > MAX_PACK_BYTES {
            return Err("a picture without an address or of a size that cannot be");
        }
        // SAFETY: the library handed this pack out (GetStream) and keeps it until ReleaseStream, which comes after this.
        into.extend_from_slice(unsafe { library_bytes(piece.address, bytes) });
    }
    if into.is_empty() { Err("a picture without bytes") } else { Ok(()) }
}

fn impossible(id: i32, what: &str) -> Fault {
    Fault::new(
        FaultKind::Device,
        format!("encoder {id} delivers {what}: the library's layout is another one"),
    )
}
