//! Passwords and words: from a file, a variable, or a person who types unseen. Never from an argument, which every process may read.

use super::expanded;
use crate::failure::{Failure, Kind};
use chain::wallet::{Password, store};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Of what comes from standard input.
const LONGEST_BYTES: usize = 1 << 20;

/// The password of a key file that is there.
pub(super) fn password(path: &Path, file: Option<&str>) -> Result<Password, Failure> {
    if let Some(file) = file {
        return from_file(file);
    }
    match from_variable(path)? {
        Some(password) => Ok(password),
        None => Ok(Password::new(&typed(&format!("Password of {}: ", path.display()), "--password-file FILE")?)),
    }
}

/// The password that a file holds.
pub(super) fn from_file(file: &str) -> Result<Password, Failure> {
    Ok(Password::from_file_text(&text(file)?))
}

/// The password of a key file to be, good enough and, if typed, typed twice. `flag` is the one that names the file with it.
///
/// The variable of the Python wallets is not asked: it opens files, and nobody shall be surprised by the password of a new one.
pub(super) fn new_password(path: &Path, file: Option<&str>, flag: &str) -> Result<Password, Failure> {
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

/// What the variable of the Python wallets holds; one that is set to nothing holds nothing.
fn from_variable(path: &Path) -> Result<Option<Password>, Failure> {
    let variable = Password::variable(path);
    let Some(value) = std::env::var_os(&variable).filter(|value| !value.is_empty()) else { return Ok(None) };
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
        Some(file) => from_file(file),
        None => Ok(Password::new(&typed(&format!("Password of the export {}: ", path.display()), "--export-password-file FILE")?)),
    }
}

/// Refuses two secrets from standard input: the first would swallow the second.
pub(super) fn one_from_standard_input(files: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let flags: Vec<&str> = files.iter().filter(|(_, file)| *file == Some("-")).map(|(flag, _)| *flag).collect();
    if flags.len() > 1 {
        return Err(Failure::new(Kind::Usage, format!("{} cannot come from standard input together", flags.join(" and "))));
    }
    Ok(())
}

/// A secret file, which nobody else may read; `-` is standard input.
fn text(file: &str) -> Result<Zeroizing<String>, Failure> {
    if file != "-" {
        return service::secret_file(expanded(file)?).map_err(|error| Failure::general(error.to_string()));
    }
    // Room for all of it, so that it is never moved and left behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_BYTES + 1));
    let read = std::io::stdin().lock().take(LONGEST_BYTES as u64).read_to_string(&mut text);
    read.map_err(|error| Failure::general(format!("cannot read standard input: {error}")))?;
    Ok(text)
}

fn typed(prompt: &str, otherwise: &str) -> Result<Zeroizing<String>, Failure> {
    // A prompt hears Ctrl-C as a character and raises the signal itself, before it gives the terminal its echo back. Held back, the signal
    // ends nothing until then.
    let before = SigSet::from(Signal::SIGINT).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let answer = rpassword::prompt_password(prompt).map(Zeroizing::new);
    if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
        // Still held back: the program says so and ends with the code of an interrupt.
        return Err(Failure::new(Kind::Interrupted, "interrupted; nothing was written"));
    }
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    answer.map_err(|error| {
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "nothing was typed; nothing was written".to_owned(),
            _ => format!("there is no terminal on which to ask for a password or words ({error})"),
        };
        Failure::new(Kind::Usage, what).advise(otherwise)
    })
}

/// Shows words to the terminal alone, never to what may be a pipe or a log.
pub(super) fn show_phrase(words: &str) {
    // In three pieces: put together they would be a copy that nobody wipes.
    let mut terminal = std::io::stderr().lock();
    let _ = terminal
        .write_all(b"The words of this key, shown only now. Write them down; they count once the key is written, as told below:\n\n  ");
    let _ = terminal.write_all(words.as_bytes());
    let _ = terminal.write_all(b"\n\n");
}

/// Refuses a file that words cannot be written to.
pub(super) fn check_phrase_file(file: &str, key: &Path, public: &Path) -> Result<(), Failure> {
    if file == "-" {
        return Err(Failure::new(Kind::Usage, "words are not written to standard output").advise("--phrase-file FILE, or a terminal"));
    }
    let path = expanded(file)?;
    if path == key || path == public {
        return Err(Failure::new(Kind::Usage, "--phrase-file names the file of the key itself").advise("another file for the words"));
    }
    store::check_place(&path, false).map_err(|error| Failure::general(error.to_string()).advise("another file for the words"))
}

/// Writes words where nobody else may read them, and never over something.
pub(super) fn write_phrase(file: &str, words: &str) -> Result<(), Failure> {
    let mut line = Zeroizing::new(String::with_capacity(words.len() + 1));
    line.push_str(words);
    line.push('\n');
    let written = store::write(&expanded(file)?, line.as_bytes(), false);
    written.map_err(|error| Failure::general(format!("{error}; no key was written")).advise("another file for the words"))
}
