//! Passwords and words: from a file, a variable, or a person who types unseen. Never from an argument, which every process may read.

use crate::{
    failure::{Failure, Kind},
    hotkey::expand,
};
use chain::wallet::{Password, store};
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Of what comes from standard input.
const LONGEST_BYTES: u64 = 1 << 20;

/// The password of a key file that is there.
pub(super) fn password(path: &Path, file: Option<&str>) -> Result<Password, Failure> {
    match known(path, file)? {
        Some(password) => Ok(password),
        None => Ok(Password::new(&typed(&format!("Password of {}: ", path.display()), "--password-file FILE")?)),
    }
}

/// The password of a key file to be, good enough and, if typed, typed twice. `flag` is the one that names the file with it.
pub(super) fn new_password(path: &Path, file: Option<&str>, flag: &str) -> Result<Password, Failure> {
    let password = match known(path, file)? {
        Some(password) => password,
        None => {
            let advice = format!("{flag} FILE");
            let first = typed(&format!("New password for {}: ", path.display()), &advice)?;
            let second = typed("The same again: ", &advice)?;
            if first != second {
                return Err(Failure::new(Kind::Usage, "the two passwords differ; nothing was written"));
            }
            Password::new(&first)
        }
    };
    password.check_new().map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
    Ok(password)
}

/// What needs no person.
fn known(path: &Path, file: Option<&str>) -> Result<Option<Password>, Failure> {
    if let Some(file) = file {
        return Ok(Some(Password::from_file_text(&text(file)?)));
    }
    let variable = Password::variable(path);
    let Some(value) = std::env::var_os(&variable) else { return Ok(None) };
    let value = Zeroizing::new(value.into_string().unwrap_or_default());
    Password::from_variable(&variable, &value).map(Some).map_err(|error| Failure::general(error.to_string()))
}

/// Words, a seed or a URI.
pub(super) fn secret(file: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(file) => text(file),
        None => typed("Words, seed or URI (nothing is shown): ", "--secret-file FILE"),
    }
}

/// The password of a browser wallet's export.
pub(super) fn export_password(path: &Path, file: Option<&str>) -> Result<Password, Failure> {
    match file {
        Some(file) => Ok(Password::from_file_text(&text(file)?)),
        None => Ok(Password::new(&typed(&format!("Password of the export {}: ", path.display()), "--export-password-file FILE")?)),
    }
}

/// A secret file, which nobody else may read; `-` is standard input.
fn text(file: &str) -> Result<Zeroizing<String>, Failure> {
    if file != "-" {
        return service::secret_file(expand(file)).map_err(|error| Failure::general(error.to_string()));
    }
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(LONGEST_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::general(format!("cannot read standard input: {error}")))?;
    Ok(text)
}

fn typed(prompt: &str, otherwise: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        let what = format!("there is no terminal on which to ask for a password or words ({error})");
        Failure::new(Kind::Usage, what).advise(otherwise)
    })
}

/// Writes words where nobody else may read them, and never over something.
pub(super) fn write_phrase(file: &str, words: &str) -> Result<(), Failure> {
    let line = Zeroizing::new(format!("{words}\n"));
    store::write(&expand(file), line.as_bytes(), false).map_err(super::failed)
}
