//! Writes the table of the contract files that are part of the binary: every file under
//! `contracts/` in the workspace, so that a new folder needs no new code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../contracts");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let path = file.strip_prefix(&root).unwrap_or(file);
        let path = path.to_string_lossy().replace('\\', "/");
        let line = writeln!(
            table,
            "    ({path:?}, include_str!({:?})),",
            file.display().to_string()
        );
        line.map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("embedded.rs"), table)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|kind| kind == "toml" || kind == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}
