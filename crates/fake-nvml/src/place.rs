//! Where cargo put the library.

use std::path::PathBuf;

/// The library's file, for tests that have this crate as a dependency: cargo builds it beside their own program.
///
/// # Panics
/// Elsewhere: where no library lies beside the program.
#[must_use]
pub fn built_library() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().expect("a program lies in a folder");
    let entries = std::fs::read_dir(folder).expect("the folder of the program can be read");
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libfake_nvml") && name.ends_with(".so")
        })
        .collect();
    found.sort_by_key(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok());
    found.pop().expect("cargo builds the library of a dev-dependency")
}
