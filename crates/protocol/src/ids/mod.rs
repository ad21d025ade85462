//! Identifiers, one type each, checked when they are made.
//!
//! All are strings on the wire and in custom resources. A value of one of these types is known to be well formed, and
//! cannot be handed over where another kind of id is wanted.

#[macro_use]
mod text;
mod gpu;
mod ss58;

pub use gpu::{GpuRef, GpuUuid};
pub use ss58::Ss58;
pub use text::{ChuteId, ChuteVersion, ConfigId, DeploymentId, ImageId, InstanceId, JobId, ServerId, ServerName};

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {why}")]
pub struct IdError {
    /// What was wanted, with its article, such as "a chute id".
    pub kind: &'static str,
    /// The offending text, cut to 80 characters.
    pub text: String,
    /// What to write instead. Holds nothing of the text.
    pub why: String,
}

impl IdError {
    pub(crate) fn new(kind: &'static str, text: &str, why: impl Into<String>) -> Self {
        Self { kind, text: text.chars().take(80).collect(), why: why.into() }
    }
}
