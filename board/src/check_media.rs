//! The rules of the media platform: libraries, ports, numbers of inputs.
//!
//! Does not belong here: whether the platform can do what an owner wants (`hal-himpp`).

use std::collections::BTreeSet;

use crate::description::{Board, CaptureBackend};
use crate::fault::{Fault, Step, at};
use crate::media::Media;

/// The most libraries: a platform's own, its codecs' and its audio's are about ten.
const MAX_LIBRARIES: usize = 32;

/// The most kernel modules: vendors' scripts load about forty.
const MAX_MODULES: usize = 96;

/// The table is there for who uses it, and whatever it numbers is numbered once.
pub(crate) fn check_media(board: &Board) -> Result<(), Fault> {
    if let Some(media) = &board.media {
        if board.capture != CaptureBackend::Himpp {
            return Err(Fault::new(
                at!["media"],
                "nobody would use this; say capture = \"himpp\" or remove it",
            ));
        }
        check_paths(media)?;
        check_devices(media)?;
    }
    let (mut videos, mut audios) = (BTreeSet::new(), BTreeSet::new());
    for (index, input) in board.inputs.iter().enumerate() {
        let numbers = [
            ("video_input", input.video_input, &mut videos),
            ("audio_input", input.audio_input, &mut audios),
        ];
        for (key, number, taken) in numbers {
            let Some(number) = number else { continue };
            if board.media.is_none() {
                let message =
                    "the platform's number of it, but no platform; add a [media] table or remove this";
                return Err(Fault::new(at!["input", index, key], message));
            }
            if !taken.insert(number) {
                let message = format!("{key} {number} has an input already; correct one of them");
                return Err(Fault::new(at!["input", index, key], message));
            }
        }
        let of_a_device = |number: u8| {
            let devices = board.media.iter().flat_map(|media| &media.devices);
            devices.clone().count() == 0
                || devices.flat_map(crate::media::MediaDevice::inputs).any(|n| n == number)
        };
        if let Some(number) = input.video_input.filter(|&number| !of_a_device(number)) {
            let message = format!("no [[media.device]] has channel {number}; correct one of them");
            return Err(Fault::new(at!["input", index, "video_input"], message));
        }
    }
    Ok(())
}

fn check_paths(media: &Media) -> Result<(), Fault> {
    if media.libraries.is_empty() || media.libraries.len() > MAX_LIBRARIES {
        let message = format!("1 to {MAX_LIBRARIES} libraries, the platform's own last; correct the list");
        return Err(Fault::new(at!["media", "libraries"], message));
    }
    if media.modules.len() > MAX_MODULES {
        let message = format!("{} kernel modules; at most {MAX_MODULES} are loaded", media.modules.len());
        return Err(Fault::new(at!["media", "module"], message));
    }
    let libraries = media.libraries.iter().enumerate();
    let mut paths: Vec<_> =
        libraries.map(|(n, path)| (path, at!["media", "libraries", n].to_vec())).collect();
    let modules = media.modules.iter().enumerate();
    paths.extend(modules.map(|(n, module)| (&module.file, at!["media", "module", n, "file"].to_vec())));
    paths.push((&media.host, at!["media", "host"].to_vec()));
    paths.extend(media.preload.iter().map(|path| (path, at!["media", "preload"].to_vec())));
    for (path, place) in paths {
        if !path.starts_with('/') || path.contains(['\0', ' ', ':']) {
            let message =
                format!("\"{path}\" is no path from / on, without blanks and colons; write all of it");
            return Err(Fault::new(place, message));
        }
    }
    if media.user.is_some() != media.group.is_some() {
        return Err(Fault::new(at!["media"], "user and group go together; give both or none"));
    }
    if let Some(mode) = media.display.filter(|m| m.width == 0 || m.height == 0 || m.frame_rate == 0) {
        let message =
            format!("{}x{} at {} is no picture; correct it", mode.width, mode.height, mode.frame_rate);
        return Err(Fault::new(at!["media", "display"], message));
    }
    Ok(())
}

fn check_devices(media: &Media) -> Result<(), Fault> {
    let (mut numbers, mut channels) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in media.devices.iter().enumerate() {
        if !numbers.insert(device.number) {
            let message = format!("a second device {}; give each a number of its own", device.number);
            return Err(Fault::new(at!["media", "device", index, "number"], message));
        }
        if ![1, 2, 4].contains(&device.multiplex) {
            let message = format!("{} channels cannot share a bus; 1, 2 or 4 can", device.multiplex);
            return Err(Fault::new(at!["media", "device", index, "multiplex"], message));
        }
        if device.mask[0] == 0 {
            let message = "no pin carries the picture; write the mask of the first component";
            return Err(Fault::new(at!["media", "device", index, "mask"], message));
        }
        let inputs = device.inputs();
        if inputs.is_empty() || inputs.len() > usize::from(device.multiplex) {
            let message = format!("{} channels on a bus of {}; correct one", inputs.len(), device.multiplex);
            return Err(Fault::new(at!["media", "device", index, "inputs"], message));
        }
        if let Some(twice) = inputs.into_iter().find(|&input| !channels.insert(input)) {
            let message = format!("channel {twice} is on another device already; correct one of them");
            return Err(Fault::new(at!["media", "device", index], message));
        }
    }
    Ok(())
}
