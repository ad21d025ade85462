//! Faults between our programs and what they talk to: the layer that the L1 tests put in front of a real API server.
//!
//! Owns [`FaultProxy`] (HTTP: the API server, the validator), [`PgProxy`] (Postgres, commit by commit), [`TcpGate`] (any other), and what a test needs to walk through
//! every step of a saga: [`every_write`], [`moments()`], [`kill9`]. It knows the shape of Kubernetes paths and no Kubernetes types, holds
//! no opinion on what a program should do about a fault, and may not touch the servers behind it.
//!
//! Handles block: they are for tests whose threads wait, and each proxy runs its connections on threads of its own.
//!
//! ```no_run
//! # use testkit::faults::{Action, FaultProxy, FaultProxyConfig, Hook, Matcher, Rule, Then, kill9};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (ca_pem, pid) = (String::new(), 1);
//! let proxy = FaultProxy::start(FaultProxyConfig::new("api server", "https://127.0.0.1:6443".parse()?).ca(ca_pem))?;
//! // Kill the program when the third thing that it writes has happened and before it hears so.
//! let crash = proxy.plan(Rule::once(Matcher::nth_write(3), Action::after(move |_| { kill9(pid); Then::Drop })));
//! // ... start the program with `server: {proxy.url()}` in its kubeconfig, wait for crash.fired(), start it again ...
//! # Ok(()) }
//! ```

mod action;
mod body;
mod book;
mod engine;
mod exchange;
mod gate;
mod identity;
mod line;
mod lists;
mod matcher;
mod moments;
mod postgres;
mod proxy;
mod pump;
mod refusal;
mod seen;
mod sweep;
#[cfg(test)]
mod tests;
mod upstream;

pub use action::{Action, Hook, Rule, Then, When};
pub use book::{Outcome, RuleHandle};
pub use engine::FaultError;
pub use gate::TcpGate;
pub use http::Method;
pub use identity::Identity;
pub use matcher::Matcher;
pub use moments::{Moments, SEED_VARIABLE, moments, seed};
pub use postgres::PgProxy;
pub use proxy::{FaultProxy, FaultProxyConfig};
pub use refusal::Refusal;
pub use seen::{KubeResource, Seen};
pub use sweep::{Point, every_write, kill9, runs};
pub use url::Url;
