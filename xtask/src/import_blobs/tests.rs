//! Dumps made here: real file systems between noise, whole, cut, and changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use ring::digest::{SHA256, digest};
use tempfile::TempDir;

use super::command::{import, read};
use super::scan::Format;
use crate::workspace::root;

const FORMATS: [&str; 4] = ["squashfs", "cramfs", "romfs", "jffs2"];

fn tool(command: &mut Command) {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().unwrap_or_else(|error| panic!("{name}: {error}; xtask/install.sh test"));
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
}

fn compile(source: &str, out: &Path, arguments: &[&str]) {
    let code = out.with_extension("c");
    fs::write(&code, source).unwrap();
    tool(Command::new("arm-linux-gnueabi-gcc").args(arguments).arg("-o").arg(out).arg(&code));
    fs::remove_file(code).unwrap();
}

/// What a vendor's root holds: a module, a library and its link, and what is to be left alone.
fn vendor_root(dir: &Path) -> PathBuf {
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("usr/lib")).unwrap();
    fs::create_dir(tree.join("komod")).unwrap();
    let module = "__attribute__((section(\".modinfo\"))) const char a[] = \"license=Proprietary\\0\"\n\
                  \"vermagic=3.10.0 mod_unload ARMv7 p2v8 \"; int work[9000] = {1, 2, 3};";
    compile(module, &tree.join("komod/hi3521a_base.ko"), &["-c", "-march=armv7-a"]);
    let library = "const char version[] = \"HI_VERSION=Hi3521A_MPP_V1.0.5.0\"; int table[20000] = {7};";
    let arguments = ["-shared", "-nostdlib", "-fPIC", "-march=armv7-a"];
    compile(library, &tree.join("usr/lib/libmpi.so"), &arguments);
    symlink("libmpi.so", tree.join("usr/lib/libmpi.so.0")).unwrap();
    symlink("/etc/passwd", tree.join("usr/lib/libout.so")).unwrap();
    fs::write(tree.join("usr/lib/libtext.so"), "no ELF file").unwrap();
    fs::write(tree.join("passwd"), "root:x").unwrap();
    let (plain, wrapped) = (dir.join("zImage"), tree.join("komod/zImage.img"));
    fs::write(&plain, noise(77, 5000)).unwrap();
    tool(
        Command::new("mkimage")
            .args([
                "-A",
                "arm",
                "-O",
                "linux",
                "-T",
                "kernel",
                "-C",
                "none",
                "-a",
                "0x80008000",
                "-e",
                "0x80008000",
            ])
            .args(["-n", "Linux-3.10.0", "-d"])
            .args([&plain, &wrapped]),
    );
    tree
}

fn image(format: &str, tree: &Path, dir: &Path) -> Vec<u8> {
    let out = dir.join(format);
    let command = match format {
        "squashfs" => &mut Command::new("mksquashfs"),
        "cramfs" => &mut Command::new("/usr/sbin/mkfs.cramfs"),
        "romfs" => &mut Command::new("genromfs"),
        _ => &mut Command::new("/usr/sbin/mkfs.jffs2"),
    };
    match format {
        "squashfs" => command.arg(tree).arg(&out).args(["-comp", "xz", "-noappend", "-quiet", "-all-root"]),
        "cramfs" => command.arg(tree).arg(&out),
        "romfs" => command.arg("-d").arg(tree).arg("-f").arg(&out),
        _ => command.arg("-l").arg("-e").arg("0x10000").arg("-r").arg(tree).arg("-o").arg(&out),
    };
    tool(command);
    fs::read(out).unwrap()
}

/// Bytes that look like nothing, always the same.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let blocks =
        (0..).flat_map(|n: u64| digest(&SHA256, &[seed, n].map(u64::to_le_bytes).concat()).as_ref().to_vec());
    blocks.take(length).collect()
}

/// Each part at the next multiple of 64 KiB, behind noise that fills the gap.
fn dump(parts: &[&[u8]]) -> Vec<u8> {
    let mut dump = noise(0, 0x1_0000);
    for (seed, part) in (1..).zip(parts) {
        dump.extend_from_slice(part);
        let gap = dump.len().next_multiple_of(0x1_0000) - dump.len() + 0x1_0000;
        dump.extend(noise(seed, gap));
    }
    dump
}

struct Made {
    dir: TempDir,
    tree: PathBuf,
}

fn made() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let tree = vendor_root(dir.path());
    Made { dir, tree }
}

