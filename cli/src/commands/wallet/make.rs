//! `wallet new-hotkey`, `new-coldkey` and `regen`: key files that were not there before.

use super::{expanded, failed, hotkey_name, phrase, wallet, warn_of_folder};
use crate::{
    args::{
        Output,
        wallet::{Kind as Which, New, Place, Regen, Writing},
    },
    failure::{Failure, Kind},
    output, secret,
};
use chain::wallet::store::{self, StoreError};
use chain::wallet::{Form, Phrase, PhraseError, PolkadotError, WalletKey, key_from_uri, open_polkadot_export, public_json, seal};
use protocol::ids::Ss58;
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Where both halves of the key to be will lie.
struct Target {
    file: PathBuf,
    public: PathBuf,
    form: Form,
}

pub(super) fn new(args: &New, which: Which) -> Result<(), Failure> {
    let target = target(&args.place, which, &args.writing)?;
    // Before anybody is asked for anything.
    for path in [&target.file, &target.public] {
        store::check_place(path, args.writing.overwrite).map_err(failed)?;
    }
    if let Some(file) = &args.phrase_file {
        phrase::check_file(file, &target.file, &target.public)?;
    }
    let fresh = Phrase::generate(args.words).map_err(|error| match error {
        PhraseError::NoRandomness => Failure::general(error.to_string()),
        _ => Failure::new(Kind::Usage, error.to_string()),
    })?;
    let shown = std::io::stderr().is_terminal();
    // A plain file has the words in it; behind a forgotten password they would be gone.
    if args.phrase_file.is_none() && !shown && target.form != Form::Plain {
        return Err(Failure::new(Kind::Usage, "nobody would see the words of the new key, and without them a lost password loses it")
            .advise("--phrase-file FILE, or a terminal"));
    }
    warn_of_folder(&target.file);
    let words = fresh.words();
    let key = WalletKey::from_phrase(fresh);
    let sealed = sealed(&key, &target, &args.writing)?;
    // First the words: no key is ever there without them.
    match &args.phrase_file {
        Some(file) => phrase::write(file, &words)?,
        None if shown => phrase::show(&words),
        None => {}
    }
    store::write(&target.file, &sealed, args.writing.overwrite).map_err(|error| match &args.phrase_file {
        Some(file) => Failure::general(format!("{error}; no key was written, and the words in {file} are of none: remove it")),
        None => Failure::general(format!("{error}; no key was written, and its words are of none")),
    })?;
    let public = store::write(&target.public, &public_json(key.address()), args.writing.overwrite);
    public.map_err(|error| half_written(&error, key.address(), &target.file))?;
    report(key.address(), &target.file, target.form.to_string(), args.writing.output);
    Ok(())
}

pub(super) fn regen(args: &Regen) -> Result<(), Failure> {
    let target = target(&args.place, args.kind, &args.writing)?;
    secret::one_from_standard_input(&[
        ("--secret-file", args.secret_file.as_deref()),
        ("--export-password-file", args.export_password_file.as_deref()),
        ("--password-file", args.writing.password_file.as_deref()),
    ])?;
    if let Some(address) = &args.address {
        let address: Ss58 = address.parse().map_err(|error: protocol::ids::IdError| Failure::new(Kind::Usage, error.to_string()))?;
        warn_of_folder(&target.public);
        write_public(&target, &address, args.writing.overwrite).map_err(failed)?;
        report(&address, &target.public, "public".to_owned(), args.writing.output);
        return Ok(());
    }
    store::check_place(&target.file, args.writing.overwrite).map_err(failed)?;
    let key = match &args.polkadot_json {
        Some(file) => {
            let path = expanded(file)?;
            let json = secret::file_text(file)?;
            let password = secret::export_password(&path, args.export_password_file.as_deref())?;
            open_polkadot_export(json.as_bytes(), &password).map_err(|error| not_read(&path, &error))?
        }
        None => key_from_uri(&secret::secret(args.secret_file.as_deref())?)
            .map_err(|error| Failure::new(Kind::Usage, error.to_string()).advise("words, or 0x and 64 hexadecimal digits, or a URI"))?,
    };
    // Whose key it is: before it is written over what a watcher relies on.
    if let Err(what) = fits(&target.public, key.address()) {
        if !args.writing.overwrite {
            return Err(Failure::general(format!("{what}; nothing was written"))
                .advise("the right words; or --overwrite, if what is there may be forgotten"));
        }
        store::check_place(&target.public, true).map_err(failed)?;
    }
    warn_of_folder(&target.file);
    let sealed = sealed(&key, &target, &args.writing)?;
    store::write(&target.file, &sealed, args.writing.overwrite).map_err(failed)?;
    let public = write_public(&target, key.address(), args.writing.overwrite);
    public.map_err(|error| half_written(&error, key.address(), &target.file))?;
    report(key.address(), &target.file, target.form.to_string(), args.writing.output);
    Ok(())
}

