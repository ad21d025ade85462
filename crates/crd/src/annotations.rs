//! Annotations people and programs set on our resources.

/// Must equal the object's name before its deletion is carried out.
pub const CONFIRM_DELETE: &str = "gepetto.fleet/confirm-delete";

/// Set to `true` beside the confirmation to release a dead server without its agent's help.
pub const LOST: &str = "gepetto.fleet/lost";

/// Set to `true` by the operator on a ChuteDeployment whose pod is gone and on which the validator holds nothing any more: the
/// Service, and with it the NodePort, may go.
pub const RELEASE: &str = "gepetto.fleet/release";

/// On a server's namespace: the node its Jobs must name.
pub const NODE_NAME: &str = "gepetto.fleet/node-name";

/// On the account of a server's agent: the node key it was made for. An account for another key is deleted, and every token sold for
/// it ends with it.
pub const NODE_KEY: &str = "gepetto.fleet/node-key";

/// The finalizer of the operator; nobody else holds one.
pub const FINALIZER: &str = "gepetto.fleet/operator";
