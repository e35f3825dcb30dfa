//! Slots: what is started, what is refused, and what is kept apart from what.

use hal::{FlashGeometry, HalError, NorFlash};
use update::{
    BundleFile, ErrorKind, Layout, Slot, SlotWriter, Target, VerifiedBundle, read_slot, remove_owner_key,
    set_owner_key, verify_bundle, verify_slot,
};

use crate::device::{BLOCK, Device};
use crate::fixture::*;
use crate::partition::Partition;

fn verified(bundle: &[u8]) -> VerifiedBundle {
    verify_bundle(bundle, &trust(), &target(), &mut |_| {}).unwrap()
}

fn write(flash: &mut dyn NorFlash, bundle: &[u8]) {
    let verified = verified(bundle);
    let image = &bundle[verified.image_offset() as usize..];
    let writer = SlotWriter::new(flash, verified.envelope()).unwrap();
    writer.write_root(image, &mut |_| {}).unwrap().finish().unwrap();
}

fn verify(flash: &mut dyn NorFlash, target: &Target) -> Result<String, ErrorKind> {
    let envelope = verify_slot(flash, &trust(), target, &mut |_| {}).map_err(|e| e.kind())?;
    Ok(envelope.manifest().version.to_string())
}

#[test]
fn a_written_slot_verifies_and_begins_with_its_root() {
    let mut flash = Partition::whole(4 * BLOCK, BLOCK, 1);
    assert!(read_slot(&mut flash, &trust(), &target()).unwrap().is_none());
    assert_eq!(verify(&mut flash, &target()), Err(ErrorKind::Damaged));
    for version in ["2.0.0", "1.5.0", "3.0.0"] {
        let bundle = bundle(version);
        write(&mut flash, &bundle);
        assert_eq!(verify(&mut flash, &target()).as_deref(), Ok(version));
        let (envelope, _) = envelope_of(&bundle);
        let bytes = flash.dump();
        assert_eq!(bytes[..3000], image(version, 3000));
        let header = &bytes[3 * BLOCK as usize..];
        assert_eq!(header[..12], *b"CANDSLOT\x01\0\0\0");
        assert_eq!(header[32..32 + envelope.len()], envelope);
    }
}

#[test]
fn every_flipped_bit_of_a_slot_is_seen() {
    let mut written = Partition::whole(4 * BLOCK, BLOCK, 1);
    write(&mut written, &bundle("2.0.0"));
    let bytes = written.dump();
    let header = 3 * BLOCK as usize;
    let header_end = header + 32 + envelope_of(&bundle("2.0.0")).0.len();
    for at in (0..3000).chain(header..header_end) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let mut flash = Partition::whole(4 * BLOCK, BLOCK, 1);
        flash.program(0, &flipped).unwrap();
        assert_eq!(verify(&mut flash, &target()), Err(ErrorKind::Damaged), "byte {at}");
    }
}

#[test]
fn starting_asks_neither_for_the_time_nor_for_consent() {
    let mut flash = Partition::whole(4 * BLOCK, BLOCK, 1);
    write(&mut flash, &bundle("2.0.0"));
    let later = Target { now: Some(wall("2099-01-01T00:00:00Z")), installed: version("9.0.0"), ..target() };
    assert_eq!(verify(&mut flash, &later).as_deref(), Ok("2.0.0"));
    let raised = Target { floor: version("2.0.1"), ..target() };
    assert_eq!(verify(&mut flash, &raised), Err(ErrorKind::TooOld));
    let other = Target { board: "hi3521a".to_owned(), ..target() };
    assert_eq!(verify(&mut flash, &other), Err(ErrorKind::WrongBoard));
}

#[test]
fn what_does_not_fit_is_refused_before_the_first_erase() {
    let mut flash = Partition::whole(2 * BLOCK, BLOCK, 1);
    let image = image("2.0.0", BLOCK as usize + 1);
    let verified = verified(&bundle_of(&manifest("2.0.0", &image), &image, &[], &[RELEASE]));
    assert_eq!(SlotWriter::new(&mut flash, verified.envelope()).err().unwrap().kind(), ErrorKind::TooLarge);
    let mut small = Partition::whole(64 * 256, 256, 1);
    let bundle = bundle("2.0.0");
    let verified = verify_bundle(&bundle[..], &trust(), &target(), &mut |_| {}).unwrap();
    assert_eq!(SlotWriter::new(&mut small, verified.envelope()).err().unwrap().kind(), ErrorKind::TooLarge);
    assert!(flash.ops.lock().unwrap().is_empty() && small.ops.lock().unwrap().is_empty());
}

#[test]
fn a_file_that_changed_after_it_was_verified_gets_no_header() {
    let bundle = bundle("2.0.0");
    let verified = verified(&bundle);
    for image in [image("3.0.0", 3000), image("2.0.0", 2999)] {
        let mut flash = Partition::whole(4 * BLOCK, BLOCK, 1);
        write(&mut flash, &crate::fixture::bundle("1.5.0"));
        let writer = SlotWriter::new(&mut flash, verified.envelope()).unwrap();
        let refused = writer.write_root(&image[..], &mut |_| {}).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Damaged);
        assert!(read_slot(&mut flash, &trust(), &target()).unwrap().is_none());
    }
}

/// A chip whose byte 5 is stuck at 0 for the first `stuck` programs.
struct Worn {
    flash: Partition,
    stuck: u32,
}

