//! The GPUs that a chute without GPUs reports: the devices it was given, as the node's inventory shows them.

use serde_json::{Value, json};

/// Device infos of the visible devices. `model` is a short reference, or a JSON object with the fields of one.
pub(super) fn devices(visible: &str, model: Option<&str>) -> Result<Vec<Value>, String> {
    let template = match model.filter(|model| !model.is_empty()) {
        None => h100_sxm(),
        Some("h100_sxm") => h100_sxm(),
        Some(text) if text.trim_start().starts_with('{') => {
            let fields: Value = serde_json::from_str(text).map_err(|why| format!("FAKE_CHUTE_GPU_MODEL is no JSON: {why}"))?;
            let mut template = h100_sxm();
            for (key, value) in fields.as_object().into_iter().flatten() {
                template[key] = value.clone();
            }
            template
        }
        Some(other) => return Err(format!("FAKE_CHUTE_GPU_MODEL is {other}; write h100_sxm, or a JSON object of device fields")),
    };
    visible.split(',').map(|device| uuid(device.trim())).map(|uuid| Ok(with_uuid(&template, &uuid?))).collect()
}

fn with_uuid(template: &Value, uuid: &str) -> Value {
    let mut device = template.clone();
    device["uuid"] = json!(uuid);
    device
}

/// 32 hex digits from `GPU-xxxxxxxx-...`.
fn uuid(device: &str) -> Result<String, String> {
    let digits: String = device.strip_prefix("GPU-").unwrap_or(device).chars().filter(|c| *c != '-').collect();
    if digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(digits.to_lowercase())
    } else {
        Err(format!("NVIDIA_VISIBLE_DEVICES names {device:?}, which is no GPU uuid"))
    }
}

/// What NVML says of an H100 SXM: bytes, kHz.
fn h100_sxm() -> Value {
    json!({
        "name": "NVIDIA H100 80GB HBM3", "memory": 85_520_809_984_u64, "major": 9, "minor": 0, "processors": 132, "sxm": true,
        "clock_rate": 1_980_000.0, "max_threads_per_processor": 2048, "concurrent_kernels": true, "ecc": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_become_bare_uuids_in_order() {
        let visible = "GPU-0A000000-0000-0000-0000-000000000001, GPU-0b000000-0000-0000-0000-000000000002";
        let gpus = devices(visible, None).expect("good");
        assert_eq!(gpus[0]["uuid"], "0a000000000000000000000000000001");
        assert_eq!(gpus[1]["uuid"], "0b000000000000000000000000000002");
        assert_eq!(gpus[1]["memory"], 85_520_809_984_u64);
    }

    #[test]
    fn a_model_may_be_given_as_json() {
        let gpus = devices("GPU-0a000000-0000-0000-0000-000000000001", Some(r#"{"name": "NVIDIA H200"}"#)).expect("good");
        assert_eq!((gpus[0]["name"].as_str(), gpus[0]["major"].as_u64()), (Some("NVIDIA H200"), Some(9)));
    }

    #[test]
    fn all_none_and_unknown_models_are_refused() {
        for visible in ["all", "none", "", "GPU-1", "0,1"] {
            assert!(devices(visible, None).is_err(), "{visible}");
        }
        assert!(devices("GPU-0a000000-0000-0000-0000-000000000001", Some("t4")).is_err());
    }
}
