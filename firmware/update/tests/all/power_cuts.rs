//! A whole update under power cuts: always something to start.

use update::{Layout, load_boot_state, load_floor};

use crate::device::{Device, Running};
use crate::fixture::{NEXT_RELEASE, RELEASE, bundle, bundle_of, image, manifest, rotated, version};
use crate::partition::cuts;

/// How the new version turns out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// It is confirmed.
    Good,
    /// It says that it is not healthy.
    Bad,
    /// It hangs before it can say anything.
    Hangs,
}

/// The new version: under other keys, the old ones revoked, and with a floor above the old version.
fn next() -> Vec<u8> {
    let image = image("2.0.0", 9000);
    let mut manifest = manifest("2.0.0", &image);
    manifest.minimum_version = version("2.0.0");
    bundle_of(&manifest, &image, &[rotated()], &[NEXT_RELEASE])
}

/// The old version; longer, so that neither slot hides in the other.
fn old() -> Vec<u8> {
    let image = image("1.0.0", 11_000);
    bundle_of(&manifest("1.0.0", &image), &image, &[], &[RELEASE])
}

/// Starts again and again until nothing is left to do: what runs then. `asked`: whether the update was begun. Each
/// error must be a power cut; the next start has power, and the next of `cuts` still to come.
fn live(device: &mut Device, new: &[u8], health: Health, mut asked: bool, cuts: &mut Vec<u64>) -> Running {
    for _ in 0..40 {
        match step(device, new, health, &mut asked) {
            Ok(Some(settled)) => return settled,
            Ok(None) => {}
            Err(e) => {
                assert!(device.open().is_err(), "with power nothing may fail: {e}");
                device.whole.chip.restore_power();
                device.cuts += 1;
                if let Some(cut) = cuts.pop() {
                    device.whole.chip.cut_power_after(cut);
                }
            }
        }
    }
    panic!("it never settles");
}

/// One start and what the running system does in it.
fn step(
    device: &mut Device,
    new: &[u8],
    health: Health,
    asked: &mut bool,
) -> Result<Option<Running>, update::UpdateError> {
    let running = device.start()?.expect("recovery: nothing to start");
    if running.on_trial {
        assert_eq!(running.version, version("2.0.0"));
        match health {
            Health::Good => device.confirm(&running)?,
            Health::Bad => device.reject()?,
            Health::Hangs => {}
        }
        return Ok(None);
    }
    device.confirm(&running)?;
    if *asked {
        return Ok(Some(running));
    }
    *asked = true;
    device.update(&running, new, false)?;
    Ok(None)
}

/// Cuts everywhere in an update; the number of cuts, and how many of them ended on the new version.
fn sweep(layout: Layout, health: Health) -> (usize, usize) {
    let (old, new) = (old(), next());
    let fresh = Device::new(layout, 1, &old);
    let mut dry = fresh.copy(1);
    let running = live(&mut dry, &new, health, false, &mut Vec::new());
    let expected = if health == Health::Good { "2.0.0" } else { "1.0.0" };
    assert_eq!(running.version, version(expected), "without any cut");
    let cuts = cuts(&dry.whole.ops.lock().unwrap(), 1021);
    let mut on_new = 0;
    for (index, &cut) in cuts.iter().enumerate() {
        let mut device = fresh.copy(index as u64);
        device.whole.chip.cut_power_after(cut);
        let running = live(&mut device, &new, health, false, &mut Vec::new());
        device.whole.chip.restore_power();
        assert!(device.cuts == 1 || index + 1 == cuts.len(), "cut {cut} was never reached");
        let is_new = running.version == version("2.0.0");
        assert!(is_new || running.version == version("1.0.0"));
        assert!(!is_new || health == Health::Good, "cut {cut}: an unhealthy version stays");
        on_new += usize::from(is_new);
        device.check_settled();
        if health == Health::Good && !is_new {
            let state = load_boot_state(&device.open().unwrap().0);
            assert_eq!(state.failed, None, "cut {cut}: what was never tried did not fail");
        }
        let floor = load_floor(&device.open().unwrap().0);
        assert_eq!(floor, version(if is_new { "2.0.0" } else { "0.5.0" }), "cut {cut}");
        // Nor is it stuck: the same update goes through now.
        let running = live(&mut device, &new, Health::Good, false, &mut Vec::new());
        assert_eq!(running.version, version("2.0.0"), "cut {cut}: the next attempt");
        device.check_settled();
    }
    (cuts.len(), on_new)
}

fn swept(layout: Layout, health: Health) {
    let (count, on_new) = sweep(layout, health);
    println!("update, {layout:?}, {health:?}: {count} cuts, 0 unbootable, {on_new} on the new version");
    assert!(count > 700, "{count}");
    assert_eq!(on_new > 0, health == Health::Good);
    assert!(on_new < count, "cuts before the commitment must stay on the old version");
}

#[test]
fn one_slot_healthy() {
    swept(Layout::Single, Health::Good);
}

#[test]
fn one_slot_unhealthy() {
    swept(Layout::Single, Health::Bad);
}

#[test]
fn one_slot_hanging() {
    swept(Layout::Single, Health::Hangs);
}

#[test]
fn two_slots_healthy() {
    swept(Layout::Dual, Health::Good);
}

#[test]
fn two_slots_unhealthy() {
    swept(Layout::Dual, Health::Bad);
}

#[test]
fn two_slots_hanging() {
    swept(Layout::Dual, Health::Hangs);
}

#[test]
fn three_cuts_in_one_update() {
    let (old, new) = (old(), next());
    let mut count = 0;
    for layout in [Layout::Single, Layout::Dual] {
        let fresh = Device::new(layout, 1, &old);
        for round in 0..350_u64 {
            // Anywhere in some 32 000 bytes of programming and erasing.
            let at = |n: u64| (round * 3 + n).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 49;
            let mut device = fresh.copy(round);
            device.whole.chip.cut_power_after(at(0));
            let mut cuts = vec![at(1), at(2)];
            let health = [Health::Good, Health::Bad, Health::Hangs][round as usize % 3];
            let running = live(&mut device, &new, health, false, &mut cuts);
            device.whole.chip.restore_power();
            assert!(health == Health::Good || running.version == version("1.0.0"));
            device.check_settled();
            count += device.cuts;
        }
    }
    println!("update, several cuts: {count} cuts in 700 updates, 0 unbootable");
    assert!(count > 1_000, "{count}");
}

#[test]
fn an_update_that_is_not_confirmed_keeps_others_out() {
    for layout in [Layout::Single, Layout::Dual] {
        let mut device = Device::new(layout, 1, &old());
        let running = device.start().unwrap().unwrap();
        device.update(&running, &next(), false).unwrap();
        let on_trial = device.start().unwrap().unwrap();
        assert!(on_trial.on_trial);
        let refused = device.update(&on_trial, &bundle("3.0.0"), false).unwrap_err();
        assert_eq!(refused.kind(), update::ErrorKind::Busy);
    }
}
