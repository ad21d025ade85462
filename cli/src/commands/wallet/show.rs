//! `wallet list` and `wallet show`: what there is, without a secret of it.

use super::{exposed, failed, files, hotkey_name, wallet, wallet_name, wallets};
use crate::{
    args::{
        Output,
        wallet::{List, Place, Show},
    },
    failure::{Failure, Kind},
    output::{self, Table},
    secret::{self, Given},
};
use chain::wallet::place::{DEFAULT_NAME, Name, Wallet};
use chain::wallet::store::{self, StoreError};
use chain::wallet::{Form, KeyFile, KeyFileError};
use protocol::ids::Ss58;
use serde_json::{Value, json};
use std::path::Path;

/// What is known of one key.
#[derive(Debug, Default)]
struct Row {
    wallet: String,
    key: String,
    file: String,
    address: Option<Ss58>,
    form: String,
    notes: Vec<String>,
    /// Why nothing more is known, for an exit code that tells.
    failure: Option<Failure>,
}

impl Row {
    /// Something that could not be read. It shall hide nothing else, so it is told in the row.
    fn fail(&mut self, error: StoreError) {
        self.form = match &error {
            StoreError::Missing(_) | StoreError::Unreadable { .. } => "unreadable",
            StoreError::NoKey { cause: KeyFileError::OtherCurve(_) | KeyFileError::PolkadotExport, .. } => "unusable",
            _ => "damaged",
        }
        .to_owned();
        self.notes.push(error.to_string());
        self.failure = Some(failed(error));
    }
}

/// How to open what is encrypted.
enum Unlock {
    No,
    Asking,
    With(Given),
}

pub(super) fn list(args: &List) -> Result<(), Failure> {
    let wallets = wallets(&args.wallet_path)?;
    let unreadable = |error: std::io::Error| Failure::general(format!("cannot read {}: {error}", wallets.root().display()));
    let mut rows = Vec::new();
    for wallet in wallets.list().map_err(unreadable)? {
        rows.extend(keys(&wallet, &Unlock::No, None)?);
        for file in wallet.unfinished() {
            output::note(&format!("warning: an interrupted write left {} behind, maybe with a key in it; remove it", file.display()));
        }
    }
    if rows.is_empty() {
        output::note(&format!("No wallet in {}. Make one with: chutes-miner wallet new-coldkey", wallets.root().display()));
    }
    print(&rows, args.output);
    Ok(())
}

pub(super) fn run(args: &Show) -> Result<(), Failure> {
    // Once, since standard input can be read but once.
    let unlock = match &args.password_file {
        _ if !args.unlock => Unlock::No,
        Some(file) => Unlock::With(Given::from_file(file)?),
        None => Unlock::Asking,
    };
    let single = args.which.file.is_some() || args.which.coldkey;
    let mut rows = if single {
        let (file, public) = files(&args.which)?;
        if !there(&file) && !there(&public) {
            return Err(failed(StoreError::Missing(file)));
        }
        let (whose, key) =
            if args.which.coldkey { (wallet_name(&args.which.place)?.to_string(), "coldkey") } else { ("-".to_owned(), "-") };
        vec![row(&whose, key, &file, &public, &unlock)?]
    } else {
        keys(&wallet(&args.which.place)?, &unlock, named(&args.which.place)?.as_ref())?
    };
    if rows.is_empty() {
        let what = format!("there is no wallet in {}", wallet(&args.which.place)?.folder().display());
        return Err(Failure::new(Kind::NotFound, what).advise("chutes-miner wallet list shows which there are"));
    }
    if single && args.output == Output::Table {
        // The error says it, and there is no other row that it could be lost among.
        for row in &mut rows {
            let what = row.failure.as_ref().map(Failure::what).unwrap_or_default();
            row.notes.retain(|note| !what.contains(note.as_str()));
        }
    }
    print(&rows, args.output);
    let hotkey = hotkey_name(&args.which.place)?;
    if !single && hotkey.as_str() != DEFAULT_NAME && rows.iter().all(|row| row.key != hotkey.as_str()) {
        let what = format!("the wallet {} has no hotkey {hotkey}", wallet_name(&args.which.place)?);
        return Err(Failure::new(Kind::NotFound, what));
    }
    rows.into_iter().find_map(|row| row.failure).map_or(Ok(()), Err)
}

/// A link that leads nowhere is there, too.
fn there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The hotkey that was asked for; `None` for all.
fn named(place: &Place) -> Result<Option<Name>, Failure> {
    let hotkey = hotkey_name(place)?;
    Ok((hotkey.as_str() != DEFAULT_NAME || !place.wallet_hotkey.is_empty()).then_some(hotkey))
}

