//! Passwords and words: from a file, a variable, or a person who types unseen. Never from an argument, which every process may read.

use crate::failure::{Failure, Kind};
use crate::hotkey::expanded;
use crate::prompt::{self, Unanswered};
use chain::wallet::place::{PASSWORD_FILE_VARIABLE, PASSWORD_VARIABLE, is_coldkey};
use chain::wallet::{KeyFile, OpenError, Password, Sealed};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Of what comes from standard input.
const LONGEST_BYTES: usize = 1 << 20;

/// A password, and the variable it stood in, for whoever has to say that it is wrong.
#[derive(Clone)]
pub(crate) struct Given {
    password: Password,
    variable: Option<String>,
}

impl Given {
    /// What a file holds.
    pub(crate) fn from_file(file: &str) -> Result<Self, Failure> {
        Ok(Self { password: from_file(file)?, variable: None })
    }

    /// Opens a key file.
    pub(crate) fn open(&self, path: &Path, sealed: &Sealed) -> Result<KeyFile, Failure> {
        sealed.open(&self.password).map_err(|error| match (&self.variable, &error) {
            (Some(variable), OpenError::WrongPassword) => {
                Failure::new(Kind::Unauthorised, format!("{}: {error}; it stands in {variable}", path.display()))
                    .advise(format!("unset {variable}, and you are asked"))
            }
            _ => not_opened(path, &error),
        })
    }
}

/// Opens a key file with the password of a file, a variable or a person. `flag` is the one that names the file with it.
pub(crate) fn open(path: &Path, sealed: &Sealed, file: Option<&str>, flag: &str) -> Result<KeyFile, Failure> {
    // Before anybody is asked.
    sealed.check().map_err(|error| not_opened(path, &error))?;
    password(path, file, flag)?.open(path, sealed)
}

/// What to say of a key file that did not open.
pub(crate) fn not_opened(path: &Path, error: &OpenError) -> Failure {
    let what = format!("{}: {error}", path.display());
    match error {
        OpenError::WrongPassword => Failure::new(Kind::Unauthorised, what).advise("the password once more; mind capitals and the keyboard"),
        OpenError::Memory => Failure::general(what).advise("a machine, or a container limit, with 600 MiB of memory to spare"),
        OpenError::Damaged(_) | OpenError::Inside(_) => {
            Failure::general(what).advise("a backup of the file, or its words with: chutes-miner wallet regen")
        }
    }
}

/// The password of a key file that is there.
pub(crate) fn password(path: &Path, file: Option<&str>, flag: &str) -> Result<Given, Failure> {
    if let Some(file) = file {
        return Given::from_file(file);
    }
    if let Some(given) = from_variables(path)? {
        return Ok(given);
    }
    let typed = typed(&format!("Password of {}: ", path.display()), &format!("{flag} FILE"))?;
    if typed.is_empty() {
        return Err(Failure::new(Kind::Usage, "nothing was typed; nothing was done"));
    }
    Ok(Given { password: Password::new(&typed), variable: None })
}

fn from_file(file: &str) -> Result<Password, Failure> {
    let password = Password::from_file_text(&text(file)?);
    if password.is_empty() {
        let what = if file == "-" { "standard input".to_owned() } else { file.to_owned() };
        return Err(Failure::new(Kind::Usage, format!("there is no password in {what}")));
    }
    Ok(password)
}

/// The password of a key file to be, good enough and, if typed, typed twice. `flag` is the one that names the file with it.
///
/// The variables of the Python wallets are not asked: they open files, and nobody shall be surprised by the password of a new one.
pub(crate) fn new_password(path: &Path, file: Option<&str>, flag: &str) -> Result<Password, Failure> {
    let Some(file) = file else {
        let advice = format!("{flag} FILE");
        let first = typed(&format!("New password for {}: ", path.display()), &advice)?;
        let password = Password::new(&first);
        password.check_new().map_err(|error| Failure::new(Kind::Usage, format!("{error}; nothing was written")))?;
        if first != typed("The same again: ", &advice)? {
            return Err(Failure::new(Kind::Usage, "the two passwords differ; nothing was written"));
        }
        return Ok(password);
    };
    let password = from_file(file)?;
    password.check_new().map_err(|error| Failure::new(Kind::Usage, format!("{flag} {file}: {error}; nothing was written")))?;
    Ok(password)
}

