//! Reading files that hold secrets.

use std::{
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// No secret of ours is longer, and a wrong path must not fill the memory.
const LONGEST_BYTES: u64 = 1 << 20;

/// Why a secret file was not read. Never holds its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {cause}; check the path and that this user may read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// Others may read or change it.
    #[error("{path} has mode {mode:04o}, so other users may read or change it; run: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a text file of sensible size.
    #[error("{path} is not a text file of at most 1 MiB; is this the right path?")]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// The permission bits of a secret file if they are too open: readable by others, or writable by anybody but its owner.
/// Readable by its group is allowed, since Kubernetes mounts Secrets so for pods that do not run as root.
#[must_use]
pub fn too_open(mode: u32) -> Option<u32> {
    let bits = mode & 0o777;
    (bits & 0o027 != 0).then_some(bits)
}

/// Reads a file that holds a secret, refusing one that other users may read. The text is wiped from memory when dropped.
///
/// # Errors
/// Unreadable, too open, or not text.
pub fn secret_file(path: impl AsRef<Path>) -> Result<Zeroizing<String>, SecretFileError> {
    let path = path.as_ref();
    let unreadable = |cause| SecretFileError::Unreadable { path: path.to_owned(), cause };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let not_text = || SecretFileError::NotText { path: path.to_owned() };
    // First: the mode of a folder is none to mend.
    if !metadata.is_file() {
        return Err(not_text());
    }
    if let Some(mode) = too_open(metadata.mode()) {
        return Err(SecretFileError::TooOpen { path: path.to_owned(), mode });
    }
    if metadata.len() > LONGEST_BYTES {
        return Err(not_text());
    }
    // Room for all of it, so that it is never moved and left behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 64));
    match file.take(LONGEST_BYTES).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => Err(not_text()),
        Err(cause) => Err(unreadable(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hotkey");
        std::fs::write(&path, "seed").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = secret_file(&path).unwrap_err().to_string();
        assert!(text.contains("chmod 600") && text.contains("0644") && !text.contains("seed"), "{text}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(secret_file(&path).unwrap().as_str(), "seed");
    }

    #[test]
    fn group_may_read_but_not_write() {
        assert_eq!(too_open(0o100_440), None);
        assert_eq!(too_open(0o100_660), Some(0o660));
        assert_eq!(too_open(0o100_604), Some(0o604));
    }

    #[test]
    fn a_folder_or_missing_file_is_an_error_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(secret_file(folder.path()), Err(SecretFileError::NotText { .. })));
        assert!(matches!(secret_file(folder.path().join("none")), Err(SecretFileError::Unreadable { .. })));
    }
}
