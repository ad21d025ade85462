//! Answers to reads, kept to be given again when they are no longer true.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::seen::Seen;

/// Beyond this an answer is not kept.
pub(super) const LARGEST_BYTES: usize = 16 << 20;

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What must be equal for one answer to stand for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    path: String,
    query: String,
    /// The API server answers in several formats, and with less than the whole object where it is asked so.
    accept: Vec<u8>,
}

impl Key {
    /// `None` where the request is not a read whose answer ends.
    pub(super) fn of(seen: &Seen, headers: &HeaderMap) -> Option<Self> {
        if seen.method != Method::GET || seen.is_watch || seen.is_write || headers.contains_key(header::UPGRADE) {
            return None;
        }
        // How fresh the answer must be, and how long to wait for it, does not change what is asked for.
        let of_content = |pair: &&str| !["resourceVersion", "timeoutSeconds"].iter().any(|prefix| pair.starts_with(prefix));
        let query: Vec<&str> = seen.query.split('&').filter(of_content).collect();
        let accept = headers.get(header::ACCEPT).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        Some(Self { path: seen.path.clone(), query: query.join("&"), accept })
    }
}

#[derive(Debug, Default)]
struct Shelf {
    answers: HashMap<Key, Recorded>,
    pinned: bool,
}

/// The latest answer to each read.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Shelf>);

impl Lists {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Recorded> {
        self.shelf().answers.get(key).cloned()
    }

    pub(super) fn keep(&self, key: Key, answer: Recorded) {
        let mut shelf = self.shelf();
        if !(shelf.pinned && shelf.answers.contains_key(&key)) {
            shelf.answers.insert(key, answer);
        }
    }

    /// Whether the answers that are there stay, whatever is answered from now on.
    pub(super) fn pin(&self, pinned: bool) {
        self.shelf().pinned = pinned;
    }

    pub(super) fn clear(&self) {
        *self.shelf() = Shelf::default();
    }
}
