//! One attempt at one object: bounded in time, and unable to take anybody else down.

use super::{Action, Request};
use crate::watch::{ObjectRef, Watched};
use futures::FutureExt as _;
use std::{any::Any, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Done(Action),
    Failed(String),
    Panicked(String),
}

pub(super) async fn attempt<K, R, F, E>(reconcile: Arc<R>, request: Request<K>, limit: Duration) -> (ObjectRef<K>, Outcome)
where
    K: Watched,
    R: Fn(Request<K>) -> F,
    F: Future<Output = Result<Action, E>>,
    E: fmt::Display,
{
    let key = request.key.clone();
    // State that a panic leaves half changed would be the reconciler's own; ours here is moved in and lost with it.
    let guarded = AssertUnwindSafe(async { reconcile(request).await }).catch_unwind();
    let outcome = match tokio::time::timeout(limit, guarded).await {
        Ok(Ok(Ok(action))) => Outcome::Done(action),
        Ok(Ok(Err(error))) => Outcome::Failed(error.to_string()),
        Ok(Err(panic)) => Outcome::Panicked(format!("panicked: {}", words(&*panic))),
        Err(_) => Outcome::Failed(format!("did not end within {limit:?}")),
    };
    (key, outcome)
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
