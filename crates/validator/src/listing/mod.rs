//! Lists from a validator, and how far they can be trusted.
//!
//! The inventory streams have no end marker (but for one word on an empty list), and an error inside the validator
//! looks like an early end. So a list knows whether it is complete, and one that is not never proves absence.

mod parser;
mod row;

use std::collections::BTreeSet;

pub use parser::{ListingParser, StreamEnd};
pub use row::ListRow;

/// Whether a list can prove that something is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// The whole list was read.
    Complete,
    /// It ended as it should, without a row and without the word that some lists have for being empty: it is empty, or the
    /// validator failed before the first row.
    Silent,
    /// It may lack rows; the text says why.
    Unknown(String),
}

impl Completeness {
    /// Whether it is complete.
    pub fn is_complete(&self) -> bool {
        *self == Self::Complete
    }

    /// Why rows may be missing; nothing of a complete list.
    pub fn doubt(&self) -> Option<&str> {
        match self {
            Self::Complete => None,
            Self::Silent => Some("no rows came, and no NO_ITEMS either"),
            Self::Unknown(why) => Some(why),
        }
    }
}

/// A list from a validator.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The rows that could be read, one for each id (the last, where an id came twice).
    pub items: Vec<T>,
    /// Whether rows may be missing.
    pub completeness: Completeness,
    /// Rows that came but could not be read.
    pub bad_rows: usize,
    /// Ids of those rows: they exist, although nothing else is known of them.
    pub bad_ids: BTreeSet<String>,
    /// The moment before the list was asked for: what it says is no older than this.
    pub as_of: jiff::Timestamp,
}

impl<T: ListRow> Listing<T> {
    /// Whether the list proves that nothing with this id exists. Never true of an incomplete list, nor of an id whose
    /// row came but could not be read.
    pub fn proves_absence_of(&self, id: &str) -> bool {
        self.completeness.is_complete() && !self.bad_ids.contains(id) && self.items.iter().all(|row| row.id() != id)
    }

    /// Whether it came to its end without any row. Alone that proves nothing: most lists have no word for being empty.
    pub fn came_empty(&self) -> bool {
        let ended = matches!(self.completeness, Completeness::Complete | Completeness::Silent);
        ended && self.items.is_empty() && self.bad_rows == 0
    }

    /// A list out of a whole JSON array: its closing bracket is the end marker that streams lack.
    pub(crate) fn from_array(rows: Vec<serde_json::Value>, as_of: jiff::Timestamp) -> Self {
        let mut parser = ListingParser::new(as_of);
        for row in rows {
            parser.row(row);
        }
        parser.finish_document()
    }
}