/// All files below a folder, with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut left) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                left.push(path);
            } else {
                assert!(entry.file_type().unwrap().is_file(), "{} is no plain file", path.display());
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn each_file_system_gives_its_modules_and_libraries() {
    let made = made();
    for format in FORMATS {
        let dir = made.dir.path().join(format!("{format}-out"));
        fs::create_dir(&dir).unwrap();
        let file = dir.join("flash.bin");
        fs::write(&file, dump(&[&image(format, &made.tree, made.dir.path())])).unwrap();
        let out = dir.join("blobs");
        import(&file, &out).unwrap_or_else(|error| panic!("{format}: {error}"));
        let expected: BTreeMap<String, Vec<u8>> =
            [("lib/libmpi.so", "usr/lib/libmpi.so"), ("modules/hi3521a_base.ko", "komod/hi3521a_base.ko")]
                .map(|(to, from)| (to.to_owned(), fs::read(made.tree.join(from)).unwrap()))
                .into();
        let mut written = files(&out);
        assert!(written.remove("kernel/zImage") == Some(noise(77, 5000)), "{format}");
        assert!(written == expected, "{format}");
        // What Buildroot checks before it takes the folder.
        tool(
            Command::new(root().join("buildroot/scripts/check-blobs.sh"))
                .args([&out, &dir.join("blobs.sha256")]),
        );
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.join("blobs.json")).unwrap()).unwrap();
        assert_eq!(json["file_systems"][0]["format"], format);
        assert_eq!(json["file_systems"][0]["offset"], 0x1_0000);
        assert_eq!(json["files"][1]["mpp_version"], "Hi3521A_MPP_V1.0.5.0");
        assert_eq!(json["files"][1]["float"], "soft");
        assert_eq!(json["files"][2]["vermagic"], "3.10.0 mod_unload ARMv7 p2v8");
        assert_eq!(json["links"], serde_json::json!({ "libmpi.so.0": "libmpi.so" }));
        assert_eq!(json["problems"], serde_json::json!([]));
        assert!(json["notes"][0].as_str().unwrap().contains("libtext.so: no ELF file"), "{json}");
        // A second time nothing is touched.
        let again = import(&file, &out).unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
    }
}

#[test]
fn a_whole_chip_gives_all_and_names_what_differs() {
    let made = made();
    let images: Vec<Vec<u8>> =
        FORMATS.iter().map(|format| image(format, &made.tree, made.dir.path())).collect();
    // Another module of the same name in a second JFFS2, and the line that says where each partition ends.
    compile("int other = 1;", &made.tree.join("komod/hi3521a_base.ko"), &["-c"]);
    let other = image("jffs2", &made.tree, made.dir.path());
    let wrapped = made.tree.join("komod/zImage.img");
    let wrapped = fs::read(wrapped).unwrap();
    let mut parts: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    parts.push(&wrapped);
    let first = dump(&parts).len();
    parts.push(&other);
    let mut dump = dump(&parts);
    let line = format!(
        "bootargs=mem=64M mtdparts=hi_sfc:{}K(all),{}K(mtd)\0",
        first >> 10,
        (dump.len() - first) >> 10
    );
    dump[100..100 + line.len()].copy_from_slice(line.as_bytes());

    let (places, keep) = read(&dump);
    let found: Vec<&str> = places.iter().map(|place| place.format.name()).collect();
    assert_eq!(found, ["squashfs", "cramfs", "romfs", "jffs2", "uImage", "jffs2"]);
    let Format::Uimage(header) = &places[4].format else { panic!("{places:?}") };
    assert_eq!((header.name.as_str(), header.load), ("Linux-3.10.0", 0x8000_8000));
    let names: Vec<&str> = keep.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["kernel/zImage", "lib/libmpi.so", "modules/hi3521a_base.ko"]);
    assert_eq!(keep.files["kernel/zImage"].bytes, noise(77, 5000));
    assert_eq!(keep.problems, [""; 0]);
    let differs: Vec<_> = keep.notes.iter().filter(|note| note.contains("not the same")).collect();
    assert!(differs.len() == 1 && differs[0].contains("hi3521a_base.ko"), "{:?}", keep.notes);
}

#[test]
fn other_packings_of_the_same_are_read() {
    let made = made();
    let expected = fs::read(made.tree.join("usr/lib/libmpi.so")).unwrap();
    let jffs2 = |more: &[&str]| {
        let out = made.dir.path().join("other");
        let mut command = Command::new("/usr/sbin/mkfs.jffs2");
        tool(
            command.args(["-l", "-e", "0x20000", "-n", "-r"]).arg(&made.tree).arg("-o").arg(&out).args(more),
        );
        fs::read(out).unwrap()
    };
    let squashfs = |compression: &str| {
        let out = made.dir.path().join(compression);
        let mut command = Command::new("mksquashfs");
        tool(command.arg(&made.tree).arg(&out).args(["-comp", compression, "-noappend", "-quiet"]));
        fs::read(out).unwrap()
    };
    for image in [jffs2(&["-x", "zlib"]), jffs2(&["-m", "none"]), squashfs("gzip")] {
        let (_, keep) = read(&dump(&[&image]));
        assert_eq!(keep.problems, [""; 0]);
        assert!(keep.files["lib/libmpi.so"].bytes == expected);
    }
    let (_, keep) = read(&dump(&[&squashfs("lzo")]));
    assert!(keep.files.is_empty() && keep.problems[0].contains("packed with lzo"), "{:?}", keep.problems);
}

