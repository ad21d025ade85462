//! What every program shares at start and stop: logs, shutdown, readiness gates, the admin listener, TLS, secret files.
//!
//! Owns process-wide things (the log subscriber, signal handlers, the TLS provider) and nothing of the domain: no Kubernetes,
//! no database, no knowledge of what a gate stands for.

pub mod admin;
mod ending;
pub mod logs;
pub mod metrics;
pub mod readiness;
pub mod redact;
mod runtime;
mod secret_file;
mod stop;
pub mod tls;

pub use ending::ending;
pub use logs::init;
pub use metrics::Registry;
pub use runtime::run;
pub use secret_file::{SecretFileError, secret_file, too_open};
pub use stop::shutdown;
