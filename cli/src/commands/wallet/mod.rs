//! `wallet`: keys on this machine. Nothing here talks to the network.
//!
//! Runs outside the asynchronous runtime: it waits for people and for passwords to be stretched, and an interrupt ends it there.

mod convert;
mod make;
mod phrase;
mod show;
mod sign;

use crate::{
    args::wallet::{Place, Wallet, WalletCommand, Which},
    failure::{Failure, Kind},
    hotkey::expanded,
    output, secret,
};
use chain::wallet::place::{DEFAULT_NAME, DEFAULT_ROOT, HOTKEY_VARIABLES, NAME_VARIABLES, Name, Wallets};
use chain::wallet::store::{self, Exposure, StoreError, Stored};
use chain::wallet::{KeyFile, KeyFileError, OpenError, WalletKey, place};
use protocol::key::HotkeyFileError;
use std::path::{Path, PathBuf};

pub(crate) use sign::address;

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

/// A name as it was given, else that of the first variable that has one.
fn name(given: &str, variables: &[&str]) -> Result<Name, Failure> {
    let set = || variables.iter().find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()));
    let name = if given.is_empty() { set() } else { Some(given.to_owned()) };
    let name = name.as_deref().unwrap_or(DEFAULT_NAME).parse();
    name.map_err(|error: place::NameError| Failure::new(Kind::Usage, error.to_string()))
}

fn wallet_name(place: &Place) -> Result<Name, Failure> {
    name(&place.wallet_name, &NAME_VARIABLES)
}

fn hotkey_name(place: &Place) -> Result<Name, Failure> {
    name(&place.wallet_hotkey, &HOTKEY_VARIABLES)
}

fn wallets(path: &str) -> Result<Wallets, Failure> {
    Ok(Wallets::at(expanded(or(path, DEFAULT_ROOT))?))
}

fn wallet(place: &Place) -> Result<place::Wallet, Failure> {
    Ok(wallets(&place.wallet_path)?.wallet(&wallet_name(place)?))
}

/// The file of the key that is meant, and that of its public half.
fn files(which: &Which) -> Result<(PathBuf, PathBuf), Failure> {
    if let Some(file) = &which.file {
        let path = expanded(file)?;
        let public = path.with_file_name(format!("{}pub.txt", path.file_name().unwrap_or_default().to_string_lossy()));
        return Ok((path, public));
    }
    let wallet = wallet(&which.place)?;
    if which.coldkey {
        return Ok((wallet.coldkey(), wallet.coldkey_public()));
    }
    let hotkey = hotkey_name(&which.place)?;
    Ok((wallet.hotkey(&hotkey), wallet.hotkey_public(&hotkey)))
}

/// The key that is meant, opened: for every command that signs.
pub(crate) fn key(which: &Which, password_file: Option<&str>) -> Result<WalletKey, Failure> {
    unlocked(&files(which)?.0, password_file)
}

/// Reads a key file and warns if others may read or replace it.
fn read(path: &Path) -> Result<Stored, Failure> {
    let stored = store::read(path).map_err(failed)?;
    for (warning, remedy) in exposed(path, &stored) {
        output::note(&format!("warning: {} {warning}; run: {remedy}", path.display()));
    }
    Ok(stored)
}

/// What is wrong with the permissions around a file, and what mends it.
fn exposed(path: &Path, stored: &Stored) -> Vec<(String, String)> {
    let (Exposure { mode, stranger, folder }, shown) = (&stored.exposure, path.display());
    let mut found = Vec::new();
    let bits = mode & 0o777;
    match stored.key {
        KeyFile::Public(_) if bits & 0o022 != 0 => {
            found.push((format!("has mode {bits:04o}, others may change it"), format!("chmod 644 {shown}")));
        }
        KeyFile::Key(_) | KeyFile::Sealed(_) if bits & 0o077 != 0 => {
            found.push((format!("has mode {bits:04o}, others may read it"), format!("chmod 600 {shown}")));
        }
        _ => {}
    }
    found.extend(stranger.map(|owner| (format!("belongs to another user (uid {owner})"), format!("chown \"$(id -u)\" {shown}"))));
    found.extend(folder.as_ref().map(|folder| {
        (format!("can be replaced by others, who may write to {}", folder.display()), format!("chmod go-w {}", folder.display()))
    }));
    found
}

/// Warns before a key is written to where others could put another one.
fn warn_of_folder(path: &Path) {
    if let Some(folder) = store::open_folder(path) {
        output::note(&format!("warning: others may write to {0}, and replace what is in it; run: chmod go-w {0}", folder.display()));
    }
}

/// The key of a file, opened with its password if it has one.
fn unlocked(path: &Path, password_file: Option<&str>) -> Result<WalletKey, Failure> {
    let key = match read(path)?.key {
        KeyFile::Sealed(sealed) => secret::open(path, &sealed, password_file, "--password-file")?,
        key => key,
    };
    match key {
        KeyFile::Key(key) => Ok(*key),
        KeyFile::Public(address) => {
            Err(Failure::general(format!("{} holds only the address {address}, no key to sign with", path.display()))
                .advise("write the key from its words with: chutes-miner wallet regen"))
        }
        KeyFile::Sealed(_) => Err(secret::not_opened(path, &OpenError::Inside(KeyFileError::Unknown))),
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
        StoreError::Link { .. } => Failure::general(what).advise("the file it leads to, or remove the link first"),
        StoreError::Linked { .. } => {
            Failure::general(what).advise("find them with find FOLDER -samefile FILE, and remove those that are not needed")
        }
        _ => Failure::general(what),
    }
}
