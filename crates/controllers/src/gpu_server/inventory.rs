//! Whether the GPUs that are there are the GPUs that should be there. Pure.

use crd::conditions::State;
use crd::gpu_server::{GpuServerSpec, ReportedGpu, condition};
use crd::{GpuServer, GpuServerStatus};
use protocol::catalogue;
use protocol::ids::GpuUuid;

use super::status::Draft;

/// Judges the inventory; returns whether the server may go on. `held` says which GPUs somebody holds.
pub(super) fn inventory(server: &GpuServer, draft: &mut Draft<'_>, held: &dyn Fn(&GpuUuid) -> bool) -> bool {
    match judge(&server.spec, &draft.status, held) {
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

/// The GPUs that count, see [`GpuServerStatus::present`].
pub(super) fn present<'a>(server: &GpuServer, status: &'a GpuServerStatus) -> Vec<&'a ReportedGpu> {
    status.present(usize::from(server.spec.gpu_count))
}

fn judge(spec: &GpuServerSpec, status: &GpuServerStatus, held: &dyn Fn(&GpuUuid) -> bool) -> Result<(), (&'static str, String)> {
    let wanted = catalogue::find(&spec.gpu_ref).ok_or_else(|| {
        let known: Vec<&str> = catalogue::catalogue(catalogue::Era::Tee).iter().map(|spec| spec.name).collect();
        let text = format!("{} is not in the validators' catalogue; set spec.gpuRef to one of {}", spec.gpu_ref, known.join(", "));
        ("UnknownModel", text)
    })?;
    let should = usize::from(spec.gpu_count);
    let present = status.present(should);
    let known = status.reported.as_ref().is_some_and(|reported| reported.node_uid.is_some());
    if !known || present.is_empty() {
        return Err(("WaitingForInventory", "waiting for the first report of the server's GPUs".to_owned()));
    }
    let found = present.len();
    if found != should {
        let text = format!("spec.gpuCount is {should}, the driver shows {found}; repair the server, or set gpuCount to {found}");
        return Err(("CountMismatch", text));
    }
    if let Some(gpu) = status.exchanged(should).into_iter().find(|gpu| held(&gpu.uuid)) {
        let text = format!("GPU {} was exchanged, and its deployment has not ended yet", gpu.uuid.device_name());
        return Err(("WaitingForRelease", text));
    }
    for gpu in present {
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
    use crd::gpu_server::{GpuHealth, Reported};

    fn spec(gpu_ref: &str, count: u8) -> GpuServerSpec {
        serde_json::from_value(serde_json::json!({
            "nodeName": "n", "address": "203.0.113.1", "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj",
            "gpuRef": gpu_ref, "gpuCount": count, "hourlyCostPerGpu": 1.0,
            "driver": {"agent": {"nodeKey": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj"}},
        }))
        .unwrap()
    }

    fn reported(names: &[&str]) -> GpuServerStatus {
        let gpus = names.iter().enumerate().map(|(n, name)| {
            serde_json::from_value(serde_json::json!({
                "uuid": format!("{n:032x}"), "index": n, "name": name, "memoryBytes": 1, "health": "Ok",
            }))
            .unwrap()
        });
        let reported = Reported { node_uid: Some("uid".into()), gpus: gpus.collect(), ..Reported::default() };
        GpuServerStatus { reported: Some(reported), ..GpuServerStatus::default() }
    }

    fn reason(spec: &GpuServerSpec, status: &GpuServerStatus) -> Option<&'static str> {
        judge(spec, status, &|_| false).err().map(|(reason, _)| reason)
    }

    #[test]
    fn each_mismatch_says_what_to_do() {
        assert_eq!(reason(&spec("h100_sxm", 1), &reported(&["NVIDIA H100 80GB HBM3"])), None);
        assert_eq!(reason(&spec("h100_sxm", 1), &GpuServerStatus::default()), Some("WaitingForInventory"));
        assert_eq!(reason(&spec("h100_sxm", 2), &reported(&["NVIDIA H100 80GB HBM3"])), Some("CountMismatch"));
        assert_eq!(reason(&spec("h200", 1), &reported(&["NVIDIA H100 80GB HBM3"])), Some("ModelMismatch"));
        assert_eq!(reason(&spec("h900", 1), &reported(&["NVIDIA H900"])), Some("UnknownModel"));
        let (_, text) = judge(&spec("h100_sxm", 2), &reported(&["NVIDIA H100 80GB HBM3"]), &|_| false).unwrap_err();
        assert!(text.contains("set gpuCount to 1"), "{text}");
    }

    #[test]
    fn a_server_whose_lost_gpu_was_exchanged_goes_on_once_nobody_holds_the_lost_one() {
        let mut status = reported(&["NVIDIA H100 80GB HBM3"; 9]);
        let gpus = &mut status.reported.as_mut().unwrap().gpus;
        (gpus[3].health, gpus[8].index) = (GpuHealth::Lost, 3);
        let lost = gpus[3].uuid.clone();
        assert_eq!(reason(&spec("h100_sxm", 8), &status), None);
        let (held, _) = judge(&spec("h100_sxm", 8), &status, &|gpu| *gpu == lost).unwrap_err();
        assert_eq!(held, "WaitingForRelease");
        // Whoever does not put another in its place and says so goes on, too; whoever says nothing keeps the place open.
        status.reported.as_mut().unwrap().gpus.pop();
        assert_eq!(reason(&spec("h100_sxm", 7), &status), None);
        assert_eq!(reason(&spec("h100_sxm", 8), &status), None);
        // Nine that answer are one too many.
        assert_eq!(reason(&spec("h100_sxm", 8), &reported(&["NVIDIA H100 80GB HBM3"; 9])), Some("CountMismatch"));
    }
}
