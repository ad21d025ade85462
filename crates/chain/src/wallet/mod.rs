//! Wallet files: coldkeys and hotkeys in every form the ecosystem writes.
//!
//! A wallet is a folder with a coldkey and hotkeys; [`place`] knows the paths. A file's bytes become a [`KeyFile`]: a key, only an address,
//! or something [`Sealed`] that a [`Password`] opens. [`store`] reads and writes whole files and never replaces one unasked.
//!
//! Secrets live in [`WalletKey`], [`Phrase`], [`Password`] and what `protocol` has for keys; all wipe themselves when dropped, and none shows
//! itself in `Debug`, `Display` or an error.

mod ansible;
mod fernet;
#[cfg(test)]
mod fuzz_tests;
mod key;
mod key_file;
mod nacl;
mod password;
mod phrase;
pub mod place;
mod polkadot;
mod sealed;
pub mod store;
mod stretch;
mod uri;

pub use key::WalletKey;
pub use key_file::{KeyFile, KeyFileError, public_json};
pub use password::{Password, PasswordError, VariableError};
pub use phrase::{Phrase, PhraseError, WORD_COUNTS};
pub use polkadot::{PolkadotError, open_polkadot_export};
pub use sealed::{Form, OpenError, SealError, Sealed, seal};
pub use uri::{UriError, key_from_uri};
