//! What an agent that was broken into would try.

mod attempts;
mod split;

pub(crate) use attempts::attempts;
pub(crate) use split::{Split, deployment_status, server_status};
