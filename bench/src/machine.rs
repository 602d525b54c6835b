//! What it was measured on.

use std::process::Command;

use serde::Serialize;

/// The machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Whether it computes SHA-256 by instructions of its own; without, hashing outweighs everything else.
    pub sha_extensions: bool,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The distribution.
    pub os: String,
    /// The compiler.
    pub rustc: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = field(&cpuinfo, "model name", ':').unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let flags =
            field(&cpuinfo, "flags", ':').or_else(|| field(&cpuinfo, "Features", ':')).unwrap_or_default();
        let memory = field(&read("/proc/meminfo"), "MemTotal", ':').unwrap_or_default();
        let kib: u64 = memory.trim_end_matches(" kB").trim().parse().unwrap_or(0);
        let rustc =
            Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        Self {
            cpu,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            sha_extensions: flags.split(' ').any(|flag| matches!(flag, "sha_ni" | "sha2")),
            memory_mib: kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            os: field(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_else(|| "Linux".to_owned()),
            rustc: String::from_utf8_lossy(&rustc).trim().to_owned(),
        }
    }
}

fn field(text: &str, name: &str, separator: char) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(separator)?;
        (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    })
}
