//! Labels of everything this control plane makes.

/// Who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] on our objects.
pub const MANAGER: &str = "gepetto-fleet";
/// The deployment an object belongs to; also on pods (existing miner's name, which the validator's side knows).
pub const DEPLOYMENT_ID: &str = "chutes/deployment-id";
/// `"true"` on everything that belongs to a chute.
pub const CHUTE: &str = "chutes/chute";
/// The chute's id.
pub const CHUTE_ID: &str = "chutes/chute-id";
/// The chute's version.
pub const VERSION: &str = "chutes/version";
/// The launch config the pod was started with.
pub const CONFIG_ID: &str = "chutes/config-id";
/// The server an object belongs to.
pub const SERVER: &str = "gepetto.fleet/server";
