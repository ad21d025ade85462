//! Keeping secrets out of logs and errors.

use std::fmt;
use url::Url;

/// A value that neither `Debug` nor `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a secret.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl<T: std::str::FromStr> std::str::FromStr for Redacted<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A URL fit for a log: no user, password, query or fragment.
#[must_use]
pub fn url(text: &str) -> String {
    match Url::parse(text) {
        Err(_) => "<not a URL>".to_owned(),
        Ok(mut url) => {
            // These fail only for URLs that cannot hold a user at all.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_value_never_shows() {
        let secret = Redacted::new("hunter2".to_owned());
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_database_url_loses_its_password() {
        assert_eq!(url("postgres://miner:pw@db:5432/chutes?sslpassword=x"), "postgres://db:5432/chutes");
        assert_eq!(url("no url with pw"), "<not a URL>");
    }
}
