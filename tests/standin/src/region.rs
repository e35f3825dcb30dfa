//! `RGN`: bitmaps over pictures, and covers that hide a part of them.
//!
//! Overlays belong to an encoder (in G1 to its group). Covers belong to an input or to a group of the processing, so that
//! all that is made of the picture has them; G1 takes them on an encoder's group too.

use std::collections::BTreeMap;

use hal_sim::{Overlay, Paint, colour_from_rgb};
use mpp_abi::{Codes, ErrorCode, Generation, value};

use crate::binding::End;
use crate::limits::{COVERS, OVERLAYS, REGIONS};
use crate::refusal::{Module, Outcome};

/// From this alpha on, of 128, a pixel is seen.
const SEEN: u32 = 64;
/// The alpha bit of ARGB1555.
const OPAQUE: u16 = 0x8000;
/// G1 is given a whole bitmap each time; more often than that, microseconds, its bus suffers.
const MIN_BITMAP_INTERVAL: u64 = 1_000_000;

/// What a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bitmap of that format, background and size, on a picture or on a screen.
    Overlay { format: i32, background: u32, width: u32, height: u32, on_screen: bool },
    /// A rectangle.
    Cover,
}

/// A region on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) show: bool,
    pub(crate) layer: u32,
    pub(crate) what: What,
}

/// What of it depends on the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A bitmap's place and transparency.
    Overlay { x: i32, y: i32, foreground: u32, background: u32 },
    /// A rectangle and its colour; red, green, blue from the upper byte down.
    Cover { x: i32, y: i32, width: u32, height: u32, colour: u32 },
    /// A shape that is no rectangle.
    Other,
}

#[derive(Debug)]
struct Bitmap {
    width: u32,
    height: u32,
    pixels: Vec<u16>,
}

#[derive(Debug)]
struct Region {
    kind: Kind,
    bitmap: Option<Bitmap>,
    set_at: Option<u64>,
    attached: BTreeMap<End, Shown>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Regions {
    generation: Generation,
    regions: BTreeMap<u32, Region>,
    /// Counts changes.
    pub(crate) changes: u64,
}

impl Regions {
    pub(crate) fn new(generation: Generation) -> Self {
        Self { generation, regions: BTreeMap::new(), changes: 0 }
    }

    /// `RGN_Create`.
    pub(crate) fn create(&mut self, handle: u32, kind: Kind) -> Outcome {
        Module::Rgn.require(handle < REGIONS, format_args!("handle {handle}"))?;
        if self.regions.contains_key(&handle) {
            return Module::Rgn.refuse(ErrorCode::Exists, format_args!("region {handle}"));
        }
        if let Kind::Overlay { format, width, height, .. } = kind {
            if format != value::ARGB1555 {
                return Module::Rgn.refuse(
                    ErrorCode::Unsupported,
                    format_args!("the stand-in knows no bitmaps of format {format}"),
                );
            }
            let fits = [width, height].iter().all(|side| side % 2 == 0 && (4..=4096).contains(side));
            Module::Rgn.require(fits, format_args!("a bitmap of {width}x{height}"))?;
        }
        let region = Region { kind, bitmap: None, set_at: None, attached: BTreeMap::new() };
        self.regions.insert(handle, region);
        Ok(())
    }

    /// `RGN_Destroy`.
    pub(crate) fn destroy(&mut self, handle: u32) -> Outcome {
        let attached = !self.region(handle)?.attached.is_empty();
        Module::Rgn.permit(!attached, "RGN_Destroy of a region that is attached")?;
        self.regions.remove(&handle);
        Ok(())
    }

    /// Whether a bitmap may be set; what is wrong with it and taken nevertheless is returned.
    pub(crate) fn check_bitmap(
        &mut self,
        handle: u32,
        format: i32,
        (width, height): (u32, u32),
        now: u64,
    ) -> Outcome<Option<&'static str>> {
        let generation = self.generation;
        let region = self.region(handle)?;
        let Kind::Overlay { format: own, width: widest, height: highest, on_screen, .. } = region.kind else {
            return Module::Rgn.refuse(ErrorCode::Unsupported, "RGN_SetBitMap of a cover");
        };
        Module::Rgn.require(format == own, format_args!("a bitmap of format {format} for one of {own}"))?;
        let even = width % 2 == 0 && height % 2 == 0 && width > 0 && height > 0;
        let fits = even && width <= widest && height <= highest;
        Module::Rgn.require(fits, format_args!("{width}x{height} in {widest}x{highest}"))?;
        let soon = region.set_at.is_some_and(|before| now.saturating_sub(before) < MIN_BITMAP_INTERVAL);
        region.set_at = Some(now);
        let breach = generation == Generation::G1 && soon && !on_screen;
        Ok(breach.then_some("more than one bitmap a second"))
    }

