//! `wallet`: keys on this machine. Nothing here talks to the network.
//!
//! Runs outside the asynchronous runtime: it waits for people and for passwords to be stretched, and an interrupt at a prompt ends it there.

mod convert;
mod make;
mod secret;
mod show;
mod sign;

use crate::{
    args::wallet::{Place, Wallet, WalletCommand, Which},
    failure::{Failure, Kind},
    hotkey::expand,
    output,
};
use chain::wallet::place::{DEFAULT_NAME, DEFAULT_ROOT, Name, Wallets};
use chain::wallet::store::{self, StoreError, Stored};
use chain::wallet::{KeyFile, KeyFileError, OpenError, WalletKey, place};
use protocol::key::HotkeyFileError;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: Wallet) -> Result<(), Failure> {
    match args.command {
        WalletCommand::List(args) => show::list(&args),
        WalletCommand::Show(args) => show::run(&args),
        WalletCommand::NewHotkey(args) => make::new(&args, crate::args::wallet::Kind::Hotkey),
        WalletCommand::NewColdkey(args) => make::new(&args, crate::args::wallet::Kind::Coldkey),
        WalletCommand::Regen(args) => make::regen(&args),
        WalletCommand::Sign(args) => sign::sign(&args),
        WalletCommand::Verify(args) => sign::verify(&args),
        WalletCommand::Convert(args) => convert::run(&args),
    }
}

/// A variable that is set to nothing says nothing.
fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

fn wallets(path: &str) -> Wallets {
    let path = expand(or(path, DEFAULT_ROOT));
    Wallets::at(std::path::absolute(&path).unwrap_or(path))
}

fn name(text: &str) -> Result<Name, Failure> {
    or(text, DEFAULT_NAME).parse().map_err(|error: place::NameError| Failure::new(Kind::Usage, error.to_string()))
}

fn wallet(place: &Place) -> Result<place::Wallet, Failure> {
    Ok(wallets(&place.wallet_path).wallet(&name(&place.wallet_name)?))
}

/// The file of the key that is meant, and that of its public half.
fn files(which: &Which) -> Result<(PathBuf, PathBuf), Failure> {
    if let Some(file) = &which.file {
        let path = expand(file);
        let path = std::path::absolute(&path).unwrap_or(path);
        let public = path.with_file_name(format!("{}pub.txt", path.file_name().unwrap_or_default().to_string_lossy()));
        return Ok((path, public));
    }
    let wallet = wallet(&which.place)?;
    if which.coldkey {
        return Ok((wallet.coldkey(), wallet.coldkey_public()));
    }
    let hotkey = name(&which.place.wallet_hotkey)?;
    Ok((wallet.hotkey(&hotkey), wallet.hotkey_public(&hotkey)))
}

/// The key that is meant, opened: for every command that signs.
pub(crate) fn key(which: &Which, password_file: Option<&str>) -> Result<WalletKey, Failure> {
    unlocked(&files(which)?.0, password_file)
}

/// Reads a key file and warns if others may read it.
fn read(path: &Path) -> Result<Stored, Failure> {
    let stored = store::read(path).map_err(failed)?;
    if let Some(warning) = too_open(&stored) {
        output::note(&format!("warning: {} {warning}; run: chmod 600 {0}", path.display()));
    }
    Ok(stored)
}

/// What is wrong with the permissions of a file that holds a secret.
fn too_open(stored: &Stored) -> Option<String> {
    let secret = !matches!(stored.key, KeyFile::Public(_));
    (secret && stored.mode & 0o077 != 0).then(|| format!("has mode {:04o}, others may read it", stored.mode & 0o777))
}

/// The key of a file, opened with its password if it has one.
fn unlocked(path: &Path, password_file: Option<&str>) -> Result<WalletKey, Failure> {
    let key = match read(path)?.key {
        KeyFile::Sealed(sealed) => sealed.open(&secret::password(path, password_file)?).map_err(|error| not_opened(path, &error))?,
        key => key,
    };
    match key {
        KeyFile::Key(key) => Ok(*key),
        KeyFile::Public(address) => {
            Err(Failure::general(format!("{} holds only the address {address}, no key to sign with", path.display()))
                .advise("write the key from its words with: chutes-miner wallet regen"))
        }
        KeyFile::Sealed(_) => Err(not_opened(path, &OpenError::Inside(KeyFileError::Unknown))),
    }
}

fn not_opened(path: &Path, error: &OpenError) -> Failure {
    let what = format!("{}: {error}", path.display());
    match error {
        OpenError::WrongPassword => Failure::new(Kind::Unauthorised, what).advise("the password once more; mind capitals and the keyboard"),
        OpenError::Memory => Failure::general(what).advise("a machine, or a container limit, with 600 MiB of memory to spare"),
        OpenError::Damaged(_) | OpenError::Inside(_) => {
            Failure::general(what).advise("a backup of the file, or its words with: chutes-miner wallet regen")
        }
    }
}

fn failed(error: StoreError) -> Failure {
    let what = error.to_string();
    match error {
        StoreError::Missing(_) => Failure::new(Kind::NotFound, what).advise("chutes-miner wallet list shows which keys there are"),
        StoreError::Exists(_) => Failure::general(what).advise("another name; or --overwrite, if the key that is there may be lost"),
        StoreError::NoKey {
            cause: KeyFileError::Fields(HotkeyFileError::OtherAddress { .. }) | KeyFileError::OtherPhrase { .. }, ..
        } => Failure::general(what).advise("do not use it; take the file from a backup, or write it from its words"),
        _ => Failure::general(what),
    }
}
