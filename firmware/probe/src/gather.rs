//! Looking at a system: each file once, none written.
//!
//! Does not belong here: reading a file's form (the file of its subject), words for people (`report.rs`).

use std::path::Path;

use crate::cmdline::CommandLine;
use crate::facts::{Cpu, Facts, Memory, SocFinding, SocSource};
use crate::hardware::Hardware;
use crate::soc::{self, ChipId};
use crate::tree::Tree;
use crate::{devices, i2c, libraries, memory, storage};

/// ARM's numbers for its cores (`CPU part`).
const CORES: [(&str, &str); 6] = [
    ("0x926", "arm926"),
    ("0xc07", "cortex-a7"),
    ("0xc08", "cortex-a8"),
    ("0xc09", "cortex-a9"),
    ("0xc0f", "cortex-a15"),
    ("0xc0e", "cortex-a17"),
];

impl Facts {
    /// Looks at the system whose root is `root`: `/`, or a copy of one.
    #[must_use]
    pub fn gather(root: &Path, hardware: &mut dyn Hardware) -> Self {
        let tree = Tree::new(root);
        let command_line = CommandLine::parse(&tree.text("/proc/cmdline").unwrap_or_default());
        let iomem = tree.text("/proc/iomem").unwrap_or_default();
        let modules = devices::modules(&tree);
        let cpu = cpu(&tree);
        let soc = soc(&tree, &cpu, &iomem, &modules, hardware);
        let memory = Memory {
            total_kib: tree.text("/proc/meminfo").and_then(|text| memory::total_kib(&text)),
            system_ram: memory::system_ram(&iomem),
            zones: memory::zones(&tree.text("/proc/media-mem").unwrap_or_default()),
        };
        let flash = storage::chips(&tree, &command_line);
        let found = libraries::search(&tree);
        let mut watchdogs = devices::class(&tree, "watchdog", "identity");
        for node in devices::nodes(&tree, &["watchdog", "wdt", "hiwdt"]) {
            if watchdogs.iter().all(|known| known.device != node) {
                watchdogs.push(devices::NamedDevice { device: node, name: None });
            }
        }
        let mut networks = devices::class(&tree, "net", "device/driver/name");
        networks.retain(|network| network.device != "lo");
        Self {
            kernel: tree.text("/proc/version").map(|text| text.trim().to_owned()),
            command_line,
            cpu,
            soc,
            memory,
            flash,
            modules,
            umap: devices::umap(&tree),
            libraries: found.libraries,
            libc: found.libc,
            i2c: i2c::findings(&tree, hardware),
            decoder_nodes: devices::nodes(&tree, &["nc_vdec", "nvp", "tp28", "tw28", "tw29"]),
            gpio: devices::gpio(&tree),
            watchdogs,
            rtcs: devices::class(&tree, "rtc", "name"),
            disks: devices::disks(&tree),
            networks,
            serials: devices::nodes(&tree, &["ttyAMA", "ttyS"]),
            missed: tree.into_missed(),
        }
    }
}

fn cpu(tree: &Tree) -> Cpu {
    let text = tree.text("/proc/cpuinfo").unwrap_or_default();
    let values = |wanted: &'static str| {
        text.lines().filter_map(move |line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == wanted).then(|| value.trim())
        })
    };
    let part = values("CPU part").next();
    Cpu {
        hardware: values("Hardware").next().map(str::to_owned),
        core: CORES.iter().find(|(number, _)| part == Some(*number)).map(|(_, name)| *name),
        cores: u8::try_from(values("processor").count()).unwrap_or(u8::MAX),
        features: values("Features")
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    }
}

fn soc(
    tree: &Tree,
    cpu: &Cpu,
    iomem: &str,
    modules: &[devices::KernelModule],
    hardware: &mut dyn Hardware,
) -> SocFinding {
    let mut finding = SocFinding::default();
    if let Some(id) = chip_id(tree, iomem, hardware) {
        finding.chip_id = Some(id.family);
        if let Some(model) = id.model {
            finding.model = Some(soc::name(model));
            finding.source = Some(SocSource::ChipId);
            finding.ambiguous = id.ambiguous;
            return finding;
        }
    }
    let tree_model = ["/proc/device-tree/compatible", "/proc/device-tree/model"];
    let said =
        cpu.hardware.clone().into_iter().chain(tree_model.iter().filter_map(|path| tree.line_if_any(path)));
    if let Some(model) = said.into_iter().find_map(|text| soc::by_name(&text)) {
        finding.model = Some(soc::name(model));
        finding.source = Some(SocSource::Kernel);
        return finding;
    }
    if let Some(model) = modules.iter().find_map(|module| soc::by_name(&module.name)) {
        finding.model = Some(soc::name(model));
        finding.source = Some(SocSource::Modules);
        // Chips of a family share their modules: Hi3520DV300's are called hi3521a.
        finding.ambiguous = true;
    }
    finding
}

/// Read only where a UART stands at the place that such chips have theirs: elsewhere nothing may answer, and to look
/// there would end the program.
fn chip_id(tree: &Tree, iomem: &str, hardware: &mut dyn Hardware) -> Option<ChipId> {
    let first = soc::system_controller(iomem)? + soc::CHIP_ID_OFFSET;
    let mut words = [0; 4];
    for (word, place) in words.iter_mut().zip(0_u64..) {
        match hardware.register(first + 4 * place) {
            Ok(value) => *word = value,
            Err(why) => {
                tree.miss("/dev/mem", format!("the chip's identity: {why}"));
                return None;
            }
        }
    }
    Some(ChipId::from_words(words))
}
