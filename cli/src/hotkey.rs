//! The hotkey file, read once and checked with words that help. Nothing secret is ever printed.

use crate::failure::{Failure, Kind};
use crate::secret;
use chain::wallet::{KeyFile, KeyFileError, OpenError};
use protocol::{
    key::{HotkeyFile, HotkeyFileError, Keypair, Seed},
    sign::{MINER_HEADER, NONCE_HEADER, SIGNATURE_HEADER, Signed, VALIDATOR_HEADER, four_part_text},
};
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// No hotkey file is longer, and a wrong path must not fill the memory.
const LONGEST_BYTES: usize = 1 << 16;

/// Who signs.
pub(crate) struct Signer {
    key: Keypair,
    /// The address the file states, which is sent even if it does not fit the key.
    address: String,
}

impl Signer {
    fn of(key: Keypair) -> Self {
        Self { address: key.address().to_string(), key }
    }

    /// Headers of a request, signed now.
    pub(crate) fn headers(&self, signed: Signed<'_>) -> Vec<(&'static str, String)> {
        let nonce = jiff::Timestamp::now().as_second().max(0).to_string();
        let text = four_part_text(&self.address, &self.address, &nonce, &signed.last_part());
        let signature = self.key.sign(text.as_bytes()).to_string();
        vec![
            (MINER_HEADER, self.address.clone()),
            (VALIDATOR_HEADER, self.address.clone()),
            (NONCE_HEADER, nonce),
            (SIGNATURE_HEADER, signature),
        ]
    }
}

/// `~` and `~/…` with the home folder put in; the shell does it for flags, nobody for variables.
pub(crate) fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), std::env::var_os("HOME").filter(|home| !home.is_empty())) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => PathBuf::from(home).join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

/// A path with the home folder put in. The rest stays as it was given: the Python wallets make the name of a password's variable from this.
pub(crate) fn expanded(path: &str) -> Result<PathBuf, Failure> {
    let whole = expand(path);
    // Keys that land in a folder called `~` are found by nobody.
    if (path == "~" || path.starts_with("~/")) && whole.is_relative() {
        return Err(Failure::new(Kind::Usage, format!("HOME is not set, so nobody knows where {path} is")).advise("--wallet-path DIR"));
    }
    Ok(whole)
}

/// Reads the file; warnings go to standard error. The password of an encrypted one comes from `password_file`, a variable or a person, who is
/// asked.
pub(crate) fn load(path: &str, password_file: Option<&str>) -> Result<Signer, Failure> {
    if path.is_empty() {
        return Err(
            Failure::new(Kind::Usage, "no hotkey file given").advise("--hotkey ~/.bittensor/wallets/NAME/hotkeys/NAME, or set HOTKEY")
        );
    }
    let path = expand(path);
    let (bytes, mode) = content(&path)?;
    if let Some(bits) = service::too_open(mode) {
        warn(&format!("{0} has mode {bits:04o}, others may read your hotkey; run: chmod 600 {0}", path.display()));
    }
    if let Ok(KeyFile::Sealed(sealed)) = KeyFile::parse(&bytes) {
        return match secret::open(&path, &sealed, password_file, "--hotkey-password-file")? {
            KeyFile::Key(key) => Ok(Signer::of(key.keypair().clone())),
            _ => Err(secret::not_opened(&path, &OpenError::Inside(HotkeyFileError::NoSecret.into()))),
        };
    }
    let (signer, warning) = parse(&bytes)
        .map_err(|error| Failure::general(format!("{}: {error}", path.display())).advise("give a hotkey file as wallets write it"))?;
    if let Some(warning) = warning {
        warn(&format!("{}: {warning}", path.display()));
    }
    Ok(signer)
}

/// The bytes of a file, or of a pipe (`--hotkey <(pass show hotkey)`), and its mode.
fn content(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::general(format!("cannot read the hotkey file {}: {error}", path.display()))
            .advise("check the path given by --hotkey or HOTKEY")
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    // Room for all of it, so that it is never moved and left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_BYTES + 64));
    file.take(LONGEST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LONGEST_BYTES {
        return Err(Failure::general(format!("{} is longer than 64 KiB, so no hotkey file", path.display()))
            .advise("check the path given by --hotkey or HOTKEY"));
    }
    Ok((bytes, mode))
}

fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {text}");
}

