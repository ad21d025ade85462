//! One YAML file per kind, as `kubectl apply` takes it.

use anyhow::Result;
use std::path::PathBuf;

const HEADER: &str = "# Generated from crates/crd by `cargo run -p xtask -- generate`. Do not edit.\n";

/// The definitions, by path.
pub(crate) fn files() -> Result<Vec<(PathBuf, String)>> {
    crd::all()
        .into_iter()
        .map(|definition| {
            let path = PathBuf::from(format!("crds/{}.yaml", definition.spec.names.plural));
            // Through a JSON value, so that the order of keys does not depend on the types' declarations.
            let value = serde_json::to_value(&definition)?;
            Ok((path, format!("{HEADER}{}", serde_saphyr::to_string(&value)?)))
        })
        .collect()
}
