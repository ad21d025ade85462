//! What people and scripts see. Answers go to standard output, everything else to standard error.

mod parquet;
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod sheet;
mod table;

pub(crate) use table::Table;

use serde_json::Value;
use std::{
    io::{BufRead as _, ErrorKind, IsTerminal as _, Write as _},
    sync::OnceLock,
};

/// Columns of a terminal that does not say.
const WIDTH: u16 = 80;

/// Why part of an answer did not get to standard output.
static LOST: OnceLock<String> = OnceLock::new();

fn out(text: &str) {
    bytes(text.as_bytes());
}

/// Text as it is.
pub(crate) fn text(text: &str) {
    out(text);
}

/// What is no text; only for programs and files.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut output = std::io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Ok(()) => {}
        // A closed pipe (`| head`) is no failure of ours.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => drop(LOST.set(error.to_string())),
    }
}

/// Why part of an answer got lost, if it did: a full disk.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Whether a person would see it.
pub(crate) fn seen() -> bool {
    std::io::stdout().is_terminal()
}

/// One line.
pub(crate) fn line(text: &str) {
    out(&format!("{}\n", printable(text)));
}

/// A JSON document in one line.
pub(crate) fn json(value: &Value) {
    out(&format!("{}\n", escaped(&value.to_string())));
}

/// A JSON document for reading.
pub(crate) fn json_indented(value: &Value) {
    out(&format!("{}\n", escaped(&format!("{value:#}"))));
}

/// JSON escapes of its own accord only the control characters below 32; terminals obey others, too.
fn escaped(json: &str) -> String {
    json.chars().map(|c| if c != '\n' && disturbs(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// A line of progress: the time first, then the message as it came.
pub(crate) fn progress(time: &str, message: &str) {
    let (time, message) = (printable(time), printable(message));
    out(&if colour() { format!("\u{1b}[34m{time}\u{1b}[0m {message}\n") } else { format!("{time} {message}\n") });
}

/// Something to know that is no answer.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Asks on standard error and reads a line; `None` if there is nobody to answer.
pub(crate) fn ask(question: &str) -> Option<String> {
    let _ = write!(std::io::stderr(), "{question}");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(read) if read > 0 => Some(answer),
        _ => None,
    }
}

/// Whether a person sits there.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether colours would be seen and are wanted.
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns to lay tables out for.
pub(crate) fn width() -> u16 {
    std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok()).filter(|columns| *columns >= 40).unwrap_or(WIDTH)
}

/// Without what could disturb a terminal; line ends stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !disturbs(*c)).collect()
}

/// The same value with every string fit for a terminal.
pub(crate) fn harmless(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text)),
        Value::Array(list) => list.into_iter().map(harmless).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (printable(&key), harmless(value))).collect(),
        other => other,
    }
}

/// Control characters, and those that turn the direction of what follows.
fn disturbs(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text broken between words to fit `width` columns; further lines start with `indent` blanks, and a longer word stands whole.
pub(crate) fn wrapped(text: &str, width: u16, indent: usize) -> String {
    let (mut lines, mut column) = (String::new(), 0);
    for word in text.split_inclusive(' ') {
        if column > indent && column + word.trim_end().chars().count() > usize::from(width) {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        }
        lines.push_str(word);
        column += word.chars().count();
    }
    lines
}

/// A length of time in at most two units.
pub(crate) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86_400 => format!("{}h{}m", s / 3600, s % 3600 / 60),
        s => format!("{}d{}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let spans = [-5, 59, 60, 3599, 3600, 90_000].map(span);
        assert_eq!(spans, ["0s", "59s", "1m", "59m", "1h0m", "1d1h"]);
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrapped("  one two three", 9, 4), "  one two\n    three");
        assert_eq!(wrapped("https://a.very.long/address it", 10, 2), "https://a.very.long/address\n  it");
        assert_eq!(wrapped("fits", 10, 2), "fits");
    }

    #[test]
    fn escapes_are_taken_out_and_line_ends_stay() {
        assert_eq!(printable("a\u{1b}[31m\r\nb\u{9b}c"), "a[31m\nbc");
        let value = serde_json::json!({ "a": "x\u{9b}2J\u{7f}\u{202e}y\u{1b}" });
        let text = escaped(&format!("{value:#}"));
        assert!(text.chars().all(|c| c == '\n' || !disturbs(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value, "it says the same");
    }
}
