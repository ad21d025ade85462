//! The key that signs, and other work that blocks.

use super::super::{Role, Sending};
use crate::{
    commands::wallet,
    failure::{Failure, Kind},
};
use chain::wallet::WalletKey;
use tokio::sync::oneshot;

/// The key that signs. It may wait for somebody to type, and for a password to be stretched; the connection stays alive meanwhile.
pub(super) async fn opened(sending: &Sending, role: Role) -> Result<WalletKey, Failure> {
    let (which, password) = (sending.which(role), sending.signer.password_file.clone());
    let opened = beside(move || wallet::key(&which, password.as_deref())).await;
    let opened = opened.unwrap_or_else(|| Err(Failure::general("the key could not be opened")));
    opened.map_err(|failure| match failure.kind {
        Kind::Interrupted => Failure::new(Kind::Interrupted, "interrupted; nothing was sent"),
        _ => failure,
    })
}

/// Runs what blocks in a thread that nobody waits for when the program ends; `None` if it panics.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.await.ok()
}
