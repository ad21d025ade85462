//! GPU identities: the UUID of one device, and the catalogue's short name of a model.

use super::IdError;

/// The UUID of one GPU, spelled as validators spell it: 32 small hexadecimal digits, no dashes, no `GPU-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct GpuUuid(String);

id_traits!(GpuUuid, "^[0-9a-f]{32}$");

impl GpuUuid {
    /// The name the driver and the container runtime use: `GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    pub fn device_name(&self) -> String {
        let hex = &self.0;
        format!("GPU-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn check(text: &str) -> Result<String, IdError> {
        const KIND: &str = "a GPU UUID";
        const WHY: &str = "write GPU- and a UUID, or its 32 hexadecimal digits";
        if text.starts_with("MIG-") {
            return Err(IdError::new(KIND, text, "a MIG slice has no GPU of its own; name the whole GPU"));
        }
        let digits = match text.strip_prefix("GPU-").or_else(|| text.strip_prefix("gpu-")) {
            Some(dashed) => dashed_digits(dashed),
            None if text.contains('-') => dashed_digits(text),
            None => Some(text.to_owned()),
        };
        digits
            .filter(|d| d.len() == 32 && d.bytes().all(|b| b.is_ascii_hexdigit()))
            .map(|d| d.to_ascii_lowercase())
            .ok_or_else(|| IdError::new(KIND, text, WHY))
    }
}

/// The digits of `8-4-4-4-12`, or of 32 digits in one piece; any other place for a dash is a typing error.
fn dashed_digits(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|g| g.len()).collect();
    (lengths == [8, 4, 4, 4, 12] || lengths == [32]).then(|| groups.concat())
}

/// The catalogue's short name of a GPU model, such as `h100_sxm`. May name a model this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct GpuRef(String);

id_traits!(GpuRef, "^[a-z0-9_.-]{1,64}$");

impl GpuRef {
    fn check(text: &str) -> Result<String, IdError> {
        let small = text.to_ascii_lowercase();
        let fits =
            (1..=64).contains(&small.len()) && small.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b));
        fits.then_some(small)
            .ok_or_else(|| IdError::new("a GPU model", text, "write the short name of the GPU catalogue, such as h100_sxm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_uuid_is_the_same_gpu() {
        let bare: GpuUuid = "0123456789abcdef0123456789abcdef".parse().unwrap();
        for spelling in
            ["GPU-01234567-89ab-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdef", "GPU-0123456789ABCDEF0123456789ABCDEF"]
        {
            assert_eq!(spelling.parse::<GpuUuid>().unwrap(), bare, "{spelling}");
        }
        assert_eq!(bare.device_name(), "GPU-01234567-89ab-cdef-0123-456789abcdef");
    }

    #[test]
    fn what_is_no_whole_gpu_is_refused() {
        for bad in ["", "GPU-", "MIG-01234567-89ab-cdef-0123-456789abcdef", "0123456789abcdef", "zz", "0-1-2-3-4"] {
            assert!(bad.parse::<GpuUuid>().is_err(), "{bad}");
        }
        let error = "MIG-1".parse::<GpuUuid>().unwrap_err();
        assert!(error.to_string().contains("MIG"), "{error}");
    }

    #[test]
    fn a_model_is_written_small() {
        assert_eq!("H100_SXM".parse::<GpuRef>().unwrap(), "h100_sxm");
        assert!("NVIDIA H100".parse::<GpuRef>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<GpuUuid>();
            let _ = text.parse::<GpuRef>();
        }
    }
}