fn parse(bytes: &[u8]) -> Result<(Signer, Option<String>), KeyFileError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeyFileError::Unknown)?;
    match HotkeyFile::parse(text) {
        Ok(file) => Ok((Signer::of(file.into_keypair()), None)),
        // The existing command line never compares the two; whoever relies on that is warned, not stopped.
        Err(error @ (HotkeyFileError::OtherAddress { .. } | HotkeyFileError::Address(_))) => match unmatched(text) {
            Some(signer) => Ok((signer, Some(format!("{error}; the miner API will refuse requests signed like this")))),
            None => Err(error.into()),
        },
        // The other spellings of wallets, of which the existing command line knows none: words alone, a bare seed.
        Err(error) => match KeyFile::parse(bytes)? {
            KeyFile::Key(key) => Ok((Signer::of(key.keypair().clone()), None)),
            KeyFile::Public(_) | KeyFile::Sealed(_) => Err(error.into()),
        },
    }
}

/// Address and seed taken as they stand.
fn unmatched(text: &str) -> Option<Signer> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let address = value.get("ss58Address")?.as_str()?.to_owned();
    let seed = Zeroizing::new(value.get("secretSeed")?.as_str()?.to_owned());
    // A header cannot hold anything else.
    // Nor may it be longer than any address: it would be a secret in the wrong field, and be sent to another machine.
    let plain = (1..=60).contains(&address.len()) && address.chars().all(|c| c.is_ascii_graphic());
    plain.then_some(())?;
    Some(Signer { key: Keypair::from_seed(&seed.parse::<Seed>().ok()?), address })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";
    const ADDRESS: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    #[test]
    fn a_matching_file_signs_under_its_address() {
        let (signer, warning) = parse(format!(r#"{{"ss58Address":"{ADDRESS}","secretSeed":"0x{SEED}"}}"#).as_bytes()).unwrap();
        assert_eq!((signer.address.as_str(), warning), (ADDRESS, None));
        let headers = signer.headers(Signed::Body(b"{}"));
        let text = four_part_text(ADDRESS, ADDRESS, &headers[2].1, &Signed::Body(b"{}").last_part());
        assert!(protocol::key::verify(&ADDRESS.parse().unwrap(), text.as_bytes(), &headers[3].1.parse().unwrap()));
    }

    #[test]
    fn an_address_that_does_not_fit_is_a_warning_without_the_seed_in_it() {
        let other = Keypair::generate().address().to_string();
        for stated in [other.as_str(), "not-ss58"] {
            let (signer, warning) = parse(format!(r#"{{"ss58Address":"{stated}","secretSeed":"{SEED}"}}"#).as_bytes()).unwrap();
            assert_eq!(signer.address, stated);
            assert!(!warning.unwrap().contains(&SEED[..8]));
        }
    }

    #[test]
    fn a_seed_in_place_of_the_address_is_neither_shown_nor_sent() {
        for stated in [SEED.to_owned(), format!("0x{SEED}")] {
            let error = parse(format!(r#"{{"ss58Address":"{stated}","secretSeed":"{SEED}"}}"#).as_bytes()).err().unwrap();
            assert!(!format!("{error} {error:?}").contains(&SEED[..8]), "{error}");
        }
    }

    #[test]
    fn errors_never_show_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, password) = (folder.path().join("hotkey"), folder.path().join("password"));
        std::fs::write(&password, "testpass123!").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        for text in [
            format!(r#"{{"secretSeed":"{SEED}x"}}"#),
            format!(r#"{{"ss58Address": {SEED}}}"#),
            format!("{SEED}ff"),
            format!("$ANSIBLE_VAULT;{SEED}"),
        ] {
            std::fs::write(&path, &text).unwrap();
            // Never a question: whoever runs the tests may sit at a terminal.
            let error = load(path.to_str().unwrap(), Some(password.to_str().unwrap())).err().unwrap();
            assert!(!error.text().contains(&SEED[..8]), "{}", error.text());
        }
    }

    #[test]
    fn an_empty_path_is_a_usage_error_and_a_missing_file_names_the_path() {
        assert_eq!(load("", None).err().unwrap().kind, Kind::Usage);
        assert!(load("/nonexistent/hotkey", None).err().unwrap().text().contains("/nonexistent/hotkey"));
    }
}
