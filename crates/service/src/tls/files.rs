//! Files of the state folder: written whole or not at all, keys readable by their owner only.

use super::TlsError;
use std::{
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};
use zeroize::Zeroizing;

fn trouble(path: &Path, cause: std::io::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), cause }
}

/// Makes the folder for its owner only, if it is not there.
pub(super) fn folder(path: &Path) -> Result<(), TlsError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|cause| trouble(path, cause))
}

/// The text of a file, `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, TlsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(trouble(path, cause)),
    }
}

/// Writes mode 0600 beside the target and renames, so that a crash leaves the old file or the new one.
pub(super) fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let attempt = || {
        match std::fs::remove_file(&beside) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    attempt().map_err(|cause| trouble(path, cause))
}
