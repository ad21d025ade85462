//! The words of a new key: shown once, or written where nobody else may read them.

use super::expanded;
use crate::failure::{Failure, Kind};
use chain::wallet::store;
use std::io::Write as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Shows words to the terminal alone, never to what may be a pipe or a log.
pub(super) fn show(words: &str) {
    // In three pieces: put together they would be a copy that nobody wipes.
    let mut terminal = std::io::stderr().lock();
    let _ = terminal
        .write_all(b"The words of this key, shown only now. Write them down; they count once the key is written, as told below:\n\n  ");
    let _ = terminal.write_all(words.as_bytes());
    let _ = terminal.write_all(b"\n\n");
}

/// Refuses a file that words cannot be written to.
pub(super) fn check_file(file: &str, key: &Path, public: &Path) -> Result<(), Failure> {
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
pub(super) fn write(file: &str, words: &str) -> Result<(), Failure> {
    let mut line = Zeroizing::new(String::with_capacity(words.len() + 1));
    line.push_str(words);
    line.push('\n');
    let written = store::write(&expanded(file)?, line.as_bytes(), false);
    written.map_err(|error| Failure::general(format!("{error}; no key was written")).advise("another file for the words"))
}
