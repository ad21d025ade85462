//! sr25519 keys: the hotkey's seed, signing and verifying, and the file a hotkey is kept in.
//!
//! Secret material lives only in [`Seed`] and [`Keypair`]; both wipe themselves when dropped and show nothing in
//! `Debug`.

mod hotkey_file;
mod keypair;
mod seed;
mod signature;

pub use hotkey_file::{HotkeyFile, HotkeyFileError};
pub use keypair::{Keypair, verify};
pub use seed::{Seed, SeedError};
pub use signature::{Signature, SignatureError};
