//! Files that appear whole or not at all, and that only their owner may read.

use super::StateError;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

fn failed(path: &Path) -> impl Fn(std::io::Error) -> StateError + '_ {
    move |cause| StateError::File { path: path.to_owned(), cause }
}

pub(super) fn make_folder(path: &Path) -> Result<(), StateError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))
}

/// Writes a file aside and moves it into place, so that a crash leaves the old one or the new one.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let draft = path.with_extension("draft");
    remove(&draft)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed(&draft))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed(&draft))?;
    std::fs::rename(&draft, path).map_err(failed(path))
}

pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(path)(error.into()))?;
    write(path, &text)
}

/// The record in a file; one that cannot be read is as good as none, and is named in the log.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read a record of the state folder; going on without it");
            return None;
        }
    };
    match serde_json::from_slice(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a record of the state folder is damaged; going on without it");
            None
        }
    }
}

/// The text of a secret file, or none if there is no such file.
pub(super) fn read_secret(path: &Path) -> Result<Option<Zeroizing<String>>, StateError> {
    match service::secret_file(path) {
        Ok(text) => Ok(Some(text)),
        Err(service::SecretFileError::Unreadable { cause, .. }) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(service::SecretFileError::Unreadable { path, cause }) => Err(StateError::File { path, cause }),
        Err(other) => Err(StateError::Key { path: path.to_owned(), why: other.to_string() }),
    }
}

pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}
