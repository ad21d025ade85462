//! A chute's row.

use super::time;
use crd::{Chute, ChuteDeployment};
use serde_json::{Value, json};

/// The chute of a deployment: as it is listed now, or as it was when the decision fell.
pub(super) fn chute(listed: Option<&Chute>, deployment: &ChuteDeployment) -> Value {
    let then = &deployment.spec.chute;
    let created = listed.map_or_else(|| time::created(&deployment.metadata), |chute| time::created(&chute.metadata));
    json!({
        "chute_id": then.id,
        "validator": deployment.spec.validator,
        "name": then.name,
        "image": listed.map_or(deployment.spec.image.as_str(), |chute| chute.spec.image.as_str()),
        "code": "",
        "filename": "",
        "ref_str": then.ref_str,
        "version": then.version,
        "supported_gpus": listed.map(|chute| chute.spec.supported_gpus.clone()).unwrap_or_default(),
        "gpu_count": deployment.spec.gpu_count,
        "created_at": created,
        "updated_at": created,
        "ban_reason": null,
        "chutes_version": (!then.chutes_version.is_empty()).then_some(&then.chutes_version),
        "preemptible": true,
        "tee": then.tee,
    })
}
