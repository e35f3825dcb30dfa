//! Pictures and sound on their way from inputs to encoders, as bindings say.

use hal::{Resolution, WallTime};
use hal_sim::{Overlay, Paint, colour_from_rgb, mark};
use mpp_abi::{Generation, value};

use crate::encoder::{Frame, Manner};
use crate::input::Input;
use crate::platform::Platform;
use crate::process::Mode;
use crate::ring::Lay;

/// What came due longer ago than that, microseconds, is left out: the machine stood still.
const MAX_LATE: u64 = 1_000_000;
/// How long nothing may be due, microseconds: an input that was enabled meanwhile is not late by more.
const LONGEST_PAUSE: u64 = 40_000;

/// How long nothing may be due while sound comes in: frames of it are short.
const SOUND_PAUSE: u64 = 10_000;

/// Makes everything that is due at `platform.now`; returns when the next thing is, at the latest after 40 ms.
pub(crate) fn run(platform: &mut Platform) -> u64 {
    let mut next = platform.now + LONGEST_PAUSE;
    let running: Vec<i32> =
        platform.inputs.channels.iter().filter(|(_, i)| i.running.is_some()).map(|(n, _)| *n).collect();
    for number in running {
        while let Some((frame, due)) = next_frame(platform, number) {
            if due > platform.now {
                next = next.min(due);
                break;
            }
            if platform.now - due <= MAX_LATE && !platform.faults.no_buffers {
                deliver(platform, number, frame, due);
            }
        }
    }
    for input in platform.sound.due(platform.now) {
        let encoders: Vec<i32> = platform
            .bindings
            .receivers((value::MOD_AI, input.0, input.1))
            .filter(|end| end.0 == value::MOD_AENC)
            .map(|end| end.2)
            .collect();
        let pts = platform.pts_at(platform.now);
        platform.sound.make(input, &encoders, pts, platform.wall);
    }
    if !platform.sound.is_idle() {
        next = next.min(platform.now + SOUND_PAUSE);
    }
    next
}

/// The number of the input's next picture and when it is due; counts it if it is.
fn next_frame(platform: &mut Platform, number: i32) -> Option<(u64, u64)> {
    let (now, by_itself) = (platform.now, platform.input_rate);
    let input = platform.inputs.channels.get_mut(&number)?;
    let rate = u64::from(input.rate(by_itself).max(1));
    let running = input.running.as_mut()?;
    let frame = running.frames;
    let due = running.since + (frame + 1) * 1_000_000 / rate;
    if due <= now {
        running.frames += 1;
    }
    Some((frame, due))
}

/// One picture of one input, to everybody.
fn deliver(platform: &mut Platform, input: i32, number: u64, due: u64) {
    let late = (platform.now - due) as i64;
    let wall: WallTime = platform.wall.offset_micros(-late);
    let frame = Frame { input, pts: platform.pts_at(due), wall };
    let Some(size) = platform.inputs.channels.get(&input).and_then(|i| i.attr).map(|a| (a.width, a.height))
    else {
        return;
    };
    let (vpss, venc) = (platform.codes.mod_vpss, platform.codes.mod_venc);
    let source = (value::MOD_VIU, 0, input);
    for end in platform.bindings.receivers(source).collect::<Vec<_>>() {
        match end.0 {
            module if module == vpss => {
                if !platform.groups.passes(end.1, size.0, size.1) {
                    continue;
                }
                for channel in 0..platform.limits.vpss_channels {
                    let Some(mode) = platform.groups.mode(end.1, channel) else { continue };
                    let from = (vpss, end.1, channel);
                    for to in platform.bindings.receivers(from).collect::<Vec<_>>() {
                        for encoder in encoders_at(platform, to) {
                            encode(platform, encoder, &frame, size, mode, from);
                        }
                        detect(platform, to, input, number, size, frame.pts);
                    }
                }
            }
            module if module == venc => {
                platform
                    .note(format!("SYS_Bind of input {input} to module {venc}: no picture flows from there"));
            }
            _ => detect(platform, end, input, number, size, frame.pts),
        }
    }
}

fn encoders_at(platform: &Platform, end: (i32, i32, i32)) -> Vec<i32> {
    let of_group = platform.dialect.generation() == Generation::G1;
    if of_group && end.0 == value::MOD_GROUP {
        return platform
            .encoders
            .iter()
            .filter(|(_, encoder)| encoder.group == Some(end.1))
            .map(|(number, _)| *number)
            .collect();
    }
    if !of_group && end.0 == platform.codes.mod_venc && end.1 == 0 { vec![end.2] } else { Vec::new() }
}

