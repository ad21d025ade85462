//! What can go wrong with a call, told so that people see what the validator said.

use serde_json::Value;

/// Longest piece of a validator's words that is repeated.
const DETAIL_CHARS: usize = 300;

/// A call that brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorError {
    /// The validator answered with a status that was not wanted.
    #[error("{call}: the validator answered {status}: {detail}")]
    Status {
        /// Which call.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// Its words, at most 300 characters.
        detail: String,
    },
    /// No whole answer came.
    #[error("{call}: no answer from the validator: {reason}")]
    Transport {
        /// Which call.
        call: &'static str,
        /// Timeout, refused connection, ...
        reason: String,
        /// Whether the request may have reached the validator, and so may have taken effect.
        maybe_done: bool,
    },
    /// The answer came but is not what was agreed.
    #[error("{call}: the validator's answer makes no sense: {reason}")]
    Nonsense {
        /// Which call.
        call: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The request was not sent, because the validator would misunderstand it.
    #[error("{call}: not sent: {reason}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// Why.
        reason: &'static str,
    },
}

impl ValidatorError {
    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// A short label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status { status, .. } if *status >= 500 => "server_error",
            Self::Status { status: 401 | 403, .. } => "denied",
            Self::Status { .. } => "refused",
            Self::Transport { .. } => "transport",
            Self::Nonsense { .. } => "nonsense",
            Self::Refused { .. } => "not_sent",
        }
    }

    pub(crate) fn transport(call: &'static str, error: reqwest::Error) -> Self {
        let maybe_done = !(error.is_connect() || error.is_builder());
        Self::Transport { call, reason: root_words(error), maybe_done }
    }
}

/// Why no launch config was granted, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// 423: the chute has enough instances, or is between versions, or wants a bounty. Back off and ask again later.
    #[error("not now (423): {detail}")]
    Backoff423 {
        /// The validator's words.
        detail: String,
    },
    /// 403: blacklisted, or this job was tried already, or too few public instances. Do not ask again for this one.
    #[error("forbidden (403): {detail}")]
    Forbidden403 {
        /// The validator's words.
        detail: String,
    },
    /// 404 in the validator's own words: the chute or job is gone. Refresh the lists.
    #[error("gone (404): {detail}")]
    Gone404 {
        /// The validator's words.
        detail: String,
    },
    /// 409: the job has a launch config already. Drop it.
    #[error("taken (409): {detail}")]
    Conflict409 {
        /// The validator's words.
        detail: String,
    },
    /// 401: signature or registration. Somebody must look.
    #[error("not accepted as a miner (401): {detail}")]
    Unauthorized401 {
        /// The validator's words.
        detail: String,
    },
    /// 400: the miner's servers do not qualify. Somebody must look.
    #[error("does not qualify (400): {detail}")]
    Unqualified400 {
        /// The validator's words.
        detail: String,
    },
    /// Any other status.
    #[error("the validator answered {status}: {detail}")]
    Other {
        /// HTTP status.
        status: u16,
        /// The validator's words.
        detail: String,
    },
    /// No usable answer. Where `maybe_done`, the validator may have granted a config that nobody holds.
    #[error("no usable answer: {reason}")]
    Transport {
        /// What happened.
        reason: String,
        /// Whether the request may have taken effect: a job must then not be asked for again.
        maybe_done: bool,
    },
}

impl LaunchError {
    /// Whether the request may have taken effect although no launch config came back.
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Transport { maybe_done, .. } => *maybe_done,
            Self::Other { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// A short label for metrics and reasons.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Backoff423 { .. } => "backoff",
            Self::Forbidden403 { .. } => "forbidden",
            Self::Gone404 { .. } => "gone",
            Self::Conflict409 { .. } => "conflict",
            Self::Unauthorized401 { .. } => "unauthorized",
            Self::Unqualified400 { .. } => "unqualified",
            Self::Other { .. } => "refused",
            Self::Transport { .. } => "transport",
        }
    }
}

impl From<ValidatorError> for LaunchError {
    fn from(error: ValidatorError) -> Self {
        let (status, detail) = match error {
            ValidatorError::Status { status, detail, .. } => (status, detail),
            ValidatorError::Transport { reason, maybe_done, .. } => return Self::Transport { reason, maybe_done },
            // A nonsensical 200 was a grant all the same.
            other => return Self::Transport { reason: other.to_string(), maybe_done: true },
        };
        match status {
            404 if !own_words(&detail) => Self::Other { status, detail },
            400 => Self::Unqualified400 { detail },
            401 => Self::Unauthorized401 { detail },
            403 => Self::Forbidden403 { detail },
            404 => Self::Gone404 { detail },
            409 => Self::Conflict409 { detail },
            423 => Self::Backoff423 { detail },
            _ => Self::Other { status, detail },
        }
    }
}

/// Whether this 404 is the validator's word on the thing asked for.
pub(crate) fn says_absent(error: &ValidatorError) -> bool {
    matches!(error, ValidatorError::Status { status: 404, detail, .. } if own_words(detail))
}

/// A bare "Not Found", or words that are not the validator's, mean that the road does not exist, which says nothing about the
/// thing at its end.
fn own_words(detail: &str) -> bool {
    !detail.eq_ignore_ascii_case("not found") && !detail.starts_with('<') && detail != NO_WORDS
}

/// What stands for the words of an empty body.
const NO_WORDS: &str = "(no words)";

/// The words of an error body: `{"detail": ...}` where it is one, else its beginning.
pub(crate) fn detail_of(body: &[u8]) -> String {
    let words = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut object)) if object.contains_key("detail") => match object.remove("detail") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        },
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let words = trimmed(&words);
    if words.is_empty() { NO_WORDS.to_owned() } else { words }
}

/// One line, at most 300 characters, nothing that could disturb a terminal.
pub(crate) fn trimmed(words: &str) -> String {
    let one_line = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    let one_line = one_line.collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// The error and its causes, without the URL, which the operator knows and which may hold a password.
fn root_words(error: reqwest::Error) -> String {
    let timeout = error.is_timeout();
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    if timeout {
        words = format!("timed out ({words})");
    }
    trimmed(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validators_words_are_found_and_kept_short() {
        assert_eq!(detail_of(br#"{"detail":"Invalid nonce!"}"#), "Invalid nonce!");
        assert_eq!(detail_of(br#"{"detail":[{"msg":"field required"}]}"#), r#"[{"msg":"field required"}]"#);
        assert_eq!(detail_of(b"<html>\n  Bad \x1b[31mGateway"), "<html> Bad [31mGateway");
        assert_eq!(detail_of(b""), "(no words)");
        assert_eq!(detail_of(&"é".repeat(1000).into_bytes()).chars().count(), 301);
    }

    #[test]
    fn launch_refusals_are_told_apart_by_status() {
        let of = |status| LaunchError::from(ValidatorError::Status { call: "launch", status, detail: "d".into() });
        let kinds: Vec<_> = [400, 401, 403, 404, 409, 423, 500].map(|s| of(s).kind()).into();
        assert_eq!(kinds, ["unqualified", "unauthorized", "forbidden", "gone", "conflict", "backoff", "refused"]);
        assert!(of(502).maybe_done() && !of(423).maybe_done());
        for road in ["Not Found", "<html>nginx", NO_WORDS] {
            let lost = LaunchError::from(ValidatorError::Status { call: "launch", status: 404, detail: road.into() });
            assert_eq!(lost.kind(), "refused", "{road}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_breaks_the_words(body: Vec<u8>) {
            let words = detail_of(&body);
            proptest::prop_assert!(words.chars().count() <= DETAIL_CHARS + 1);
        }
    }
}
