//! What can go wrong between us and an API server, sorted by what a caller does about it.

use kube::core::Status;
use std::time::Duration;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server answered, with a refusal.
    #[error("{what}: the API server refused ({code} {reason}): {message}")]
    Refused {
        /// What was asked for.
        what: String,
        /// HTTP status code.
        code: u16,
        /// The machine-readable reason, such as `Conflict`.
        reason: String,
        /// The API server's words.
        message: String,
    },
    /// No answer in time. The effect may have happened nevertheless.
    #[error("{what}: no answer from the API server within {after:?}")]
    Timeout {
        /// What was asked for.
        what: String,
        /// How long we waited.
        after: Duration,
    },
    /// The API server could not be reached, or its answer made no sense. The effect may have happened nevertheless.
    #[error("{what}: {source}")]
    Transport {
        /// What was asked for.
        what: String,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// We cannot even try: a kubeconfig that does not parse, an object without a name.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// Wraps what the client returned, naming what was asked for.
    #[must_use]
    pub fn from_kube(what: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(what, &status),
            other => Self::Transport { what: what.to_owned(), source: Box::new(other) },
        }
    }

    /// Wraps a refusal.
    #[must_use]
    pub fn from_status(what: &str, status: &Status) -> Self {
        Self::Refused { what: what.to_owned(), code: status.code, reason: status.reason.clone(), message: status.message.clone() }
    }

    fn refused_with(&self, wanted: &str, status: u16) -> bool {
        match self {
            Self::Refused { code, reason, .. } => reason == wanted || (reason.is_empty() && *code == status),
            _ => false,
        }
    }

    /// Somebody else changed the object in between, or a precondition did not hold.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.refused_with("Conflict", 409)
    }

    /// There is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.refused_with("NotFound", 404)
    }

    /// An object of that name exists.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == "AlreadyExists")
    }

    /// We may not, or an admission policy does not let us.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.refused_with("Forbidden", 403)
    }

    /// The token is not accepted (any more).
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.refused_with("Unauthorized", 401)
    }

    /// The object breaks a rule of its schema.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.refused_with("Invalid", 422)
    }

    /// The resource version is too old: list again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { code: 410, .. }) || self.refused_with("Expired", 410) || self.refused_with("Gone", 410)
    }

    /// No answer in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// The same request, sent again later, may succeed without anybody changing anything: timeouts, transport errors, overload.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            Self::Config(_) => false,
        }
    }

    /// A short word for a metric label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Transport { .. } => "transport",
            Self::Config(_) => "config",
            e if e.is_already_exists() => "exists",
            e if e.is_conflict() => "conflict",
            e if e.is_not_found() => "not_found",
            e if e.is_forbidden() => "forbidden",
            e if e.is_unauthorized() => "unauthorized",
            e if e.is_gone() => "gone",
            e if e.is_invalid() => "invalid",
            e if e.is_passing() => "overload",
            Self::Refused { .. } => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, reason: &str) -> Error {
        Error::from_status("reading", &Status::failure("because", reason).with_code(code))
    }

    #[test]
    fn an_existing_object_is_no_conflict() {
        let exists = refused(409, "AlreadyExists");
        assert!(exists.is_already_exists() && !exists.is_conflict());
        let conflict = refused(409, "Conflict");
        assert!(conflict.is_conflict() && !conflict.is_already_exists());
    }

    #[test]
    fn a_refusal_without_a_reason_is_told_by_its_code() {
        assert!(refused(404, "").is_not_found());
        assert!(refused(410, "Expired").is_gone());
        assert!(refused(410, "").is_gone());
    }

    #[test]
    fn only_what_may_pass_by_itself_is_passing() {
        assert!(refused(429, "TooManyRequests").is_passing());
        assert!(refused(503, "ServiceUnavailable").is_passing());
        assert!(!refused(403, "Forbidden").is_passing());
        assert!(Error::Timeout { what: "x".into(), after: Duration::from_secs(1) }.is_passing());
    }
}