/// The coldkey and the hotkeys of a wallet, as far as there are any; of the hotkeys only one, if it is there.
fn keys(wallet: &Wallet, unlock: &Unlock, only: Option<&Name>) -> Result<Vec<Row>, Failure> {
    let only = only.filter(|hotkey| there(&wallet.hotkey(hotkey)) || there(&wallet.hotkey_public(hotkey)));
    let name = wallet.name().as_str();
    let mut rows = Vec::new();
    if there(&wallet.coldkey()) || there(&wallet.coldkey_public()) {
        rows.push(row(name, "coldkey", &wallet.coldkey(), &wallet.coldkey_public(), unlock)?);
    }
    match wallet.hotkeys() {
        Ok(hotkeys) => {
            for hotkey in hotkeys.into_iter().filter(|hotkey| only.is_none_or(|only| only == hotkey)) {
                rows.push(row(name, hotkey.as_str(), &wallet.hotkey(&hotkey), &wallet.hotkey_public(&hotkey), unlock)?);
            }
        }
        Err(cause) => {
            let path = wallet.folder().join("hotkeys");
            let mut row = Row { wallet: name.to_owned(), key: "hotkeys".to_owned(), file: path.display().to_string(), ..Row::default() };
            row.fail(StoreError::Unreadable { path, cause });
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Reads both halves of a key. Fails only if a person who was asked for a password interrupts.
fn row(wallet: &str, key: &str, file: &Path, public: &Path, unlock: &Unlock) -> Result<Row, Failure> {
    let mut row = Row {
        wallet: wallet.to_owned(),
        key: key.to_owned(),
        file: file.display().to_string(),
        form: "public".to_owned(),
        ..Row::default()
    };
    let mut broken = None;
    let public_address = match store::read(public) {
        Ok(stored) => {
            row.notes.extend(exposed(public, &stored).into_iter().map(|(what, _)| format!("its public file {what}")));
            stored.key.address().cloned()
        }
        Err(StoreError::Missing(_)) if !there(public) => None,
        Err(error) => {
            row.notes.push(format!("its public file cannot be used: {error}"));
            broken = Some(error);
            None
        }
    };
    row.address.clone_from(&public_address);
    let stored = match store::read(file) {
        Ok(stored) => stored,
        Err(StoreError::Missing(_)) if !there(file) => {
            // Its public half alone, which is fine if it can be read.
            if let Some(error) = broken {
                row.notes.pop();
                row.fail(error);
            }
            return Ok(row);
        }
        Err(error) => {
            row.fail(error);
            return Ok(row);
        }
    };
    row.notes.extend(exposed(file, &stored).into_iter().map(|(what, _)| what));
    let content = match stored.key {
        KeyFile::Sealed(sealed) => {
            row.form = sealed.form().to_string();
            if let Err(error) = sealed.check() {
                "damaged".clone_into(&mut row.form);
                row.notes.push(error.to_string());
                row.failure = Some(secret::not_opened(file, &error));
                return Ok(row);
            }
            let given = match unlock {
                Unlock::No => return Ok(row),
                Unlock::With(given) => Ok(given.clone()),
                Unlock::Asking => secret::password(file, None, "--password-file"),
            };
            match given.and_then(|given| given.open(file, &sealed)) {
                Ok(content) => content,
                Err(failure) if failure.kind == Kind::Interrupted => return Err(failure),
                Err(failure) => {
                    let what = failure.what();
                    row.notes.push(what.strip_prefix(&format!("{}: ", file.display())).unwrap_or(&what).to_owned());
                    row.failure = Some(failure);
                    KeyFile::Sealed(sealed)
                }
            }
        }
        content => {
            if matches!(content, KeyFile::Key(_)) {
                row.form = Form::Plain.to_string();
            }
            content
        }
    };
    if let KeyFile::Key(key) = &content
        && !key.has_seed()
    {
        row.notes.push("it has no secretSeed, which other tools want".to_owned());
    }
    if let Some(address) = content.address() {
        if let Some(public) = public_address.filter(|public| public != address) {
            row.notes.push(format!("its public file says {public}"));
        }
        row.address = Some(address.clone());
    }
    Ok(row)
}

fn print(rows: &[Row], how: Output) {
    match how {
        Output::Json => output::json_indented(&as_json(rows)),
        Output::Table if rows.is_empty() => {}
        Output::Table => output::text(&as_table(rows, output::width())),
    }
}

fn as_json(rows: &[Row]) -> Value {
    let row = |row: &Row| json!({ "wallet": row.wallet, "key": row.key, "address": row.address, "form": row.form, "file": row.file, "notes": row.notes });
    rows.iter().map(row).collect()
}

/// The address is to be copied, so it stands in one piece; notes come below.
fn as_table(rows: &[Row], width: u16) -> String {
    let mut table = Table::new(&["WALLET", "KEY", "ADDRESS", "FORM"], width);
    for row in rows {
        let hidden = if [Form::Nacl, Form::Ansible, Form::Fernet].iter().any(|form| form.to_string() == row.form) {
            "(a password hides it)"
        } else {
            "-"
        };
        let address = row.address.as_ref().map_or_else(|| hidden.to_owned(), ToString::to_string);
        table.row([row.wallet.clone(), row.key.clone(), address, row.form.clone()].map(|cell| output::printable(&cell)));
    }
    let mut text = table.render();
    for row in rows {
        for note in &row.notes {
            text.push_str(&output::wrapped(&output::printable(&format!("{} {}: {note}", row.wallet, row.key)), width, 2));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_addresses_whole_within_eighty_columns() {
        let row = |key: &str, address: Option<&str>, form: &str, notes: &[&str]| Row {
            wallet: "default".to_owned(),
            key: key.to_owned(),
            file: format!("/w/default/{key}"),
            address: address.map(|address| address.parse().unwrap()),
            form: form.to_owned(),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
            failure: None,
        };
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        let rows = [
            row("coldkey", None, "nacl", &[]),
            row("default", Some(alice), "plain", &["has mode 0644, others may read it"]),
            row("watch", Some(alice), "public", &[]),
            row(
                "broken",
                None,
                "damaged",
                &["/w/default/broken: this is no key file: neither a wallet's JSON, nor one of the encrypted forms"],
            ),
        ];
        let text = as_table(&rows, 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
        assert_eq!(as_json(&rows)[1]["address"], alice);
    }
}