/// What the variables of the Python wallets hold, in their order; one that is set to nothing holds nothing. Two of them are for coldkeys.
fn from_variables(path: &Path) -> Result<Option<Given>, Failure> {
    if is_coldkey(path)
        && let Some(value) = variable(PASSWORD_VARIABLE)
    {
        return Ok(Some(Given { password: Password::new(&value), variable: Some(PASSWORD_VARIABLE.to_owned()) }));
    }
    let own = Password::variable(path);
    if let Some(value) = variable(&own) {
        let password = Password::from_variable(&own, &value).map_err(|error| Failure::general(error.to_string()))?;
        return Ok(Some(Given { password, variable: Some(own) }));
    }
    if is_coldkey(path)
        && let Some(file) = variable(PASSWORD_FILE_VARIABLE)
    {
        // As a path, since `-` of a variable would be whatever the standard input is.
        let password = Password::from_file_text(&file_text(&file)?);
        return Ok(Some(Given { password, variable: Some(PASSWORD_FILE_VARIABLE.to_owned()) }));
    }
    Ok(None)
}

fn variable(name: &str) -> Option<Zeroizing<String>> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(Zeroizing::new(value.into_string().unwrap_or_default()))
}

/// Words, a seed or a URI.
pub(crate) fn secret(file: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(file) => text(file),
        None => typed("Words, seed or URI (nothing is shown): ", "--secret-file FILE"),
    }
}

/// The password of a browser wallet's export.
pub(crate) fn export_password(path: &Path, file: Option<&str>) -> Result<Password, Failure> {
    match file {
        Some(file) => from_file(file),
        None => Ok(Password::new(&typed(&format!("Password of the export {}: ", path.display()), "--export-password-file FILE")?)),
    }
}

/// Refuses two secrets from standard input: the first would swallow the second.
pub(crate) fn one_from_standard_input(files: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let flags: Vec<&str> = files.iter().filter(|(_, file)| *file == Some("-")).map(|(flag, _)| *flag).collect();
    if flags.len() > 1 {
        return Err(Failure::new(Kind::Usage, format!("{} cannot come from standard input together", flags.join(" and "))));
    }
    Ok(())
}

/// A secret file, which nobody else may read; `-` is standard input.
fn text(file: &str) -> Result<Zeroizing<String>, Failure> {
    if file == "-" { standard_input().map(without_mark) } else { file_text(file) }
}

/// A secret file, whatever it is called.
pub(crate) fn file_text(file: &str) -> Result<Zeroizing<String>, Failure> {
    service::secret_file(expanded(file)?).map(without_mark).map_err(|error| Failure::general(error.to_string()))
}

/// Past the buffer of the library, which nobody wipes.
fn standard_input() -> Result<Zeroizing<String>, Failure> {
    // Room for all of it, so that it is never moved and left behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_BYTES + 1));
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let read = input.and_then(|input| input.take(LONGEST_BYTES as u64).read_to_string(&mut text));
    read.map_err(|error| Failure::general(format!("cannot read standard input: {error}")))?;
    Ok(text)
}

/// Editors of other systems put a mark of the byte order before the text; nobody types it.
fn without_mark(mut text: Zeroizing<String>) -> Zeroizing<String> {
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    text
}

fn typed(question: &str, otherwise: &str) -> Result<Zeroizing<String>, Failure> {
    prompt::unseen(question).map_err(|error| match error {
        Unanswered::Interrupted => Failure::new(Kind::Interrupted, "interrupted; nothing was done"),
        Unanswered::Nothing => Failure::new(Kind::Usage, "nothing was typed; nothing was done").advise(otherwise),
        Unanswered::NoTerminal(error) => {
            Failure::new(Kind::Usage, format!("there is no terminal on which to ask for a password or words ({error})")).advise(otherwise)
        }
    })
}