    /// `RGN_SetBitMap`, once it was checked.
    pub(crate) fn set_bitmap(&mut self, handle: u32, width: u32, height: u32, pixels: Vec<u16>) -> Outcome {
        self.region(handle)?.bitmap = Some(Bitmap { width, height, pixels });
        self.changes += 1;
        Ok(())
    }

    /// `RGN_AttachToChn`.
    pub(crate) fn attach(&mut self, codes: &Codes, handle: u32, to: End, shown: Shown) -> Outcome {
        self.check_shown(codes, handle, to, &shown)?;
        let overlay = matches!(self.region(handle)?.kind, Kind::Overlay { .. });
        if self.region(handle)?.attached.contains_key(&to) {
            return Module::Rgn.refuse(ErrorCode::Exists, format_args!("region {handle} on {to:?}"));
        }
        let same = |region: &&Region| {
            region.attached.contains_key(&to) && matches!(region.kind, Kind::Overlay { .. }) == overlay
        };
        let (there, most) =
            (self.regions.values().filter(same).count(), if overlay { OVERLAYS } else { COVERS });
        if there >= most {
            return Module::Rgn.refuse(ErrorCode::NotPermitted, format_args!("more than {most} on {to:?}"));
        }
        self.region(handle)?.attached.insert(to, shown);
        self.changes += 1;
        Ok(())
    }

    /// `RGN_SetDisplayAttr`.
    pub(crate) fn set_shown(&mut self, codes: &Codes, handle: u32, on: End, shown: Shown) -> Outcome {
        self.check_shown(codes, handle, on, &shown)?;
        match self.region(handle)?.attached.get_mut(&on) {
            Some(before) => *before = shown,
            None => {
                return Module::Rgn.refuse(ErrorCode::Unexists, format_args!("region {handle} on {on:?}"));
            }
        }
        self.changes += 1;
        Ok(())
    }

    /// `RGN_DetachFromChn`, in G1 `RGN_DetachFrmChn`.
    pub(crate) fn detach(&mut self, handle: u32, from: End) -> Outcome {
        if self.region(handle)?.attached.remove(&from).is_none() {
            return Module::Rgn.refuse(ErrorCode::Unexists, format_args!("region {handle} on {from:?}"));
        }
        self.changes += 1;
        Ok(())
    }

    /// The overlays on a channel, the lowest first.
    pub(crate) fn overlays_on(&self, end: End) -> Vec<Overlay> {
        let mut found: Vec<(u32, Overlay)> = self
            .regions
            .values()
            .filter_map(|region| {
                let shown = region.attached.get(&end).filter(|shown| shown.show)?;
                Some((shown.layer, region.overlay(shown)?))
            })
            .collect();
        found.sort_by_key(|(layer, _)| *layer);
        found.into_iter().map(|(_, overlay)| overlay).collect()
    }

    /// The covers on a channel whose pictures have size `from`, for pictures of size `to`, the lowest first.
    pub(crate) fn covers_on(&self, end: End, from: (u32, u32), to: (u32, u32)) -> Vec<Overlay> {
        let mut found: Vec<(u32, Overlay)> = self
            .regions
            .values()
            .filter_map(|region| {
                let shown = region.attached.get(&end).filter(|shown| shown.show)?;
                let What::Cover { x, y, width, height, colour } = shown.what else { return None };
                let (left, right) = scaled(x, width, from.0, to.0);
                let (top, bottom) = scaled(y, height, from.1, to.1);
                let [_, red, green, blue] = colour.to_be_bytes();
                let paint = Paint::Flat(colour_from_rgb([red, green, blue]));
                let (width, height) = (right - left, bottom - top);
                Some((shown.layer, Overlay { x: left, y: top, width, height, paint }))
            })
            .collect();
        found.sort_by_key(|(layer, _)| *layer);
        found.into_iter().map(|(_, overlay)| overlay).collect()
    }

