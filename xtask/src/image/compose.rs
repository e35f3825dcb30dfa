//! The steps from source to flash images, in their order.

use std::fs;
use std::path::PathBuf;

use board::{Board, CaptureBackend};

use super::cache::{self, Inputs};
use super::kernel::Kernel;
use super::places::Places;
use super::programs::Programs;
use super::progress::{self, step};
use super::sizes::{self, Parts};
use super::source::Source;
use super::toolchain::Toolchain;
use super::{bundle, flash, initramfs, kernel, keys, programs, root, sbom, stage};
use crate::workspace::Failure;

/// Boards that QEMU plays. They are one machine: the second has the vendor's media platform besides.
const EMULATED: [&str; 2] = ["virt-a7", "virt-mpp"];

/// The layouts of flash that one image fits.
pub(super) const LAYOUTS: [&str; 2] = ["16", "64"];

/// What was made, for those who compare or run it.
pub(super) struct Image {
    pub(super) places: Places,
    pub(super) bundle: PathBuf,
}

/// Makes an image of `source` in `places`; what is up to date stays.
pub(super) fn build(places: &Places, source: &Source, name: &str, agent: bool) -> Result<Image, Failure> {
    if !EMULATED.contains(&name) {
        return Err(format!(
            "an image for {name} holds its vendor's kernel, which is built with Buildroot (docs/buildroot.md); this \
             command makes images for {}",
            EMULATED.join(" and ")
        )
        .into());
    }
    // Durations for a person; nothing depends on them.
    #[allow(clippy::disallowed_methods)]
    let begun = std::time::Instant::now();
    let boards = LAYOUTS
        .map(|layout| Ok((layout, Board::builtin(&format!("{name}-{layout}"))?)))
        .into_iter()
        .collect::<Result<Vec<_>, Failure>>()?;
    println!("{}Candor {} for {name}, commit {}", places.label, source.version, source.short_commit());
    fs::create_dir_all(&places.out)?;
    let cpu = boards[0].1.soc.cpu.as_deref().ok_or("the board's core is not described")?;
    let toolchain = step(places.label, "tools", || Toolchain::find(cpu))?;
    let kernel = step(places.label, "kernel", || {
        let kernel = shared_kernel(places)?;
        cache::make(&places.kernel(), Inputs::of("kernel").file(&kernel.image())?, || {
            fs::copy(kernel.image(), places.kernel())?;
            Ok(())
        })?;
        Ok(kernel)
    })?;
    let has_media = boards[0].1.capture == CaptureBackend::Himpp;
    let programs =
        step(places.label, "programs", || programs::build(places, source, &toolchain, agent, has_media))?;
    let keys = step(places.label, "keys", || keys::open(&places.keys, source))?;
    let initramfs =
        step(places.label, "stage", || make_stage(places, source, &programs, &keys.root_document))?;
    let files =
        step(places.label, "root", || root::build(places, source, &programs, &kernel, &keys.root_document))?;
    let sealed = step(places.label, "bundle", || bundle::write(places, source, name, &keys))?;
    step(places.label, "flash images", || {
        flash::write_boot(places)?;
        for (layout, board) in &boards {
            let chip = board.flash.first().ok_or("the board has no flash")?;
            stage::write_environment(places, layout, board, chip)?;
            let inputs = Inputs::of("nor 1").file(&sealed.path)?.text(&format!("{chip:?}"));
            let inputs = inputs.file(&places.environment(layout))?.file(&places.stage())?;
            cache::make(&places.nor(layout), inputs, || flash::write_nor(places, layout, chip, &sealed))?;
        }
        Ok(())
    })?;
    step(places.label, "bill of materials", || {
        sbom::write(places, source, name, &programs, &kernel, &toolchain.words)
    })?;
    let parts = Parts {
        kernel: &places.kernel(),
        loader: &programs.loader,
        initramfs: &initramfs,
        stage: &places.stage(),
        root: &places.root(),
        files: &files,
    };
    let (table, faults) = sizes::table(&boards, &parts)?;
    fs::write(places.out.join("sizes.txt"), &table)?;
    println!("\n{table}");
    if !faults.is_empty() {
        return Err(format!("it does not fit: {}", faults.join("; ")).into());
    }
    println!("==> {} in {}, {}", places.out.display(), progress::words(begun.elapsed()), toolchain.words);
    Ok(Image { places: places.clone(), bundle: sealed.path })
}

/// The kernel of all images that this command makes.
pub(super) fn shared_kernel(places: &Places) -> Result<Kernel, Failure> {
    kernel::build(places, EMULATED[0])
}

fn make_stage(
    places: &Places,
    source: &Source,
    programs: &Programs,
    root_keys: &[u8],
) -> Result<PathBuf, Failure> {
    let packed = places.out.join("initramfs.cpio.xz");
    let inputs =
        Inputs::of("initramfs 1").bytes(root_keys).text(&source.epoch.to_string()).file(&programs.loader)?;
    cache::make(&packed, inputs, || initramfs::write(&packed, &programs.loader, root_keys, source))?;
    let inputs = Inputs::of("stage 1").text(&source.version).text(&source.epoch.to_string());
    cache::make(&places.stage(), inputs.file(&packed)?.file(&places.kernel())?, || {
        stage::write(places, source, &packed)
    })?;
    Ok(packed)
}