fn detect(
    platform: &mut Platform,
    end: (i32, i32, i32),
    input: i32,
    number: u64,
    size: (u32, u32),
    pts: u64,
) {
    if end.0 != value::MOD_VDA {
        return;
    }
    let Some(channel) = platform.inputs.channels.get(&input) else { return };
    let rate = channel.rate(platform.input_rate).max(1);
    let blank = channel.instead().is_some() || platform.faults.lost.contains(&input);
    let size = Resolution { width: size.0 as u16, height: size.1 as u16 };
    platform.detectors.take(end.2, number, size, rate, blank, pts);
}

fn encode(
    platform: &mut Platform,
    number: i32,
    frame: &Frame,
    size: (u32, u32),
    mode: Mode,
    from: (i32, i32, i32),
) {
    let lay = match (platform.dialect.generation(), platform.faults.wrap) {
        (Generation::G1, true) => Lay::Split,
        (Generation::G1, false) => Lay::Wrapped,
        _ => Lay::Whole,
    };
    let manner = Manner {
        stalled: platform.faults.stalled.contains(&number),
        full: platform.faults.full.contains(&number),
        lay,
        overlays: platform.changes + platform.faults.changes + platform.regions.changes,
    };
    let Platform { encoders, regions, inputs, faults, codes, .. } = platform;
    let Some(encoder) = encoders.get_mut(&number) else { return };
    let own = (encoder.config.width, encoder.config.height);
    if let Mode::User { width, height } = mode
        && (width, height) != own
    {
        let breach = format!(
            "VIOLATION VENC_StartRecvPic channel {number} of {}x{}: the processing hands on {width}x{height}",
            own.0, own.1
        );
        platform.note(breach);
        return;
    }
    let group = encoder.group;
    let (instead, lost) =
        (inputs.channels.get(&frame.input).and_then(Input::instead), faults.lost.contains(&frame.input));
    let regions = &*regions;
    let overlays = || {
        let mut overlays = blank(instead, lost, own);
        overlays.extend(regions.covers_on((value::MOD_VIU, 0, frame.input), size, own));
        overlays.extend(regions.covers_on((from.0, from.1, 0), size, own));
        let end = group.map_or((codes.mod_venc, 0, number), |group| (value::MOD_GROUP, group, 0));
        overlays.extend(regions.covers_on(end, own, own));
        overlays.extend(regions.overlays_on(end));
        overlays
    };
    if let Some(why) = encoder.take(codes, frame, &manner, overlays) {
        // Said each time it begins, not once: it comes and goes, and a busy machine is no breach.
        platform.say(format!("LOST encoder {number}: {why}"));
    }
}

