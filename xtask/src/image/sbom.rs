//! The image's bill of materials and licences: what `crate::sbom` has to be told.
//!
//! Does not belong here: finding crates and packages, and the documents' form (`sbom/`).

use std::fs;
use std::path::{Path, PathBuf};

use super::cache::{self, Inputs};
use super::kernel::{self, Kernel};
use super::media;
use super::places::Places;
use super::programs::Programs;
use super::source::Source;
use super::tool;
use super::toolchain::TARGET;
use crate::sbom::{self, Facts, File, Packaged};
use crate::workspace::Failure;

/// Writes `sbom.cdx.json` and `licences.txt` beside the image, and checks them against what the programs say of
/// themselves.
pub(super) fn write(
    places: &Places,
    source: &Source,
    board: &str,
    programs: &Programs,
    kernel: &Kernel,
    rustc: &str,
) -> Result<(), Failure> {
    let mut files = vec![
        File { name: "candor".to_owned(), path: programs.candor.clone() },
        File { name: "loader".to_owned(), path: programs.loader.clone() },
    ];
    files.extend(
        programs.agent.iter().map(|path| File { name: "board-agent".to_owned(), path: path.clone() }),
    );
    files.extend(
        programs.media.iter().map(|media| File { name: "mpp-host".to_owned(), path: media.host.clone() }),
    );
    let boot_version = kernel::package_version("u-boot-qemu")?;
    let (libc_from, libc_licence) = libc(places)?;
    let shared_libc = programs.media.as_ref().map(|_| media::libc()).transpose()?;
    let mut inputs = Inputs::of("sbom 1").text(board).text(&source.version).text(&source.commit);
    inputs = inputs.text(rustc).text(&libc_from).text(&kernel.version).text(&boot_version);
    inputs = inputs.file(&places.kernel())?.file(&places.source.join("Cargo.lock"))?;
    inputs = inputs.file(&places.source.join("web/ui/package-lock.json"))?;
    for file in &files {
        inputs = inputs.file(&file.path)?;
    }
    let facts = Facts {
        source: places.source.clone(),
        out: places.out.clone(),
        board: board.to_owned(),
        version: source.version.clone(),
        commit: source.commit.clone(),
        epoch: source.epoch,
        target: TARGET.to_owned(),
        rustc: rustc.to_owned(),
        libc_from,
        libc_licence,
        programs: files,
        kernel: Some(sbom::Kernel {
            source: Packaged {
                package: kernel::SOURCE.to_owned(),
                source_package: "linux".to_owned(),
                version: kernel.version.clone(),
                file: places.kernel(),
            },
            config: kernel.config(),
        }),
        boot_loader: Some(Packaged {
            package: "u-boot-qemu".to_owned(),
            source_package: "u-boot".to_owned(),
            version: boot_version,
            file: places.boot(),
        }),
        shared_libc,
        blobs: None,
    };
    cache::make(&places.out.join("sbom.cdx.json"), inputs, || sbom::write(&facts)).map(drop)
}

/// The package that brings the C library, and where its licence lies.
fn libc(places: &Places) -> Result<(String, Option<PathBuf>), Failure> {
    let python = places.toolchain.join("venv/bin/python");
    let mut ask = std::process::Command::new(python);
    let asked = tool::run(ask.args([
        "-c",
        "from importlib.metadata import distribution as d; z = d('ziglang'); print(z.version); print(z.locate_file(''))",
    ]))?;
    let mut lines = asked.lines();
    let (version, folder) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let info = Path::new(folder).join(format!("ziglang-{version}.dist-info/licenses/ziglang/lib/libc/musl"));
    Ok((format!("zig {version}"), fs::exists(&info)?.then_some(info)))
}
