//! The permission to launch one instance.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::ConfigId;

/// The answer to a request for a launch config. Cannot be given back; claimed at most once, by the pod.
#[derive(Debug, Clone, Deserialize)]
pub struct LaunchConfig {
    /// The bearer token for the pod.
    pub token: LaunchToken,
    /// Joins deployment, pod and instance.
    pub config_id: ConfigId,
}

/// A launch token: a bearer secret. Wiped when dropped, redacted in `Debug`, and without `Serialize`, so that it goes
/// nowhere by accident; [`expose`](LaunchToken::expose) it only into the pod's Secret.
#[derive(Clone, PartialEq, Eq, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct LaunchToken(String);

/// What a launch token says about itself. Not verified: good for display and for sizing, not for decisions of trust.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct TokenClaims {
    /// When it expires, Unix seconds.
    pub exp: Option<i64>,
    /// When it was issued, Unix seconds.
    pub iat: Option<i64>,
    /// The launch config's id.
    pub sub: Option<String>,
    /// Where the pod claims.
    pub url: Option<String>,
    /// The job it is for.
    pub job_id: Option<String>,
    /// Disk the job needs, in GB.
    pub disk_gb: Option<u32>,
    /// The chute it is for (2026).
    pub chute_id: Option<String>,
    /// `tee` or `graval` (2026).
    pub env_type: Option<String>,
}

impl LaunchToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the token says, if it is a JWT whose payload can be read.
    pub fn claims(&self) -> Option<TokenClaims> {
        let mut parts = self.0.split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let payload = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
        serde_json::from_slice(&payload).ok()
    }
}

impl fmt::Debug for LaunchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaunchToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> LaunchToken {
        LaunchToken::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn the_payload_is_read_without_the_key() {
        let claims = token(r#"{"exp":1763600000,"disk_gb":50,"env_key":"ab","iss":"chutes"}"#).claims().unwrap();
        assert_eq!((claims.exp, claims.disk_gb), (Some(1_763_600_000), Some(50)));
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        for text in ["", "a.b", "a.b.c.d", "a.!.c", "opaque"] {
            assert_eq!(LaunchToken::new(text).claims(), None, "{text}");
        }
    }

    #[test]
    fn debug_of_the_config_hides_the_token() {
        let config: LaunchConfig = serde_json::from_str(r#"{"token":"very.secret.token","config_id":"cfg-1","x":1}"#).unwrap();
        assert_eq!(config.token.expose(), "very.secret.token");
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
    }

    proptest::proptest! {
        #[test]
        fn reading_claims_never_panics(text in ".*", payload in ".*") {
            let _ = LaunchToken::new(text).claims();
            let _ = token(&payload).claims();
        }
    }
}
