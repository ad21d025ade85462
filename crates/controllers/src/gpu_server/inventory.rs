//! Whether the GPUs that are there are the GPUs that should be there. Pure.

use crd::GpuServer;
use crd::conditions::State;
use crd::gpu_server::{GpuServerSpec, Reported, condition};
use protocol::catalogue;

use super::status::Draft;

/// Judges the inventory; returns whether the server may go on.
pub(super) fn inventory(server: &GpuServer, draft: &mut Draft<'_>) -> bool {
    let reported = draft.status.reported.clone().unwrap_or_default();
    match judge(&server.spec, &reported) {
        Ok(()) => {
            draft.note(condition::INVENTORIED, State::True, "Matches", "");
            true
        }
        Err((reason, message)) => {
            draft.note(condition::INVENTORIED, State::False, reason, &message);
            false
        }
    }
}

fn judge(spec: &GpuServerSpec, reported: &Reported) -> Result<(), (&'static str, String)> {
    let wanted = catalogue::find(&spec.gpu_ref).ok_or_else(|| {
        let known: Vec<&str> = catalogue::catalogue(catalogue::Era::Tee).iter().map(|spec| spec.name).collect();
        let text = format!("{} is not in the validators' catalogue; set spec.gpuRef to one of {}", spec.gpu_ref, known.join(", "));
        ("UnknownModel", text)
    })?;
    if reported.node_uid.is_none() || reported.gpus.is_empty() {
        return Err(("WaitingForInventory", "waiting for the first report of the server's GPUs".to_owned()));
    }
    let (found, should) = (reported.gpus.len(), usize::from(spec.gpu_count));
    if found != should {
        let text = format!("spec.gpuCount is {should}, the driver shows {found}; repair the server, or set gpuCount to {found}");
        return Err(("CountMismatch", text));
    }
    for gpu in &reported.gpus {
        let model = catalogue::identify(&gpu.name);
        if model.is_none_or(|model| model.name != wanted.name) {
            let is = model.map_or("no model of the catalogue", |model| model.name);
            let text =
                format!("GPU {} is {:?} ({is}), spec.gpuRef is {}; correct gpuRef, or exchange the GPU", gpu.index, gpu.name, spec.gpu_ref);
            return Err(("ModelMismatch", text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(gpu_ref: &str, count: u8) -> GpuServerSpec {
        serde_json::from_value(serde_json::json!({
            "nodeName": "n", "address": "203.0.113.1", "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj",
            "gpuRef": gpu_ref, "gpuCount": count, "hourlyCostPerGpu": 1.0,
            "driver": {"agent": {"nodeKey": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj"}},
        }))
        .unwrap()
    }

    fn reported(names: &[&str]) -> Reported {
        let gpus = names.iter().enumerate().map(|(n, name)| {
            serde_json::from_value(serde_json::json!({
                "uuid": format!("{n:032x}"), "index": n, "name": name, "memoryBytes": 1, "health": "Ok",
            }))
            .unwrap()
        });
        Reported { node_uid: Some("uid".into()), gpus: gpus.collect(), ..Reported::default() }
    }

    #[test]
    fn each_mismatch_says_what_to_do() {
        let reason = |spec, reported| judge(&spec, &reported).err().map(|(reason, _)| reason);
        assert_eq!(reason(spec("h100_sxm", 1), reported(&["NVIDIA H100 80GB HBM3"])), None);
        assert_eq!(reason(spec("h100_sxm", 1), Reported::default()), Some("WaitingForInventory"));
        assert_eq!(reason(spec("h100_sxm", 2), reported(&["NVIDIA H100 80GB HBM3"])), Some("CountMismatch"));
        assert_eq!(reason(spec("h200", 1), reported(&["NVIDIA H100 80GB HBM3"])), Some("ModelMismatch"));
        assert_eq!(reason(spec("h900", 1), reported(&["NVIDIA H900"])), Some("UnknownModel"));
        let (_, text) = judge(&spec("h100_sxm", 2), &reported(&["NVIDIA H100 80GB HBM3"])).unwrap_err();
        assert!(text.contains("set gpuCount to 1"), "{text}");
    }
}
