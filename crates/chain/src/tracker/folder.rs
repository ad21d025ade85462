//! A folder of snapshots, read one at a time in the order of their names, which is that of their times.

use super::snapshot::{Snapshot, SnapshotError};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The snapshot files of a folder (`snapshot_*.json`, `snapshot_*.json.gz`), oldest first.
///
/// # Errors
/// If the folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snapshot_") && (name.ends_with(".json") || name.ends_with(".json.gz")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the files of a folder, one at a time: an earlier snapshot is dropped unless the caller keeps it.
///
/// # Errors
/// If the folder cannot be read; a file that cannot is handed on as its own error.
pub fn stream(folder: &Path) -> io::Result<impl Iterator<Item = (PathBuf, Result<Snapshot, SnapshotError>)> + use<>> {
    Ok(files(folder)?.into_iter().map(|path| {
        let read = Snapshot::read(&path);
        (path, read)
    }))
}
