//! Key files on disk: read with their permission bits, written whole or not at all.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{KeyFile, KeyFileError};

/// No key file is longer, and a wrong path must not fill the memory.
const LONGEST_BYTES: u64 = 1 << 16;

/// How files begin that are written and have no name of their own yet. What an interrupted write leaves is called so.
pub(super) const UNFINISHED: &str = ".key-";

/// A key file as it lies on disk.
#[derive(Debug)]
pub struct Stored {
    /// What it says.
    pub key: KeyFile,
    /// Who else may do what with it, for whoever warns.
    pub exposure: Exposure,
}

/// Whom the file system lets at a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Permission bits of the file.
    pub mode: u32,
    /// Its owner, if that is neither this process's user nor root.
    pub stranger: Option<u32>,
    /// Its folder, where it is one in which others may put another file into its place.
    pub folder: Option<PathBuf>,
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
    #[error("{0} exists already and was not replaced")]
    Exists(PathBuf),
    /// To replace a link would leave the key behind that it leads to.
    #[error("{path} is a symbolic link, which is not replaced; it leads to {target}")]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// To replace a file of several names would leave the key behind under the others.
    #[error("{path} is not replaced: {others} other name(s) of the same file (hard links) would keep the key that is in it")]
    Linked {
        /// The file.
        path: PathBuf,
        /// How many names it has besides.
        others: u64,
    },
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
    // A pipe would be waited for; it is no file. Only of what is open is it certain that it is what will be read.
    let wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(wait).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > LONGEST_BYTES {
        return Err(StoreError::TooLarge(path.to_owned()));
    }
    // Room for all that is read at most, so that it is never moved and left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 16));
    file.take(LONGEST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let key = KeyFile::parse(&bytes).map_err(|cause| StoreError::NoKey { path: path.to_owned(), cause })?;
    Ok(Stored { key, exposure: exposure(path, &metadata) })
}

fn exposure(path: &Path, metadata: &Metadata) -> Exposure {
    let (owner, us) = (metadata.uid(), rustix::process::geteuid().as_raw());
    Exposure { mode: metadata.mode() & 0o7777, stranger: (owner != us && owner != 0).then_some(owner), folder: open_folder(path) }
}

/// The folder of a file, or one above it, in which others may put something else into its place. Folders that are not there yet are passed
/// over.
pub fn open_folder(path: &Path) -> Option<PathBuf> {
    let folders = folder(path).ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let open = |(above, folder): &(usize, &Path)| {
        // Many systems give every user a group, and homes to it; the folder itself is ours to be strict about.
        let others = if *above == 0 { 0o022 } else { 0o002 };
        // In one with the sticky bit nobody replaces the files of others.
        folder.metadata().is_ok_and(|metadata| metadata.mode() & others != 0 && metadata.mode() & 0o1000 == 0)
    };
    folders.enumerate().find(open).map(|(_, folder)| folder.to_owned())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether [`write()`] would find its place free, or one it may replace: for whoever asks a person first, or writes two files.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Link`], [`StoreError::Linked`], or [`StoreError::TooLarge`] for what is no file.
pub fn check_place(path: &Path, overwrite: bool) -> Result<(), StoreError> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    if !overwrite {
        return Err(StoreError::Exists(path.to_owned()));
    }
    if metadata.is_symlink() {
        let target = path.read_link().unwrap_or_default();
        return Err(StoreError::Link { path: path.to_owned(), target: folder(path).join(target) });
    }
    if !metadata.is_file() {
        return Err(StoreError::TooLarge(path.to_owned()));
    }
    match metadata.nlink() {
        0 | 1 => Ok(()),
        names => Err(StoreError::Linked { path: path.to_owned(), others: names - 1 }),
    }
}

/// Writes a key file with mode 0600 into folders that are made with mode 0700. It appears whole under its name, or not at all; without
/// `overwrite` it never takes the place of another, not even of one that appears meanwhile. A link is never replaced, be
/// it symbolic or hard.
///
/// # Errors
/// See [`StoreError`].
pub fn write(path: &Path, bytes: &[u8], overwrite: bool) -> Result<(), StoreError> {
    let failed = |cause: io::Error| StoreError::Unwritable { path: path.to_owned(), cause };
    check_place(path, overwrite)?;
    let folder = folder(path);
    // The names of new folders are on disk only with the folders above them.
    let new: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // Made with mode 0600, beside its place, under a name that lists pass over.
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let placed = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists(path.to_owned()),
        _ => failed(error.error),
    })?;
    // The name is on disk only with the folder; some file systems cannot do that, and have no need to.
    for folder in std::iter::once(folder).chain(new.into_iter().map(self::folder)) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
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
        assert_eq!((stored.exposure.mode, stored.key.address()), (0o600, Some(alice().address())));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().exposure.mode, 0o644);
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
    fn a_link_is_not_replaced_and_the_key_behind_it_is_not_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let (path, target) = (root.path().join("coldkey"), root.path().join("elsewhere"));
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        for there in [false, true] {
            if there {
                write(&target, &alice().to_json(), false).unwrap();
            }
            let error = write(&path, b"x", true).unwrap_err();
            assert!(matches!(&error, StoreError::Link { target: named, .. } if *named == target), "{error}");
            assert_eq!((path.is_symlink(), target.exists()), (true, there));
        }
        assert!(read(&path).is_ok(), "to read through it is fine");
        assert!(matches!(write(root.path(), b"x", true), Err(StoreError::TooLarge(_))));
    }

    #[test]
    fn a_file_with_another_name_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (path, other) = (root.path().join("coldkey"), root.path().join("backup"));
        write(&path, &alice().to_json(), false).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        let error = write(&path, b"x", true).unwrap_err();
        assert!(matches!(error, StoreError::Linked { others: 1, .. }), "{error}");
        assert_eq!(read(&path).unwrap().key.address(), Some(alice().address()));
        std::fs::remove_file(&other).unwrap();
        write(&path, b"x", true).unwrap();
    }

    #[test]
    fn it_is_told_who_else_may_write() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("hotkey");
        write(&path, &alice().to_json(), false).unwrap();
        let chmod = |mode| std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        for (mode, open) in [(0o700, false), (0o755, false), (0o1777, false), (0o777, true), (0o775, true)] {
            chmod(mode);
            let exposure = read(&path).unwrap().exposure;
            assert_eq!((exposure.folder.is_some(), exposure.stranger), (open, None), "{mode:o}");
        }
        chmod(0o777);
        assert_eq!(open_folder(&root.path().join("new/hotkeys/h1")).as_deref(), Some(root.path()), "above folders that are to be");
        chmod(0o700);
        // Only root gives files away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
            assert_eq!(read(&path).unwrap().exposure.stranger, Some(4242));
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("hotkey");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&path), Err(StoreError::TooLarge(_))));
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
