//! Takes the rules into the program, so that what checks a plan cannot be changed beside it.

use std::{env, fmt::Write as _, fs, io, path::Path};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let mut source = String::new();
    for (folder, name) in [("rules", "RULES"), ("library", "LIBRARY")] {
        println!("cargo::rerun-if-changed={folder}");
        let mut files: Vec<_> = fs::read_dir(Path::new(&root).join(folder))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "rego"));
        files.sort();
        let _ = writeln!(source, "pub(crate) const {name}: &[(&str, &str)] = &[");
        for path in files {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let _ = writeln!(source, "    ({stem:?}, include_str!({path:?})),");
        }
        let _ = writeln!(source, "];");
    }
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("rules.rs"), source)
}
