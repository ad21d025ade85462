//! Client of a validator's HTTP API and Socket.IO feed.
//!
//! Owns everything that is said to a validator and how its answers are judged: what is an answer, what is only silence.
//! Decides nothing: a [`Listing`] says whether it is complete, the caller says what follows. Nothing here retries;
//! every call has a timeout. The HTTP half needs a process-wide rustls provider, which the program installs.

mod client;
mod config;
mod error;
mod feed;
mod listing;

pub use client::{Advertised, Deletion, ValidatorClient};
pub use config::{ConfigError, ValidatorConfig};
pub use error::{LaunchError, ValidatorError};
pub use feed::{EventFeed, FeedOptions, FeedStatus, Link};
pub use listing::{Completeness, ListRow, Listing, ListingParser, StreamEnd};
pub use protocol::device::{ServerAdvert, ServerArgs};
