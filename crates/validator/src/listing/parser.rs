//! The incremental reader of `data: {json}` streams. Pure: bytes in, a [`Listing`] out.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::{Completeness, ListRow, Listing};

/// A row longer than this is no row; the rest of the stream is not read.
const MAX_LINE_BYTES: usize = 8 << 20;
/// More rows than this are not kept.
const MAX_ROWS: usize = 200_000;
/// What an empty list says, where it says anything.
const EMPTY_MARK: &str = "NO_ITEMS";

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// As the transport says a whole body ends.
    Clean,
    /// Otherwise, and how.
    Cut(String),
}

/// Reads a stream as it comes.
#[derive(Debug)]
pub struct ListingParser<T> {
    line: Vec<u8>,
    items: Vec<T>,
    places: HashMap<String, usize>,
    bad_rows: usize,
    bad_ids: BTreeSet<String>,
    said_empty: bool,
    silent: bool,
    doubt: Option<String>,
    gave_up: bool,
    as_of: Timestamp,
}

impl<T: ListRow> ListingParser<T> {
    /// A reader of a stream that was asked for at `as_of`.
    pub fn new(as_of: Timestamp) -> Self {
        Self {
            line: Vec::new(),
            items: Vec::new(),
            places: HashMap::new(),
            bad_rows: 0,
            bad_ids: BTreeSet::new(),
            said_empty: false,
            silent: false,
            doubt: None,
            gave_up: false,
            as_of,
        }
    }

    /// Takes the next bytes, cut anywhere. Returns false once reading on is no use.
    pub fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !self.gave_up {
            let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
                self.extend(bytes);
                break;
            };
            self.extend(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            if !self.gave_up {
                self.whole_line(&line);
            }
        }
        !self.gave_up
    }

    /// The list, given how the stream ended.
    pub fn finish(mut self, end: StreamEnd) -> Listing<T> {
        if let StreamEnd::Cut(how) = end {
            self.doubt(format!("the stream was cut: {how}"));
        } else if self.line.trim_ascii().strip_prefix(b"data:").map(<[u8]>::trim_ascii) == Some(EMPTY_MARK.as_bytes()) {
            // Validators write this one word without the end of its line.
            self.line.clear();
            self.said_empty = true;
        }
        if !self.line.trim_ascii().is_empty() {
            self.doubt("the stream ended in the middle of a row".to_owned());
        }
        let any_row = !self.items.is_empty() || self.bad_rows > 0;
        match (any_row, self.said_empty) {
            (false, false) => self.silent = true,
            (true, true) => self.doubt(format!("rows came, and {EMPTY_MARK} too")),
            _ => {}
        }
        self.finish_document()
    }

    /// The list out of a document that is known to be whole.
    pub(super) fn finish_document(self) -> Listing<T> {
        Listing {
            items: self.items,
            completeness: match self.doubt {
                Some(why) => Completeness::Unknown(why),
                None if self.silent => Completeness::Silent,
                None => Completeness::Complete,
            },
            bad_rows: self.bad_rows,
            bad_ids: self.bad_ids,
            as_of: self.as_of,
        }
    }

    /// Takes one row.
    pub(super) fn row(&mut self, value: Value) {
        let id = value.get(T::ID_FIELD).and_then(Value::as_str).map(str::to_owned);
        match T::deserialize(value) {
            Ok(row) => self.keep(row),
            Err(error) => self.bad_row(id, &error.to_string()),
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > MAX_LINE_BYTES {
            self.give_up(format!("a row is longer than {} MiB", MAX_LINE_BYTES >> 20));
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn whole_line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b":") {
            return;
        }
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii_start) else {
            // An error page of something in between, perhaps: whatever it is, it is not part of the list.
            let beginning = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
            self.doubt(format!("there is a line that is no row: {beginning:?}"));
            return;
        };
        if data == EMPTY_MARK.as_bytes() {
            self.said_empty = true;
            return;
        }
        match serde_json::from_slice::<Value>(data) {
            Ok(value @ Value::Object(_)) => self.row(value),
            Ok(_) => self.bad_row(None, "it is no object"),
            Err(error) => self.bad_row(None, &error.to_string()),
        }
    }

    fn keep(&mut self, row: T) {
        let next = self.items.len();
        if next >= MAX_ROWS {
            return self.give_up(format!("more than {MAX_ROWS} rows came"));
        }
        match self.places.get(row.id()) {
            Some(&place) => self.items[place] = row,
            None => {
                self.places.insert(row.id().to_owned(), next);
                self.items.push(row);
            }
        }
    }

    /// One unreadable row must not stop the work on all others. If its id can be read, the list still is complete: it
    /// says that this id exists.
    fn bad_row(&mut self, id: Option<String>, why: &str) {
        self.bad_rows += 1;
        tracing::debug!(id, why, "a row of the validator's list could not be read");
        match id {
            Some(id) if self.bad_ids.len() < MAX_ROWS => {
                self.bad_ids.insert(id);
            }
            _ => self.doubt(format!("a row could not be read: {}", crate::error::trimmed(why))),
        }
    }

    fn doubt(&mut self, why: String) {
        self.doubt.get_or_insert(why);
    }

    fn give_up(&mut self, why: String) {
        self.gave_up = true;
        self.line = Vec::new();
        self.doubt(why);
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
