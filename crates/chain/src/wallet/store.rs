//! Key files on disk: read with their permission bits, written whole or not at all.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeyFile, KeyFileError};

/// No key file is longer, and a wrong path must not fill the memory.
const LONGEST_BYTES: u64 = 1 << 16;

/// A key file as it lies on disk.
#[derive(Debug)]
pub struct Stored {
    /// What it says.
    pub key: KeyFile,
    /// Its permission bits, for whoever warns of files that others may read.
    pub mode: u32,
}

/// Why a key file was not read or written. Never holds its content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// It cannot be opened or read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Larger than any key file, or no file at all.
    #[error("{0} is not a file of at most 64 KiB, so no key file")]
    TooLarge(PathBuf),
    /// It says no key.
    #[error("{path}: {cause}")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: KeyFileError,
    },
    /// It is there already, and nobody said that it may be replaced.
    #[error("{0} exists already; nothing was written")]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {path}: {cause}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// Reads a key file.
///
/// # Errors
/// See [`StoreError`].
pub fn read(path: &Path) -> Result<Stored, StoreError> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => StoreError::Unreadable { path: path.to_owned(), cause },
    };
    // A pipe would be waited for; it is no file.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > LONGEST_BYTES {
        return Err(StoreError::TooLarge(path.to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1));
    File::open(path).map_err(failed)?.take(LONGEST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let key = KeyFile::parse(&bytes).map_err(|cause| StoreError::NoKey { path: path.to_owned(), cause })?;
    Ok(Stored { key, mode: metadata.mode() & 0o7777 })
}

/// Writes a key file with mode 0600 into folders that are made with mode 0700. It appears whole under its name, or not at all; without
/// `overwrite` it never takes the place of another, not even of one that appears meanwhile.
///
/// # Errors
/// See [`StoreError`].
pub fn write(path: &Path, bytes: &[u8], overwrite: bool) -> Result<(), StoreError> {
    let failed = |cause: io::Error| StoreError::Unwritable { path: path.to_owned(), cause };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(StoreError::Exists(path.to_owned()));
    }
    // Made with mode 0600, beside its place, under a name that lists pass over.
    let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let placed = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists(path.to_owned()),
        _ => failed(error.error),
    })?;
    // The name is on disk only with the folder; some file systems cannot do that, and have no need to.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{WalletKey, key_from_uri, public_json};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn alice() -> WalletKey {
        key_from_uri("//Alice").unwrap()
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_are_for_their_owner_alone_and_so_are_new_folders() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("wallet/hotkeys/default");
        write(&path, &alice().to_json(), false).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap()), mode(&root.path().join("wallet"))), (0o600, 0o700, 0o700));
        let stored = read(&path).unwrap();
        assert_eq!((stored.mode, stored.key.address()), (0o600, Some(alice().address())));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().mode, 0o644);
    }

    #[test]
    fn a_file_is_replaced_only_when_told_to() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("coldkey");
        write(&path, &alice().to_json(), false).unwrap();
        let other = public_json(key_from_uri("//Bob").unwrap().address());
        assert!(matches!(write(&path, &other, false), Err(StoreError::Exists(_))));
        assert_eq!(read(&path).unwrap().key.address(), Some(alice().address()));
        write(&path, &other, true).unwrap();
        assert!(matches!(read(&path).unwrap().key, KeyFile::Public(_)));
        assert_eq!(root.path().read_dir().unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_dangling_link_is_not_written_through() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("coldkey");
        std::os::unix::fs::symlink(root.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(write(&path, b"x", false), Err(StoreError::Exists(_))));
        assert!(!root.path().join("elsewhere").exists());
    }

    #[test]
    fn what_is_no_key_file_is_told_by_its_path() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("hotkey");
        assert!(matches!(read(&path), Err(StoreError::Missing(_))));
        assert!(matches!(read(root.path()), Err(StoreError::TooLarge(_))));
        std::fs::write(&path, vec![b'x'; (1 << 16) + 1]).unwrap();
        assert!(matches!(read(&path), Err(StoreError::TooLarge(_))));
        std::fs::write(&path, "{\"secretSeed\":\"0xsecret\"}").unwrap();
        let text = read(&path).unwrap_err().to_string();
        assert!(text.contains("hotkey") && !text.contains("secret\""), "{text}");
        assert!(matches!(write(Path::new("/proc/none/x"), b"", false), Err(StoreError::Unwritable { .. })));
    }
}