impl NorFlash for Worn {
    fn geometry(&self) -> FlashGeometry {
        self.flash.geometry()
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        self.flash.read(offset, into)
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        let mut data = data.to_vec();
        if offset == 0 && self.stuck > 0 {
            self.stuck -= 1;
            data[5] = 0;
        }
        self.flash.program(offset, &data)
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        self.flash.erase(offset, length)
    }
}

#[test]
fn a_block_that_does_not_hold_is_tried_again_and_then_told() {
    let bundle = bundle("2.0.0");
    let verified = verified(&bundle);
    let image = &bundle[verified.image_offset() as usize..];
    for (stuck, holds) in [(1, true), (2, true), (3, false)] {
        let mut flash = Worn { flash: Partition::whole(4 * BLOCK, BLOCK, 1), stuck };
        let written =
            SlotWriter::new(&mut flash, verified.envelope()).unwrap().write_root(image, &mut |_| {});
        assert_eq!(
            written.map(|_| ()).map_err(|e| e.kind()),
            if holds { Ok(()) } else { Err(ErrorKind::Device) }
        );
    }
}

#[test]
fn going_back_with_consent_works_on_both_layouts() {
    for layout in [Layout::Single, Layout::Dual] {
        let mut device = Device::new(layout, 1, &bundle("2.0.0"));
        let running = device.start().unwrap().unwrap();
        let refused = device.update(&running, &bundle("1.0.0"), false).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Downgrade);
        device.update(&running, &bundle("1.0.0"), true).unwrap();
        let back = device.start().unwrap().unwrap();
        assert_eq!((back.version.to_string().as_str(), back.on_trial), ("1.0.0", true));
        device.confirm(&back).unwrap();
        device.check_settled();
    }
}

#[test]
fn a_staged_bundle_that_is_gone_or_changed_leaves_the_installed_version() {
    let gone: [Option<Vec<u8>>; 3] =
        [None, Some(b"not a bundle".to_vec()), Some(bundle("2.0.0")[..2000].to_vec())];
    for left in gone {
        let mut device = Device::new(Layout::Single, 1, &bundle("1.0.0"));
        let running = device.start().unwrap().unwrap();
        device.update(&running, &bundle("2.0.0"), false).unwrap();
        device.files.put(BundleFile::Staged, left);
        let running = device.start().unwrap().unwrap();
        assert_eq!((running.version.to_string().as_str(), running.on_trial), ("1.0.0", false));
        device.check_settled();
        let state = update::load_boot_state(&device.open().unwrap().0);
        assert_eq!(state.failed.unwrap().outcome, update::Outcome::Refused);
    }
}

#[test]
fn a_broken_slot_is_restored_or_left_for_the_other() {
    for layout in [Layout::Single, Layout::Dual] {
        let mut device = Device::new(layout, 1, &bundle("1.0.0"));
        let running = device.start().unwrap().unwrap();
        device.update(&running, &bundle("2.0.0"), false).unwrap();
        let running = device.start().unwrap().unwrap();
        device.confirm(&running).unwrap();
        device.slot(running.slot).chip.program(device.slot(running.slot).start + 100, &[0; 50]).unwrap();
        let running = device.start().unwrap().unwrap();
        assert_eq!(running.version, version("1.0.0"), "{layout:?}");
        device.check_settled();
    }
}

#[test]
fn with_nothing_to_start_there_is_recovery_and_a_way_back() {
    for layout in [Layout::Single, Layout::Dual] {
        let mut device = Device::new(layout, 1, &bundle("1.0.0"));
        device.slot(Slot::A).chip.program(device.slot(Slot::A).start + 100, &[0; 50]).unwrap();
        assert!(device.start().unwrap().is_none());
        assert!(device.start().unwrap().is_none());
        let (mut log, trust) = device.open().unwrap();
        let bundle = bundle("1.0.0");
        let verified = device.receive(&bundle, &trust, false).unwrap();
        let image = &bundle[verified.image_offset() as usize..];
        update::install_slot(&mut log, Slot::A, &mut device.slot(Slot::A), &verified, image, &mut |_| {})
            .unwrap();
        assert!(device.start().unwrap().unwrap().on_trial);
    }
}

#[test]
fn a_disk_that_is_missing_while_a_slot_is_half_written_is_waited_for() {
    let mut device = Device::new(Layout::Single, 1, &bundle("1.0.0"));
    let running = device.start().unwrap().unwrap();
    device.update(&running, &bundle("2.0.0"), false).unwrap();
    // Into the second erase of the slot: header and first block.
    device.whole.chip.cut_power_after(u64::from(3 * BLOCK));
    assert!(device.start().is_err());
    device.whole.chip.restore_power();
    device.files.missing = true;
    assert!(device.start().unwrap().is_none());
    device.files.missing = false;
    assert_eq!(device.start().unwrap().unwrap().version, version("2.0.0"));
}

#[test]
fn the_owners_key_stays_while_it_is_needed() {
    let (mut log, _) = update::StateLog::open(Partition::whole(8192, 4096, 1), 0, 8192).unwrap();
    set_owner_key(&mut log, &public(OWNER), true).unwrap();
    set_owner_key(&mut log, &public(OWNER), true).unwrap();
    assert_eq!(set_owner_key(&mut log, &public(STRANGER), true).unwrap_err().kind(), ErrorKind::NotSupported);
    assert_eq!(remove_owner_key(&mut log, true).unwrap_err().kind(), ErrorKind::NotSupported);
    let (loaded, _) = update::Trust::load(&initial_json(), &log).unwrap();
    assert_eq!(loaded, trust().with_owner(Some(public(OWNER))));
    remove_owner_key(&mut log, false).unwrap();
    assert_eq!(update::Trust::load(&initial_json(), &log).unwrap().0, trust());
}
