//! The hotkey file, read once and checked with words that help. Nothing secret is ever printed.

use crate::failure::{Failure, Kind};
use protocol::{
    key::{HotkeyFile, HotkeyFileError, Keypair, Seed},
    sign::{MINER_HEADER, NONCE_HEADER, SIGNATURE_HEADER, Signed, VALIDATOR_HEADER, four_part_text},
};
use std::{io::Write as _, os::unix::fs::PermissionsExt as _, path::PathBuf};
use zeroize::Zeroizing;

/// Who signs.
pub(crate) struct Signer {
    key: Keypair,
    /// The address the file states, which is sent even if it does not fit the key.
    address: String,
}

impl Signer {
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

/// Reads the file; warnings go to standard error.
pub(crate) fn load(path: &str) -> Result<Signer, Failure> {
    if path.is_empty() {
        return Err(
            Failure::new(Kind::Usage, "no hotkey file given").advise("--hotkey ~/.bittensor/wallets/NAME/hotkeys/NAME, or set HOTKEY")
        );
    }
    let path = expand(path);
    let unreadable = |error: std::io::Error| {
        Failure::general(format!("cannot read the hotkey file {}: {error}", path.display()))
            .advise("check the path given by --hotkey or HOTKEY")
    };
    let mode = std::fs::metadata(&path).map_err(unreadable)?.permissions().mode();
    let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(unreadable)?);
    if let Some(bits) = service::too_open(mode) {
        warn(&format!("{0} has mode {bits:04o}, others may read your hotkey; run: chmod 600 {0}", path.display()));
    }
    let (signer, warning) = parse(&text).map_err(|error| {
        Failure::general(format!("{}: {error}", path.display())).advise("give a hotkey file as wallets write it, without a password")
    })?;
    if let Some(warning) = warning {
        warn(&format!("{}: {warning}", path.display()));
    }
    Ok(signer)
}

fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {text}");
}

fn parse(text: &str) -> Result<(Signer, Option<String>), HotkeyFileError> {
    match HotkeyFile::parse(text) {
        Ok(file) => {
            let key = file.into_keypair();
            Ok((Signer { address: key.address().to_string(), key }, None))
        }
        // The existing command line never compares the two; whoever relies on that is warned, not stopped.
        Err(error @ (HotkeyFileError::OtherAddress { .. } | HotkeyFileError::Address(_))) => match unmatched(text) {
            Some(signer) => Ok((signer, Some(format!("{error}; the miner API will refuse requests signed like this")))),
            None => Err(error),
        },
        Err(error) => Err(error),
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
        let (signer, warning) = parse(&format!(r#"{{"ss58Address":"{ADDRESS}","secretSeed":"0x{SEED}"}}"#)).unwrap();
        assert_eq!((signer.address.as_str(), warning), (ADDRESS, None));
        let headers = signer.headers(Signed::Body(b"{}"));
        let text = four_part_text(ADDRESS, ADDRESS, &headers[2].1, &Signed::Body(b"{}").last_part());
        assert!(protocol::key::verify(&ADDRESS.parse().unwrap(), text.as_bytes(), &headers[3].1.parse().unwrap()));
    }

    #[test]
    fn an_address_that_does_not_fit_is_a_warning_without_the_seed_in_it() {
        let other = Keypair::generate().address().to_string();
        for stated in [other.as_str(), "not-ss58"] {
            let (signer, warning) = parse(&format!(r#"{{"ss58Address":"{stated}","secretSeed":"{SEED}"}}"#)).unwrap();
            assert_eq!(signer.address, stated);
            assert!(!warning.unwrap().contains(&SEED[..8]));
        }
    }

    #[test]
    fn a_seed_in_place_of_the_address_is_neither_shown_nor_sent() {
        for stated in [SEED.to_owned(), format!("0x{SEED}")] {
            let error = parse(&format!(r#"{{"ss58Address":"{stated}","secretSeed":"{SEED}"}}"#)).err().unwrap();
            assert!(!format!("{error} {error:?}").contains(&SEED[..8]), "{error}");
        }
    }

    #[test]
    fn errors_never_show_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hotkey");
        for text in
            [format!(r#"{{"secretSeed":"{SEED}x"}}"#), format!(r#"{{"ss58Address": {SEED}}}"#), SEED.to_owned(), "$NACLxyz".to_owned()]
        {
            std::fs::write(&path, &text).unwrap();
            let error = load(path.to_str().unwrap()).err().unwrap();
            assert!(!error.text().contains(&SEED[..8]), "{}", error.text());
        }
    }

    #[test]
    fn an_empty_path_is_a_usage_error_and_a_missing_file_names_the_path() {
        assert_eq!(load("").err().unwrap().kind, Kind::Usage);
        assert!(load("/nonexistent/hotkey").err().unwrap().text().contains("/nonexistent/hotkey"));
    }
}