    fn check_shown(&mut self, codes: &Codes, handle: u32, on: End, shown: &Shown) -> Outcome {
        let generation = self.generation;
        let kind = self.region(handle)?.kind;
        let encoder = if generation == Generation::G1 { value::MOD_GROUP } else { codes.mod_venc };
        match (kind, shown.what) {
            (Kind::Overlay { on_screen, .. }, What::Overlay { x, y, foreground, background }) => {
                let place = if on_screen { value::MOD_VOU } else { encoder };
                if on.0 != place {
                    let why = format_args!("this overlay goes to module {place}, not to {on:?}");
                    return Module::Rgn.refuse(ErrorCode::Unsupported, why);
                }
                let place = [x, y].iter().all(|place| place % 2 == 0 && (0..=4096).contains(place));
                Module::Rgn.require(place, format_args!("an overlay at {x}, {y}"))?;
                Module::Rgn.require(foreground <= 128 && background <= 128, "alpha of more than 128")?;
                Module::Rgn.require(shown.layer <= 7, format_args!("layer {}", shown.layer))
            }
            (Kind::Cover, What::Cover { x, y, width, height, .. }) => {
                let own = generation == Generation::G1 && on.0 == encoder;
                if !own && on.0 != value::MOD_VIU && on.0 != codes.mod_vpss {
                    let why = format_args!("covers go to inputs and to the processing, not to {on:?}");
                    return Module::Rgn.refuse(ErrorCode::Unsupported, why);
                }
                let place = [x, y].iter().all(|place| place % 2 == 0 && (0..=8192).contains(place));
                let size = [width, height].iter().all(|side| side % 2 == 0 && (2..=8192).contains(side));
                Module::Rgn
                    .require(place && size, format_args!("a cover of {width}x{height} at {x}, {y}"))?;
                Module::Rgn.require(shown.layer <= 3, format_args!("layer {}", shown.layer))
            }
            (Kind::Cover, What::Other) => {
                Module::Rgn.refuse(ErrorCode::Unsupported, "the stand-in covers rectangles alone")
            }
            _ => Module::Rgn.require(false, "the region is of another kind"),
        }
    }

    fn region(&mut self, handle: u32) -> Outcome<&mut Region> {
        match self.regions.get_mut(&handle) {
            Some(region) => Ok(region),
            None => Module::Rgn.refuse(ErrorCode::Unexists, format_args!("region {handle}")),
        }
    }
}

impl Region {
    /// A bitmap as it is seen: what it leaves of the region has the region's background.
    fn overlay(&self, shown: &Shown) -> Option<Overlay> {
        let (
            Kind::Overlay { background: ground, width, height, .. },
            What::Overlay { x, y, foreground, background },
        ) = (self.kind, shown.what)
        else {
            return None;
        };
        let seen = |pixel: u16| {
            let alpha = if pixel & OPAQUE == 0 { background } else { foreground };
            (alpha >= SEEN).then(|| colour(pixel))
        };
        let pixel = |column: u32, row: u32| {
            self.bitmap
                .as_ref()
                .filter(|bitmap| column < bitmap.width && row < bitmap.height)
                .and_then(|bitmap| bitmap.pixels.get((row * bitmap.width + column) as usize).copied())
                .unwrap_or(ground as u16)
        };
        let samples = (0..height)
            .flat_map(|row| (0..width).map(move |column| (column, row)))
            .map(|(column, row)| seen(pixel(column, row)));
        let (width, height) = (width as u16, height as u16);
        Some(Overlay { x: x as u16, y: y as u16, width, height, paint: Paint::Samples(samples.collect()) })
    }
}

/// Five bits of each colour.
fn colour(pixel: u16) -> [u8; 3] {
    let part = |shift: u16| {
        let five = (pixel >> shift & 0x1f) as u8;
        five << 3 | five >> 2
    };
    colour_from_rgb([part(10), part(5), part(0)])
}

/// A stretch of a picture's side in a picture of another size; never smaller than it is.
fn scaled(start: i32, length: u32, from: u32, to: u32) -> (u16, u16) {
    let (start, from) = (start.max(0).cast_unsigned(), from.max(1));
    let end = (u64::from(start) + u64::from(length)) * u64::from(to);
    let begin = u64::from(start) * u64::from(to) / u64::from(from);
    let limit = |place: u64| place.min(u64::from(to)) as u16;
    (limit(begin), limit(end.div_ceil(u64::from(from))))
}

#[cfg(test)]
mod tests {
    use mpp_abi::Dialect;

    use super::*;

    const TEXT: Kind =
        Kind::Overlay { format: value::ARGB1555, background: 0, width: 8, height: 4, on_screen: false };
    const BOX: What = What::Cover { x: 100, y: 50, width: 200, height: 100, colour: 0 };

    fn at(x: i32, y: i32) -> Shown {
        Shown { show: true, layer: 0, what: What::Overlay { x, y, foreground: 128, background: 0 } }
    }

    fn code<T: std::fmt::Debug>(outcome: Outcome<T>) -> ErrorCode {
        outcome.unwrap_err().code
    }

