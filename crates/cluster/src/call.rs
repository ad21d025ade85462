//! A time limit on every call. The client has none of its own: a peer that takes the request and never answers would hold us
//! for ever.

use crate::{Error, Result};
use std::{future::Future, time::Duration};

/// How long a single call may take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// How long a list may take.
pub const LIST_LIMIT: Duration = Duration::from_secs(30);

/// Awaits a call of the client for at most [`LIMIT`]. `what` completes the sentence "… failed", such as `creating Job chute-1`,
/// and must not hold a secret.
///
/// # Errors
/// The client's error, sorted; [`Error::Timeout`] when no answer came.
pub async fn bounded<T>(what: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T> {
    bounded_by(LIMIT, what, call).await
}

/// As [`bounded`], with a limit of your own.
///
/// # Errors
/// As [`bounded`].
pub async fn bounded_by<T>(limit: Duration, what: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::from_kube(what, error)),
        Err(_) => Err(Error::Timeout { what: what.to_owned(), after: limit }),
    }
}

/// Reads an object that may not exist.
///
/// # Errors
/// As [`bounded`], but absence is no error.
pub async fn get_opt<K>(api: &kube::Api<K>, name: &str) -> Result<Option<K>>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    bounded(&format!("reading {kind} {name}"), api.get_opt(name)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_answers_does_not_hold_us() {
        let error = bounded::<()>("asking", std::future::pending()).await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(error.to_string(), "asking: no answer from the API server within 10s");
    }
}