#[test]
fn a_dump_that_ends_too_early_gives_what_is_there() {
    let made = made();
    let (romfs, squashfs) =
        (image("romfs", &made.tree, made.dir.path()), image("squashfs", &made.tree, made.dir.path()));
    let mut dump = dump(&[&romfs, &squashfs]);
    let places = read(&dump).0;
    dump.truncate(places[1].offset + places[1].length / 2);
    let file = made.dir.path().join("cut.bin");
    fs::write(&file, &dump).unwrap();
    let out = made.dir.path().join("cut");
    let error = import(&file, &out).unwrap_err().to_string();
    assert!(error.contains("the result is partial"), "{error}");
    assert_eq!(files(&out).len(), 3, "the romfs is whole");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(made.dir.path().join("cut.json")).unwrap()).unwrap();
    assert!(json["problems"][0].as_str().unwrap().contains("bytes are in the dump"), "{json}");

    fs::write(&file, noise(3, 100_000)).unwrap();
    let error = import(&file, &made.dir.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("no module and no library"), "{error}");
    assert!(!made.dir.path().join("none").exists());
}

#[test]
fn a_log_without_its_end_gives_no_file_with_holes() {
    let made = made();
    let whole = image("jffs2", &made.tree, made.dir.path());
    let mut cut = 0;
    for part in [20, 40, 60, 80] {
        let (_, keep) = read(&whole[..whole.len() * part / 100]);
        for (to, from) in
            [("lib/libmpi.so", "usr/lib/libmpi.so"), ("modules/hi3521a_base.ko", "komod/hi3521a_base.ko")]
        {
            match keep.files.get(to) {
                Some(kept) => {
                    assert!(kept.bytes == fs::read(made.tree.join(from)).unwrap(), "{part} %: {to}");
                }
                None => cut += keep.problems.iter().filter(|problem| problem.contains("pieces")).count(),
            }
        }
    }
    assert!(cut > 0);
}

/// Names that would lead out of the folder, put into images where harmless ones of the same length were.
#[test]
fn no_name_leads_out_of_the_folder() {
    let made = made();
    let harmless = "up_up_up_up_evil.ko";
    fs::rename(made.tree.join("komod/hi3521a_base.ko"), made.tree.join("komod").join(harmless)).unwrap();
    for format in ["romfs", "cramfs"] {
        for evil in ["../../../../evil.ko", "/../../etc/evil\0.ko", "a/../..\n/../evil.ko"] {
            let mut image = image(format, &made.tree, made.dir.path());
            let at = memchr::memmem::find(&image, harmless.as_bytes()).unwrap();
            image[at..at + evil.len()].copy_from_slice(evil.as_bytes());
            let place = tempfile::tempdir().unwrap();
            let file = place.path().join("flash.bin");
            fs::write(&file, dump(&[&image])).unwrap();
            let out = place.path().join("deep/blobs");
            // A checksum may be wrong now: partial or not, what is written is inside.
            let _ = import(&file, &out);
            let written = files(place.path());
            assert!(
                written.keys().any(|name| name == "deep/blobs/lib/libmpi.so"),
                "{format}: {:?}",
                written.keys()
            );
            assert!(
                written.keys().all(|name| {
                    name == "flash.bin"
                        || name == "deep/blobs.json"
                        || name == "deep/blobs.sha256"
                        || [
                            "deep/blobs/lib/libmpi.so",
                            "deep/blobs/modules/evil.ko",
                            "deep/blobs/kernel/zImage",
                        ]
                        .contains(&name.as_str())
                }),
                "{format}: {:?}",
                written.keys()
            );
        }
    }
}

#[test]
fn a_file_larger_than_any_module_is_left_out() {
    let made = made();
    let bomb = fs::File::create(made.tree.join("komod/bomb.ko")).unwrap();
    bomb.set_len(200 << 20).unwrap();
    let (_, keep) = read(&dump(&[&image("squashfs", &made.tree, made.dir.path())]));
    assert_eq!(keep.files.len(), 3);
    assert!(keep.problems[0].contains("bomb.ko: 209715200 bytes"), "{:?}", keep.problems);
}

/// Changed bytes and missing ends: no panic, no more bytes than there may be, and only names that may be.
#[test]
fn damaged_images_do_no_harm() {
    let made = made();
    let images: Vec<Vec<u8>> =
        FORMATS.iter().map(|format| image(format, &made.tree, made.dir.path())).collect();
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    // Most of what is interesting is in the first and the last few hundred bytes.
    let place = prop_oneof![0.0..1.0_f64, 0.0..0.02_f64, 0.97..1.0_f64];
    let strategy = (
        0..images.len(),
        prop::collection::vec((place, any::<u8>()), 1..12),
        prop_oneof![Just(1.0), 0.1..1.0_f64],
    );
    runner
        .run(&strategy, |(which, changes, part)| {
            let mut image = images[which].clone();
            let length = image.len() as f64;
            for (at, value) in changes {
                image[(at * length) as usize] = value;
            }
            image.truncate((length * part) as usize);
            let (_, keep) = read(&image);
            for name in keep.files.keys() {
                prop_assert!(
                    ["lib/", "modules/", "kernel/zImage"].iter().any(|start| name.starts_with(start))
                );
                prop_assert_eq!(name.matches('/').count(), 1);
            }
            Ok(())
        })
        .unwrap();
}