/// What hides the scene: a user picture spares the mark, a lost signal does not.
fn blank(instead: Option<[u8; 3]>, lost: bool, (width, height): (u32, u32)) -> Vec<Overlay> {
    let (width, height) = (width as u16, height as u16);
    let mark_width = (mark::COLUMNS as u32 * mark::CELL) as u16;
    let mark_height = (mark::ROWS as u32 * mark::CELL) as u16;
    match instead {
        Some(rgb) => {
            let paint = Paint::Flat(colour_from_rgb(rgb));
            vec![
                Overlay { x: mark_width, y: 0, width, height: mark_height, paint: paint.clone() },
                Overlay { x: 0, y: mark_height, width: width.next_multiple_of(16), height, paint },
            ]
        }
        None if lost => {
            let (width, height) = (width.next_multiple_of(16), height.next_multiple_of(16));
            vec![Overlay { x: 0, y: 0, width, height, paint: Paint::Flat(colour_from_rgb([0; 3])) }]
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use mpp_abi::Dialect;

    use super::*;
    use crate::config::tests::config;
    use crate::encoder::Coded;
    use crate::input::InputAttr;
    use crate::refusal::Module;
    use crate::system::Pool;

    /// Input 0 of 704x576 at 25 pictures a second, to encoder 0 of that size.
    fn recorder(dialect: Dialect) -> Platform {
        let mut p = Platform::new(dialect, 25);
        p.system.set_pools(64, &[Pool { block_bytes: 704 * 576 * 3 / 2, blocks: 8 }]).unwrap();
        p.system.init_buffers().unwrap();
        p.system.set_align(16).unwrap();
        p.system.init().unwrap();
        p.ready(Module::Vi).unwrap();
        let format = p.codes.semiplanar_420;
        let attr =
            InputAttr { width: 704, height: 576, pixel_format: format, source_rate: -1, target_rate: -1 };
        p.inputs.set_device(&p.limits, 0, 0, 2).unwrap();
        p.inputs.enable_device(&p.limits, 0).unwrap();
        p.inputs.set_channel(&p.limits, 0, [format; 2], attr).unwrap();
        p.inputs.enable(&p.limits, 0, false, &p.system, 0).unwrap();
        p.groups.create(&p.limits, p.codes, 0, (704, 576), format, 0).unwrap();
        p.groups.enable(&p.limits, 0, 0, true).unwrap();
        p.groups.start(&p.limits, 0, true).unwrap();
        p.create_encoder(0, config(704, 576)).unwrap();
        let receiver = if dialect == Dialect::G1 {
            p.create_encoder_group(0).unwrap();
            p.register_encoder(0, 0).unwrap();
            (value::MOD_GROUP, 0, 0)
        } else {
            (p.codes.mod_venc, 0, 0)
        };
        p.bindings.bind(p.codes, (value::MOD_VIU, 0, 0), (p.codes.mod_vpss, 0, 0)).unwrap();
        p.bindings.bind(p.codes, (p.codes.mod_vpss, 0, 0), receiver).unwrap();
        p.start_encoder(0, None).unwrap();
        p
    }

    fn after(platform: &mut Platform, millis: u64) {
        platform.now += millis * 1000;
        run(platform);
    }

    fn all(platform: &mut Platform) -> Vec<Coded> {
        let encoder = platform.encoder(0).unwrap();
        let mut found = Vec::new();
        while let Ok(picture) = encoder.fetch(8) {
            encoder.release(picture.sequence, picture.packs[0].pieces[0].0).unwrap();
            found.push(picture);
        }
        found
    }

    #[test]
    fn pictures_flow_in_every_generation_at_their_rate() {
        for dialect in Dialect::ALL {
            let mut platform = recorder(dialect);
            assert_eq!(run(&mut platform), 40_000);
            after(&mut platform, 1000);
            let pictures = all(&mut platform);
            assert_eq!(pictures.len(), 25, "{dialect:?}");
            assert_eq!(pictures[1].pts - pictures[0].pts, 40_000);
            let first: Vec<i32> = pictures[0].packs.iter().map(|pack| pack.data_type).collect();
            assert_eq!(first, [7, 8, 5], "{dialect:?}");
            assert_eq!(platform.violations, 0);
        }
    }

    #[test]
    fn a_binding_with_the_other_generations_numbers_carries_nothing() {
        let mut platform = recorder(Dialect::G2);
        let codes = platform.codes;
        let input = (value::MOD_VIU, 0, 0);
        platform.bindings.unbind(input, (codes.mod_vpss, 0, 0)).unwrap();
        platform.bindings.bind(codes, input, (Dialect::G1.codes().mod_vpss, 0, 0)).unwrap_err();
        platform.bindings.unbind((codes.mod_vpss, 0, 0), (codes.mod_venc, 0, 0)).unwrap();
        platform.bindings.bind(codes, input, (Dialect::G1.codes().mod_vpss, 0, 0)).unwrap();
        after(&mut platform, 1000);
        assert!(all(&mut platform).is_empty());
        assert_eq!(platform.take_notes().len(), 1);
    }

    #[test]
    fn what_stood_still_too_long_is_left_out() {
        let mut platform = recorder(Dialect::G2);
        after(&mut platform, 10_000);
        assert_eq!(all(&mut platform).len(), 26);
        after(&mut platform, 40);
        assert_eq!(all(&mut platform).len(), 1);
    }

    #[test]
    fn without_buffers_there_are_no_pictures() {
        let mut platform = recorder(Dialect::G1);
        platform.faults.no_buffers = true;
        after(&mut platform, 400);
        assert!(all(&mut platform).is_empty());
        platform.faults.no_buffers = false;
        after(&mut platform, 400);
        assert_eq!(all(&mut platform).len(), 10);
    }

    #[test]
    fn a_size_that_the_processing_does_not_make_is_not_encoded() {
        let mut platform = recorder(Dialect::G2);
        let user = Mode::User { width: 352, height: 288 };
        let (limits, codes) = (platform.limits, platform.codes);
        platform.groups.set_mode(&limits, codes, (0, 0), user, 23).unwrap();
        after(&mut platform, 200);
        assert!(all(&mut platform).is_empty());
        assert_eq!(platform.take_notes().len(), 1);
    }

    #[test]
    fn a_user_picture_spares_the_mark_and_a_lost_signal_does_not() {
        let spared = blank(Some([0, 0, 255]), true, (704, 576));
        assert!(spared.iter().all(|o| o.x >= 256 || o.y >= 112));
        let black = blank(None, true, (700, 570));
        assert_eq!((black[0].x, black[0].y, black[0].width, black[0].height), (0, 0, 704, 576));
        assert!(blank(None, false, (704, 576)).is_empty());
    }

    #[test]
    fn after_exit_nothing_is_left() {
        let mut platform = recorder(Dialect::G1);
        after(&mut platform, 200);
        platform.encoder(0).unwrap().fetch(8).unwrap();
        platform.exit();
        assert!(platform.ready(Module::Venc).is_err());
        assert!(platform.encoders.is_empty() && platform.encoder_groups.is_empty());
        after(&mut platform, 200);
    }
}