fn not_read(export: &Path, error: &PolkadotError) -> Failure {
    let what = format!("{}: {error}; nothing was written", export.display());
    match error {
        PolkadotError::WrongPassword => {
            Failure::new(Kind::Unauthorised, what).advise("the password once more; mind capitals and the keyboard")
        }
        _ => Failure::general(what),
    }
}

fn target(place: &Place, which: Which, writing: &Writing) -> Result<Target, Failure> {
    let wallet = wallet(place)?;
    let (file, public, usual) = match which {
        Which::Coldkey => (wallet.coldkey(), wallet.coldkey_public(), Form::Nacl),
        Which::Hotkey => {
            let hotkey = hotkey_name(place)?;
            (wallet.hotkey(&hotkey), wallet.hotkey_public(&hotkey), Form::Plain)
        }
    };
    Ok(Target { file, public, form: writing.form.map_or(usual, Form::from) })
}

/// Whether a public half is this key's, or not there at all; else what is wrong.
pub(super) fn fits(public: &Path, address: &Ss58) -> Result<(), String> {
    match store::read(public) {
        Ok(there) => match there.key.address() {
            Some(other) if other == address => Ok(()),
            Some(other) => Err(format!("this is the key of {address}, but {} says {other}", public.display())),
            None => Err(format!("{} is encrypted and no public half", public.display())),
        },
        Err(StoreError::Missing(_)) if public.symlink_metadata().is_err() => Ok(()),
        // What cannot be read may be of another key.
        Err(error) => Err(format!("the public half that is there cannot be read: {error}")),
    }
}

/// The public half, which may be there already.
fn write_public(target: &Target, address: &Ss58, overwrite: bool) -> Result<(), StoreError> {
    if let Ok(there) = store::read(&target.public)
        && there.key.address() == Some(address)
    {
        return Ok(());
    }
    store::write(&target.public, &public_json(address), overwrite)
}

/// The key is there and its public half is not.
pub(super) fn half_written(error: &StoreError, address: &Ss58, file: &Path) -> Failure {
    Failure::general(format!("{error}; the key of {address} itself was written to {}", file.display()))
        .advise(format!("write its public half with: chutes-miner wallet regen KIND --address {address}"))
}

fn sealed(key: &WalletKey, target: &Target, writing: &Writing) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let json = key.to_json();
    if target.form == Form::Plain {
        return Ok(json);
    }
    let password = secret::new_password(&target.file, writing.password_file.as_deref(), "--password-file")?;
    seal(&json, target.form, &password).map_err(|error| Failure::general(error.to_string()))
}

/// What was written, for people and programs.
pub(super) fn report(address: &Ss58, file: &Path, form: String, how: Output) {
    match how {
        Output::Table => output::line(&format!("{address}  {form}  {}", file.display())),
        Output::Json => output::json(&json!({ "address": address, "form": form, "file": file.display().to_string() })),
    }
}
