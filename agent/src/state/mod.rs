//! What must survive a restart, in one folder that only this user may read.
//!
//! Losing the folder loses no chute: the agent makes a new node key and waits to be enrolled again.

mod files;

use crate::enrolment::Enrolment;
use crate::identity::Identity;
use crate::token::Grant;
use gpu::Seen;
use std::path::{Path, PathBuf};

/// What went wrong with the folder. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or the folder cannot be used.
    #[error("cannot use {path}: {cause}; the state folder must be writable by this user alone")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The node key is not readable as one.
    #[error(
        "{path} holds no node key ({why}): restore it from a backup, or remove it and enrol the server again (chutes-miner add-node --name NAME --re-enrol)"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The state folder.
#[derive(Clone, Debug)]
pub struct StateDir {
    folder: PathBuf,
}

impl StateDir {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        files::make_folder(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The node key, made at the first start.
    ///
    /// # Errors
    /// The file is unusable or damaged; a damaged key is never replaced silently.
    pub fn identity(&self) -> Result<Identity, StateError> {
        let path = self.folder.join("node.key");
        if let Some(text) = files::read_secret(&path)? {
            return Identity::from_hex(&text).map_err(|why| StateError::Key { path, why });
        }
        let (identity, text) = Identity::generate();
        files::write(&path, text.as_bytes())?;
        tracing::info!(node_key = %identity.address(), "made a new node key: add the server with chutes-miner add-node; one that was added before, with --re-enrol");
        Ok(identity)
    }

    /// Whom we are enrolled with, if anybody. A damaged record counts as none.
    #[must_use]
    pub fn enrolment(&self) -> Option<Enrolment> {
        files::read_json(&self.folder.join("enrolment.json"))
    }

    /// Keeps the enrolment.
    ///
    /// # Errors
    /// The folder is unusable.
    pub fn save_enrolment(&self, enrolment: &Enrolment) -> Result<(), StateError> {
        files::write_json(&self.folder.join("enrolment.json"), enrolment)
    }

    /// The GPUs seen so far. A damaged record counts as none.
    #[must_use]
    pub fn seen(&self) -> Seen {
        files::read_json(&self.folder.join("seen-gpus.json")).unwrap_or_default()
    }

    /// Keeps the GPUs seen so far.
    ///
    /// # Errors
    /// The folder is unusable.
    pub fn save_seen(&self, seen: &Seen) -> Result<(), StateError> {
        files::write_json(&self.folder.join("seen-gpus.json"), seen)
    }

    /// The last grant of the control plane. A damaged record counts as none.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        files::read_json(&self.folder.join("grant.json"))
    }

    /// Keeps a grant and its token, so that a restart needs no control plane.
    ///
    /// # Errors
    /// The folder is unusable.
    pub fn save_grant(&self, grant: &Grant, token: &str) -> Result<(), StateError> {
        // The token first: a grant on disk always has one.
        files::write(&self.token_file(), token.as_bytes())?;
        files::write_json(&self.folder.join("grant.json"), grant)
    }

    /// The file that holds the current token; clients read it again as it changes.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.folder.join("control.token")
    }

    /// Whether there is a token at all.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token_file().is_file()
    }

    /// Forgets the grant and its token: they are another control plane's.
    ///
    /// # Errors
    /// The folder is unusable.
    pub fn drop_grant(&self) -> Result<(), StateError> {
        files::remove(&self.folder.join("grant.json"))?;
        files::remove(&self.token_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_node_key_survives_a_restart_and_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = StateDir::open(&path).unwrap().identity().unwrap();
        let again = StateDir::open(&path).unwrap().identity().unwrap();
        assert_eq!(first.address(), again.address());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("node.key")), 0o600);
    }

    #[test]
    fn a_wiped_folder_means_another_key_and_no_enrolment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = StateDir::open(&path).unwrap();
        let before = state.identity().unwrap();
        state.save_enrolment(&crate::enrolment::tests::example()).unwrap();
        assert!(StateDir::open(&path).unwrap().enrolment().is_some());
        std::fs::remove_dir_all(&path).unwrap();
        let wiped = StateDir::open(&path).unwrap();
        assert_ne!(wiped.identity().unwrap().address(), before.address());
        assert_eq!(wiped.enrolment(), None);
        assert!(wiped.seen().gpus().is_empty());
    }

    #[test]
    fn a_damaged_key_is_an_error_that_does_not_show_it_and_a_damaged_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        files::write(&folder.path().join("node.key"), b"s3cret").unwrap();
        let error = state.identity().unwrap_err().to_string();
        assert!(error.contains("--re-enrol") && !error.contains("s3cret"), "{error}");
        files::write(&folder.path().join("enrolment.json"), b"{").unwrap();
        assert_eq!(state.enrolment(), None);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        state.identity().unwrap();
        let key = folder.path().join("node.key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(state.identity().unwrap_err().to_string().contains("chmod 600"));
    }
}
