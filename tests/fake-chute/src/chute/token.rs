//! The launch token, decoded but not verified: only the validator can do that.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// What the token says. The token itself stays out of every message.
#[derive(PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) config_id: String,
    /// Where to claim.
    pub(super) url: String,
    /// Whether to claim as a confidential instance.
    pub(super) tee: bool,
}

impl Token {
    /// Decodes the payload.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let claims = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
        let claims: Value =
            claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or("CHUTES_LAUNCH_JWT is no token: its payload is not JSON")?;
        let claim = |name: &str| claims[name].as_str().map(str::to_owned).ok_or_else(|| format!("CHUTES_LAUNCH_JWT has no claim {name}"));
        let url = claim("url")?;
        if !url.starts_with("http://") {
            return Err(format!("the token's url is {url}; this stand-in speaks plain http only"));
        }
        Ok(Self { text: text.to_owned(), config_id: claim("sub")?, url, tee: claims["env_type"] == "tee" })
    }

    /// Scheme, host and port of the validator.
    pub(super) fn origin(&self) -> &str {
        let rest = &self.url["http://".len()..];
        let end = rest.find('/').unwrap_or(rest.len());
        &self.url[.."http://".len() + end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn url_and_config_come_from_the_payload() {
        let text = token(r#"{"sub":"c-1","url":"http://10.0.0.1:8100/instances/launch_config/c-1"}"#);
        let token = Token::parse(&text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((token.config_id.as_str(), token.origin(), token.tee), ("c-1", "http://10.0.0.1:8100", false));
    }

    #[test]
    fn a_bad_token_is_refused_without_being_quoted() {
        for text in ["", "secret", "a.secret.c", &token("{}"), &token(r#"{"sub":"c","url":"https://a/b"}"#)] {
            let why = Token::parse(text).err().unwrap_or_else(|| panic!("{text} is bad"));
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