    #[test]
    fn overlays_go_to_the_group_in_g1_and_to_the_encoder_later() {
        for (dialect, right, wrong) in [
            (Dialect::G1, (6, 0, 0), (7, 0, 0)),
            (Dialect::G2, (8, 0, 0), (6, 0, 0)),
            (Dialect::G3Late, (8, 0, 0), (7, 0, 0)),
        ] {
            let (codes, mut regions) = (dialect.codes(), Regions::new(dialect.generation()));
            regions.create(1, TEXT).unwrap();
            assert_eq!(code(regions.attach(codes, 1, wrong, at(0, 0))), ErrorCode::Unsupported);
            assert_eq!(code(regions.attach(codes, 1, right, at(1, 0))), ErrorCode::BadParameter);
            regions.attach(codes, 1, right, at(0, 2)).unwrap();
            assert_eq!(code(regions.attach(codes, 1, right, at(0, 2))), ErrorCode::Exists);
            assert_eq!(code(regions.destroy(1)), ErrorCode::NotPermitted);
            assert_eq!(code(regions.detach(1, wrong)), ErrorCode::Unexists);
            regions.detach(1, right).unwrap();
            regions.destroy(1).unwrap();
        }
    }

    #[test]
    fn regions_are_counted() {
        let (codes, mut regions) = (Dialect::G2.codes(), Regions::new(Generation::G2));
        assert_eq!(code(regions.create(1024, Kind::Cover)), ErrorCode::BadParameter);
        for handle in 0..=4 {
            regions.create(handle, Kind::Cover).unwrap();
            let outcome = regions.attach(codes, handle, (7, 0, 0), Shown { show: true, layer: 0, what: BOX });
            assert_eq!(outcome.is_ok(), handle < 4, "{outcome:?}");
        }
        assert_eq!(code(regions.create(0, Kind::Cover)), ErrorCode::Exists);
    }

    #[test]
    fn bitmaps_have_the_regions_format_and_even_sizes_and_in_g1_a_second_between() {
        for generation in [Generation::G1, Generation::G2] {
            let mut regions = Regions::new(generation);
            regions.create(0, TEXT).unwrap();
            for (format, size) in [(10, (8, 4)), (8, (7, 4)), (8, (10, 4)), (8, (0, 0))] {
                assert_eq!(code(regions.check_bitmap(0, format, size, 5)), ErrorCode::BadParameter);
            }
            assert_eq!(regions.check_bitmap(0, 8, (8, 4), 5), Ok(None));
            let soon = regions.check_bitmap(0, 8, (8, 4), 900_000).unwrap();
            assert_eq!(soon.is_some(), generation == Generation::G1);
            assert_eq!(regions.check_bitmap(0, 8, (8, 4), 1_900_000), Ok(None));
            assert_eq!(code(regions.check_bitmap(9, 8, (8, 4), 0)), ErrorCode::Unexists);
        }
    }

    #[test]
    fn opaque_pixels_are_seen_and_the_others_let_through() {
        let (codes, mut regions) = (Dialect::G2.codes(), Regions::new(Generation::G2));
        regions.create(0, TEXT).unwrap();
        regions.attach(codes, 0, (8, 0, 3), at(16, 32)).unwrap();
        let mut pixels = vec![0x7fff; 32];
        pixels[0] = 0xffff;
        regions.set_bitmap(0, 8, 4, pixels).unwrap();
        let overlays = regions.overlays_on((8, 0, 3));
        let [Overlay { x: 16, y: 32, width: 8, height: 4, paint: Paint::Samples(samples) }] = &overlays[..]
        else {
            panic!("{overlays:?}");
        };
        assert_eq!((samples[0], samples[1]), (Some([235, 128, 128]), None));
        assert!(regions.overlays_on((8, 0, 4)).is_empty());
        regions.set_shown(codes, 0, (8, 0, 3), Shown { show: false, ..at(16, 32) }).unwrap();
        assert!(regions.overlays_on((8, 0, 3)).is_empty());
    }

    #[test]
    fn covers_grow_when_they_are_scaled() {
        let (codes, mut regions) = (Dialect::G2.codes(), Regions::new(Generation::G2));
        regions.create(0, Kind::Cover).unwrap();
        regions.attach(codes, 0, (16, 0, 0), Shown { show: true, layer: 0, what: BOX }).unwrap();
        let covers = regions.covers_on((16, 0, 0), (704, 576), (352, 288));
        assert_eq!(
            covers,
            [Overlay { x: 50, y: 25, width: 100, height: 50, paint: Paint::Flat([16, 128, 128]) }]
        );
        let covers = regions.covers_on((16, 0, 0), (704, 576), (400, 300));
        assert_eq!((covers[0].x, covers[0].width, covers[0].y, covers[0].height), (56, 115, 26, 53));
        assert_eq!(
            code(regions.attach(codes, 0, (8, 0, 0), Shown { show: true, layer: 0, what: BOX })),
            ErrorCode::Unsupported
        );
    }
}
