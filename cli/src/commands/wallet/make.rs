//! `wallet new-hotkey`, `new-coldkey` and `regen`: key files that were not there before.

use super::{failed, name, secret, wallet};
use crate::{
    args::{
        Output,
        wallet::{Kind as Which, New, Place, Regen, Writing},
    },
    failure::{Failure, Kind},
    hotkey::expand,
    output,
};
use chain::wallet::store::{self, StoreError};
use chain::wallet::{Form, Phrase, WalletKey, key_from_uri, open_polkadot_export, public_json, seal};
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
    free(&target.file, &args.writing)?;
    if target.public.exists() {
        free(&target.public, &args.writing)?;
    }
    let phrase = Phrase::generate(args.words).map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
    let shown = std::io::stderr().is_terminal();
    // A plain file has the words in it; behind a forgotten password they would be gone.
    if args.phrase_file.is_none() && !shown && target.form != Form::Plain {
        return Err(Failure::new(Kind::Usage, "nobody would see the words of the new key, and without them a lost password loses it")
            .advise("--phrase-file FILE, or a terminal"));
    }
    let sealed = sealed(&WalletKey::from_phrase(phrase.clone()), &target, &args.writing)?;
    // First the words: no key is ever there without them.
    if let Some(file) = &args.phrase_file {
        secret::write_phrase(file, &phrase.words())?;
    }
    let key = WalletKey::from_phrase(phrase);
    store::write(&target.file, &sealed, args.writing.overwrite).map_err(failed)?;
    store::write(&target.public, &public_json(key.address()), args.writing.overwrite).map_err(failed)?;
    if let (None, true, Some(phrase)) = (&args.phrase_file, shown, key.phrase()) {
        // To the terminal alone, never to what may be a pipe or a log.
        output::note(&format!("The words of this key, shown only now. Write them down:\n\n  {}\n", &*phrase.words()));
    }
    report(key.address(), &target.file, target.form.to_string(), args.writing.output);
    Ok(())
}

pub(super) fn regen(args: &Regen) -> Result<(), Failure> {
    let target = target(&args.place, args.kind, &args.writing)?;
    if let Some(address) = &args.address {
        let address: Ss58 = address.parse().map_err(|error: protocol::ids::IdError| Failure::new(Kind::Usage, error.to_string()))?;
        write_public(&target, &address, args.writing.overwrite)?;
        report(&address, &target.public, "public".to_owned(), args.writing.output);
        return Ok(());
    }
    free(&target.file, &args.writing)?;
    let key = match &args.polkadot_json {
        Some(file) => {
            let path = expand(file);
            let json = service::secret_file(&path).map_err(|error| Failure::general(error.to_string()))?;
            let password = secret::export_password(&path, args.export_password_file.as_deref())?;
            open_polkadot_export(json.as_bytes(), &password).map_err(|error| Failure::general(format!("{}: {error}", path.display())))?
        }
        None => key_from_uri(&secret::secret(args.secret_file.as_deref())?)
            .map_err(|error| Failure::new(Kind::Usage, error.to_string()).advise("words, or 0x and 64 hexadecimal digits, or a URI"))?,
    };
    // Whose key it is: before it is written over what a watcher relies on.
    fits(&target.public, key.address(), args.writing.overwrite)?;
    let sealed = sealed(&key, &target, &args.writing)?;
    store::write(&target.file, &sealed, args.writing.overwrite).map_err(failed)?;
    write_public(&target, key.address(), args.writing.overwrite)?;
    report(key.address(), &target.file, target.form.to_string(), args.writing.output);
    Ok(())
}

fn target(place: &Place, which: Which, writing: &Writing) -> Result<Target, Failure> {
    let wallet = wallet(place)?;
    let (file, public, usual) = match which {
        Which::Coldkey => (wallet.coldkey(), wallet.coldkey_public(), Form::Nacl),
        Which::Hotkey => {
            let hotkey = name(&place.wallet_hotkey)?;
            (wallet.hotkey(&hotkey), wallet.hotkey_public(&hotkey), Form::Plain)
        }
    };
    Ok(Target { file, public, form: writing.form.map_or(usual, Form::from) })
}

/// Refuses a place that is taken.
fn free(path: &Path, writing: &Writing) -> Result<(), Failure> {
    if !writing.overwrite && path.symlink_metadata().is_ok() {
        return Err(failed(StoreError::Exists(path.to_owned())));
    }
    Ok(())
}

/// Refuses a public half that is another key's.
fn fits(public: &Path, address: &Ss58, overwrite: bool) -> Result<(), Failure> {
    let Ok(there) = store::read(public) else { return Ok(()) };
    match there.key.address() {
        Some(other) if other != address && !overwrite => {
            let what = format!("this is the key of {address}, but {} says {other}; nothing was written", public.display());
            Err(Failure::general(what).advise("the right words; or --overwrite, if that address may be forgotten"))
        }
        _ => Ok(()),
    }
}

/// The public half, which may be there already.
fn write_public(target: &Target, address: &Ss58, overwrite: bool) -> Result<(), Failure> {
    if let Ok(there) = store::read(&target.public)
        && there.key.address() == Some(address)
    {
        return Ok(());
    }
    store::write(&target.public, &public_json(address), overwrite).map_err(failed)
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
