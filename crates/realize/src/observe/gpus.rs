//! Which GPUs a chute's pod holds: what `NVIDIA_VISIBLE_DEVICES` of its containers says, since nothing else gives a chute its GPUs.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, PodSpec},
};
use protocol::ids::GpuUuid;

/// The variable that gives a container its GPUs.
pub(crate) const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

/// Somebody that holds a GPU which another wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The GPU.
    pub gpu: GpuUuid,
    /// Name of the pod or Job, or what else it is, for people.
    pub by: String,
}

/// GPUs named by a variable's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Every GPU of the node.
    pub all: bool,
    /// These.
    pub named: Vec<GpuUuid>,
}

impl Devices {
    pub(crate) fn of_pod_spec(spec: &PodSpec) -> Self {
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let values = containers.flat_map(|container| container.env.iter().flatten()).filter(|var| var.name == VISIBLE);
        let mut found = Self::default();
        for value in values.filter_map(|var| var.value.as_deref()) {
            let devices = devices_of(value);
            found.all |= devices.all;
            found.named.extend(devices.named);
        }
        found
    }

    pub(crate) fn holds(&self, gpu: &GpuUuid) -> bool {
        self.all || self.named.contains(gpu)
    }
}

/// Reads a value of `NVIDIA_VISIBLE_DEVICES`. Indices and unknown words hold everything: who cannot be understood is not
/// taken for nobody.
#[must_use]
pub fn devices_of(value: &str) -> Devices {
    let mut found = Devices::default();
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "none" | "void" => {}
            "all" => found.all = true,
            word => match word.parse() {
                Ok(gpu) => found.named.push(gpu),
                Err(_) => found.all = true,
            },
        }
    }
    found
}

/// The GPUs a pod holds while it lives: a pod that ended holds none.
pub(crate) fn pod_devices(pod: &Pod) -> Devices {
    if ended(pod) {
        return Devices::default();
    }
    pod.spec.as_ref().map(Devices::of_pod_spec).unwrap_or_default()
}

/// Whether all its containers have ended for good.
pub(super) fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The GPUs a Job will hold, or holds, until it is finished.
pub(crate) fn job_devices(job: &Job) -> Devices {
    let finished = job.status.as_ref().and_then(|status| status.conditions.as_ref()).is_some_and(|all| {
        all.iter().any(|condition| matches!(condition.type_.as_str(), "Failed" | "Complete") && condition.status == "True")
    });
    if finished {
        return Devices::default();
    }
    job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map(Devices::of_pod_spec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_with_care() {
        let one: GpuUuid = "0123abcd012301230123 0123456789ab".replace(' ', "").parse().unwrap();
        let named = devices_of("GPU-0123abcd-0123-0123-0123-0123456789ab, ");
        assert_eq!(named, Devices { all: false, named: vec![one.clone()] });
        assert!(named.holds(&one));
        for nothing in ["", "none", "void"] {
            assert_eq!(devices_of(nothing), Devices::default(), "{nothing}");
        }
        for everything in ["all", "0", "0,1", "MIG-7"] {
            assert!(devices_of(everything).holds(&one), "{everything}");
        }
    }
}
