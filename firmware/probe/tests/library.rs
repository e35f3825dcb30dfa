//! The media platform's library in a tree, made here by a compiler for ARM.

use std::fs;
use std::path::Path;
use std::process::Command;

use probe::{Facts, FloatAbi, Hardware, inspect, report};

struct Nothing;

impl Hardware for Nothing {
    fn register(&mut self, _: u64) -> Result<u32, String> {
        Err("none".to_owned())
    }

    fn i2c_asked(&self) -> bool {
        false
    }

    fn i2c_answers(&mut self, _: u32, _: u8) -> Result<bool, String> {
        Ok(false)
    }
}

/// `more` comes behind the compiler's other arguments.
fn library(dir: &Path, name: &str, source: &str, more: &[&str]) {
    let code = dir.join(format!("{name}.c"));
    fs::write(&code, source).unwrap();
    let built = Command::new("arm-linux-gnueabi-gcc")
        .args(["-shared", "-nostdlib", "-fPIC", "-march=armv7-a", &format!("-Wl,-soname,{name}"), "-o"])
        .args([dir.join(name), code])
        .args(more)
        .output()
        .expect("arm-linux-gnueabi-gcc (xtask/install.sh image)");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[test]
fn what_decides_about_loading_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let lib = dir.path().join("mnt/custom/lib");
    fs::create_dir_all(&lib).unwrap();
    library(&lib, "libc.so.0", "int puts(const char *t) { return 0; }", &[]);
    let source = "int puts(const char *);\nconst char version[] = \"HI_VERSION=Hi3521A_MPP_V1.0.5.0 B030 Release\";\n\
                  float half(float x) { puts(version); return x / 2; }";
    let with_libc = lib.join("libc.so.0");
    let with_libc = ["-Wl,--no-as-needed", with_libc.to_str().unwrap()];
    library(
        &lib,
        "libmpi.so",
        source,
        &[&with_libc[..], &["-mfloat-abi=softfp", "-mfpu=neon-vfpv4"]].concat(),
    );
    fs::write(lib.join("ld-uClibc-0.9.33.2.so"), "").unwrap();
    fs::write(lib.join("libmpi.so.broken"), "\x7fELF\x01\x01").unwrap();

    let facts = Facts::gather(dir.path(), &mut Nothing);
    let [found] = &facts.libraries[..] else { panic!("{:?}", facts.libraries) };
    assert_eq!(found.path, "/mnt/custom/lib/libmpi.so");
    let inspected = &found.inspected;
    assert_eq!(inspected.mpp_version.as_deref(), Some("Hi3521A_MPP_V1.0.5.0 B030 Release"));
    assert_eq!((inspected.machine.as_str(), inspected.float), ("arm", FloatAbi::Soft));
    assert_eq!((inspected.soname.as_deref(), inspected.libc()), (Some("libmpi.so"), Some("uClibc")));
    assert_eq!(facts.libc, ["ld-uClibc-0.9.33.2.so"]);
    assert!(facts.missed.iter().any(|missed| missed.path.ends_with("libmpi.so.broken")));
    assert!(report(&facts).contains("Hi3521A_MPP_V1.0.5.0 B030 Release: arm, soft-float calls, uClibc"));
}

#[test]
fn the_other_calling_convention_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let source = "float half(float x) { return x / 2; }";
    library(dir.path(), "libhard.so", source, &["-mfloat-abi=hard", "-mfpu=vfpv3-d16"]);
    let inspected = inspect(&fs::read(dir.path().join("libhard.so")).unwrap()).unwrap();
    assert_eq!(inspected.float, FloatAbi::Hard);
    assert_eq!((inspected.mpp_version, inspected.module), (None, false));
}
