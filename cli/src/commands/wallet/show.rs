//! `wallet list` and `wallet show`: what there is, without a secret of it.

use super::{failed, files, not_opened, secret, too_open, wallet, wallets};
use crate::{
    args::{
        Output,
        wallet::{List, Show},
    },
    failure::{Failure, Kind},
    output::{self, Table},
};
use chain::wallet::place::Wallet;
use chain::wallet::store::{self, StoreError};
use chain::wallet::{Form, KeyFile};
use protocol::ids::Ss58;
use serde_json::{Value, json};
use std::path::Path;

/// What is known of one key.
#[derive(Debug)]
struct Row {
    wallet: String,
    key: String,
    file: String,
    address: Option<Ss58>,
    form: String,
    notes: Vec<String>,
}

pub(super) fn list(args: &List) -> Result<(), Failure> {
    let wallets = wallets(&args.wallet_path);
    let unreadable = |error: std::io::Error| Failure::general(format!("cannot read {}: {error}", wallets.root().display()));
    let mut rows = Vec::new();
    for wallet in wallets.list().map_err(unreadable)? {
        rows.extend(keys(&wallet, None)?);
    }
    if rows.is_empty() {
        output::note(&format!("No wallet in {}. Make one with: chutes-miner wallet new-coldkey", wallets.root().display()));
    }
    print(&rows, args.output);
    Ok(())
}

pub(super) fn run(args: &Show) -> Result<(), Failure> {
    let rows = if args.which.file.is_some() || args.which.coldkey {
        let (file, public) = files(&args.which)?;
        let (whose, key) = if args.which.coldkey { (args.which.place.wallet_name.as_str(), "coldkey") } else { ("-", "-") };
        vec![row(whose, key, &file, &public, Some(args))?]
    } else {
        keys(&wallet(&args.which.place)?, Some(args))?
    };
    if rows.is_empty() {
        let what = format!("there is no wallet in {}", wallet(&args.which.place)?.folder().display());
        return Err(Failure::new(Kind::NotFound, what).advise("chutes-miner wallet list shows which there are"));
    }
    print(&rows, args.output);
    Ok(())
}

/// The coldkey and the hotkeys of a wallet, as far as there are any.
fn keys(wallet: &Wallet, show: Option<&Show>) -> Result<Vec<Row>, Failure> {
    let name = wallet.name().as_str();
    let mut rows = Vec::new();
    if wallet.coldkey().exists() || wallet.coldkey_public().exists() {
        rows.push(row(name, "coldkey", &wallet.coldkey(), &wallet.coldkey_public(), show)?);
    }
    let unreadable = |error| Failure::general(format!("cannot read {}: {error}", wallet.folder().display()));
    for hotkey in wallet.hotkeys().map_err(unreadable)? {
        rows.push(row(name, hotkey.as_str(), &wallet.hotkey(&hotkey), &wallet.hotkey_public(&hotkey), show)?);
    }
    Ok(rows)
}

/// Reads both halves of a key. Damage is told in the row: it shall not hide the other keys.
fn row(wallet: &str, key: &str, file: &Path, public: &Path, show: Option<&Show>) -> Result<Row, Failure> {
    let public = store::read(public).ok().and_then(|stored| stored.key.address().cloned());
    let mut row = Row {
        wallet: wallet.to_owned(),
        key: key.to_owned(),
        file: file.display().to_string(),
        address: public.clone(),
        form: "public".to_owned(),
        notes: Vec::new(),
    };
    let stored = match store::read(file) {
        Ok(stored) => stored,
        Err(StoreError::Missing(_)) if public.is_some() => return Ok(row),
        Err(error @ StoreError::Missing(_)) => return Err(failed(error)),
        Err(error) => {
            row.form = "damaged".to_owned();
            row.notes.push(error.to_string());
            return Ok(row);
        }
    };
    row.notes.extend(too_open(&stored));
    let content = match (stored.key, show.filter(|show| show.unlock)) {
        (KeyFile::Sealed(sealed), show) => {
            row.form = sealed.form().to_string();
            match show {
                Some(show) => {
                    let password = secret::password(file, show.password_file.as_deref())?;
                    sealed.open(&password).map_err(|error| not_opened(file, &error))?
                }
                None => KeyFile::Sealed(sealed),
            }
        }
        (content @ KeyFile::Key(_), _) => {
            row.form = Form::Plain.to_string();
            content
        }
        (content, _) => content,
    };
    if let KeyFile::Key(key) = &content
        && !key.has_seed()
    {
        row.notes.push("it has no secretSeed, which other tools want".to_owned());
    }
    if let Some(address) = content.address() {
        if let Some(public) = public.filter(|public| public != address) {
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
        let address = row.address.as_ref().map_or_else(|| "(a password hides it)".to_owned(), ToString::to_string);
        let address = if row.form == "damaged" && row.address.is_none() { "-".to_owned() } else { address };
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
