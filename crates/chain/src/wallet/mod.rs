//! Wallet files: coldkeys and hotkeys in every form the ecosystem writes.
