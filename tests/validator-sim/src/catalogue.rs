//! The GPUs that the validator knows: validator-protocol section 5, in table order, because the first
//! entry whose pattern occurs in a name decides its type.

use serde_json::{Map, Value, json};

use crate::Profile;

/// One catalogue row.
#[derive(Debug, Clone)]
pub(crate) struct Gpu {
    pub(crate) short_ref: &'static str,
    /// The regular expression that the original publishes; [`matches()`] evaluates it.
    pub(crate) pattern: &'static str,
    pub(crate) memory_gb: u32,
    pub(crate) capability: Option<(u32, u32)>,
    pub(crate) processors: u32,
    pub(crate) clock_mhz: (u32, u32),
    pub(crate) tensor_cores: Option<u32>,
    pub(crate) max_threads: u32,
    pub(crate) ecc: Option<bool>,
    pub(crate) sxm: Option<bool>,
    pub(crate) hourly_rate: f64,
    pub(crate) iterations: u32,
    pub(crate) estimate_s: u32,
}

/// The largest hourly rate: a multiplier of one.
const PRICE_BASIS: f64 = 4.5;

impl Gpu {
    /// The compute multiplier of one such GPU.
    pub(crate) fn multiplier(&self) -> f64 {
        self.hourly_rate / PRICE_BASIS
    }

    /// The row of `GET /nodes/supported`; keys that the original lacks for newer GPUs are absent.
    pub(crate) fn row(&self) -> Value {
        let mut row = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                row.insert(key.to_owned(), value);
            }
        };
        put("model_name_check", json!(self.pattern));
        put("memory", json!(self.memory_gb));
        put("major", json!(self.capability.map(|c| c.0)));
        put("minor", json!(self.capability.map(|c| c.1)));
        put("tensor_cores", json!(self.tensor_cores));
        put("concurrent_kernels", json!(self.capability.map(|_| true)));
        put("ecc", json!(self.ecc));
        put("sxm", json!(self.sxm));
        put("processors", json!(self.processors));
        put("clock_rate", json!({"base": self.clock_mhz.0, "boost": self.clock_mhz.1}));
        put("max_threads_per_processor", json!(self.max_threads));
        put("hourly_rate", json!(self.hourly_rate));
        put("graval", json!({"iterations": self.iterations, "estimate": self.estimate_s}));
        Value::Object(row)
    }
}

/// The catalogue of an era.
pub(crate) fn catalogue(profile: Profile) -> Vec<Gpu> {
    let mut rows: Vec<Gpu> = TABLE.to_vec();
    match profile {
        Profile::Oct25 => rows.retain(|gpu| gpu.short_ref != "b300"),
        Profile::Mar26 => {
            for gpu in &mut rows {
                match gpu.short_ref {
                    "h20" => gpu.hourly_rate = 1.2,
                    "pro_6000" => gpu.estimate_s = 167,
                    _ => {}
                }
            }
        }
    }
    rows
}

/// The row of a short reference.
pub(crate) fn find(profile: Profile, short_ref: &str) -> Option<Gpu> {
    catalogue(profile).into_iter().find(|gpu| gpu.short_ref == short_ref)
}

/// The type that a device name is given.
pub(crate) fn identify(profile: Profile, name: &str) -> Option<Gpu> {
    catalogue(profile).into_iter().find(|gpu| matches(gpu.pattern, name))
}

/// Whether `pattern` occurs anywhere in `text`. Knows just what the table uses: literals, `.`, `.?`, `.*`,
/// a final `$`, and `(?!literal)`.
fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    (0..=text.len()).any(|from| here(&pattern, &text[from..]))
}

fn here(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => true,
        ['$'] => text.is_empty(),
        ['(', '?', '!', rest @ ..] => {
            let end = rest.iter().position(|c| *c == ')').expect("the table's look-aheads are closed");
            !text.starts_with(&rest[..end]) && here(&rest[end + 1..], text)
        }
        ['.', '*', rest @ ..] => (0..=text.len()).any(|skip| here(rest, &text[skip..])),
        ['.', '?', rest @ ..] => here(rest, text) || (!text.is_empty() && here(rest, &text[1..])),
        ['.', rest @ ..] => !text.is_empty() && here(rest, &text[1..]),
        [literal, rest @ ..] => text.first() == Some(literal) && here(rest, &text[1..]),
    }
}

#[rustfmt::skip]
const TABLE: [Gpu; 27] = [
    Gpu { short_ref: "3090", pattern: r"RTX 3090", memory_gb: 24, capability: Some((8, 6)), processors: 82, clock_mhz: (1395, 1695), tensor_cores: Some(328), max_threads: 1536, ecc: Some(false), sxm: Some(false), hourly_rate: 0.25, iterations: 1, estimate_s: 70 },
    Gpu { short_ref: "4090", pattern: r"RTX 4090", memory_gb: 24, capability: Some((8, 9)), processors: 128, clock_mhz: (2235, 2520), tensor_cores: Some(512), max_threads: 1536, ecc: Some(false), sxm: Some(false), hourly_rate: 0.4, iterations: 2, estimate_s: 65 },
    Gpu { short_ref: "5090", pattern: r"RTX 5090", memory_gb: 32, capability: Some((12, 0)), processors: 170, clock_mhz: (2017, 2407), tensor_cores: Some(680), max_threads: 1536, ecc: Some(false), sxm: Some(false), hourly_rate: 0.7, iterations: 2, estimate_s: 60 },
    Gpu { short_ref: "a4000", pattern: r"RTX A4000(?! Ada)", memory_gb: 16, capability: Some((8, 6)), processors: 48, clock_mhz: (765, 1560), tensor_cores: Some(168), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.2, iterations: 1, estimate_s: 75 },
    Gpu { short_ref: "a4000_ada", pattern: r"RTX 4000 Ada", memory_gb: 20, capability: Some((8, 9)), processors: 48, clock_mhz: (765, 2175), tensor_cores: Some(192), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.21, iterations: 1, estimate_s: 80 },
    Gpu { short_ref: "a5000", pattern: r"RTX A5000", memory_gb: 24, capability: Some((8, 6)), processors: 64, clock_mhz: (1170, 1695), tensor_cores: Some(256), max_threads: 1536, ecc: Some(false), sxm: Some(false), hourly_rate: 0.25, iterations: 1, estimate_s: 92 },
    Gpu { short_ref: "a6000", pattern: r"RTX A6000(?! Ada)", memory_gb: 48, capability: Some((8, 6)), processors: 84, clock_mhz: (1455, 1860), tensor_cores: Some(336), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.5, iterations: 1, estimate_s: 140 },
    Gpu { short_ref: "a6000_ada", pattern: r"RTX 6000 Ada", memory_gb: 48, capability: Some((8, 9)), processors: 142, clock_mhz: (915, 2505), tensor_cores: Some(568), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.75, iterations: 1, estimate_s: 60 },
    Gpu { short_ref: "pro_6000", pattern: r"RTX PRO 6000", memory_gb: 96, capability: None, processors: 188, clock_mhz: (1590, 2617), tensor_cores: None, max_threads: 1024, ecc: None, sxm: None, hourly_rate: 1.8, iterations: 1, estimate_s: 103 },
    Gpu { short_ref: "l4", pattern: r"L4(?!0)", memory_gb: 24, capability: Some((8, 9)), processors: 58, clock_mhz: (795, 2040), tensor_cores: Some(240), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.25, iterations: 1, estimate_s: 85 },
    Gpu { short_ref: "a10", pattern: r"A10(?!0)(?!G)", memory_gb: 24, capability: Some((8, 6)), processors: 72, clock_mhz: (1110, 1710), tensor_cores: Some(208), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.25, iterations: 1, estimate_s: 82 },
    Gpu { short_ref: "a40", pattern: r"A40", memory_gb: 48, capability: Some((8, 6)), processors: 84, clock_mhz: (1305, 1740), tensor_cores: Some(336), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.5, iterations: 1, estimate_s: 142 },
    Gpu { short_ref: "l40", pattern: r"L40(?!S)", memory_gb: 48, capability: Some((8, 9)), processors: 142, clock_mhz: (735, 2490), tensor_cores: Some(568), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.55, iterations: 1, estimate_s: 60 },
    Gpu { short_ref: "l40s", pattern: r"L40S", memory_gb: 48, capability: Some((8, 9)), processors: 142, clock_mhz: (1065, 2520), tensor_cores: Some(568), max_threads: 1536, ecc: Some(true), sxm: Some(false), hourly_rate: 0.85, iterations: 1, estimate_s: 60 },
    Gpu { short_ref: "a100_40gb", pattern: r"A100.?PCIE.?40GB", memory_gb: 40, capability: Some((8, 0)), processors: 108, clock_mhz: (1065, 1410), tensor_cores: Some(432), max_threads: 2048, ecc: Some(true), sxm: Some(false), hourly_rate: 1.1, iterations: 4, estimate_s: 60 },
    Gpu { short_ref: "a100_40gb_sxm", pattern: r"A100.?SXM.?.?40GB", memory_gb: 40, capability: Some((8, 0)), processors: 108, clock_mhz: (1065, 1410), tensor_cores: Some(432), max_threads: 2048, ecc: Some(true), sxm: Some(true), hourly_rate: 1.15, iterations: 4, estimate_s: 60 },
    Gpu { short_ref: "a100", pattern: r"A100.?80GB.?PCIe", memory_gb: 80, capability: Some((8, 0)), processors: 108, clock_mhz: (1065, 1410), tensor_cores: Some(432), max_threads: 2048, ecc: Some(true), sxm: Some(false), hourly_rate: 1.2, iterations: 2, estimate_s: 58 },
    Gpu { short_ref: "a100_sxm", pattern: r"A100.?SXM.?.?80GB", memory_gb: 80, capability: Some((8, 0)), processors: 108, clock_mhz: (1275, 1410), tensor_cores: Some(432), max_threads: 2048, ecc: Some(true), sxm: Some(true), hourly_rate: 1.25, iterations: 3, estimate_s: 70 },
    Gpu { short_ref: "h100", pattern: r"H100.*PCIe", memory_gb: 80, capability: Some((9, 0)), processors: 114, clock_mhz: (1095, 1755), tensor_cores: Some(456), max_threads: 2048, ecc: Some(true), sxm: Some(false), hourly_rate: 1.79, iterations: 2, estimate_s: 62 },
    Gpu { short_ref: "h100_nvl", pattern: r"H100.*NVL", memory_gb: 96, capability: Some((9, 0)), processors: 132, clock_mhz: (1590, 1980), tensor_cores: Some(456), max_threads: 2048, ecc: Some(true), sxm: Some(true), hourly_rate: 2.25, iterations: 3, estimate_s: 75 },
    Gpu { short_ref: "h100_sxm", pattern: r"H100.*HBM3", memory_gb: 80, capability: Some((9, 0)), processors: 132, clock_mhz: (1590, 1980), tensor_cores: Some(528), max_threads: 2048, ecc: Some(true), sxm: Some(true), hourly_rate: 2.35, iterations: 5, estimate_s: 70 },
    Gpu { short_ref: "h800", pattern: r"H800.*PCIe", memory_gb: 80, capability: Some((9, 0)), processors: 114, clock_mhz: (1095, 1755), tensor_cores: Some(456), max_threads: 2048, ecc: Some(true), sxm: Some(false), hourly_rate: 1.5, iterations: 3, estimate_s: 75 },
    Gpu { short_ref: "h20", pattern: r" H20$", memory_gb: 96, capability: None, processors: 78, clock_mhz: (1590, 1980), tensor_cores: None, max_threads: 1024, ecc: None, sxm: None, hourly_rate: 0.6, iterations: 1, estimate_s: 300 },
    Gpu { short_ref: "h200", pattern: r" H200", memory_gb: 140, capability: Some((9, 0)), processors: 132, clock_mhz: (1590, 1980), tensor_cores: Some(528), max_threads: 2048, ecc: Some(true), sxm: Some(true), hourly_rate: 2.75, iterations: 3, estimate_s: 70 },
    Gpu { short_ref: "mi300x", pattern: r"gfx942:sramecc", memory_gb: 192, capability: None, processors: 304, clock_mhz: (1600, 2100), tensor_cores: None, max_threads: 256, ecc: None, sxm: None, hourly_rate: 3.0, iterations: 2, estimate_s: 75 },
    Gpu { short_ref: "b200", pattern: r" B200", memory_gb: 192, capability: None, processors: 148, clock_mhz: (1590, 1965), tensor_cores: None, max_threads: 1024, ecc: None, sxm: None, hourly_rate: 4.5, iterations: 2, estimate_s: 75 },
    Gpu { short_ref: "b300", pattern: r" B300", memory_gb: 288, capability: None, processors: 148, clock_mhz: (1590, 2032), tensor_cores: None, max_threads: 1024, ecc: None, sxm: None, hourly_rate: 4.5, iterations: 1, estimate_s: 430 },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Option<&'static str> {
        identify(Profile::Oct25, name).map(|gpu| gpu.short_ref)
    }

    #[test]
    fn device_names_find_their_type() {
        assert_eq!(named("NVIDIA H100 80GB HBM3"), Some("h100_sxm"));
        assert_eq!(named("NVIDIA H100 PCIe"), Some("h100"));
        assert_eq!(named("NVIDIA H100 NVL"), Some("h100_nvl"));
        assert_eq!(named("NVIDIA GeForce RTX 4090"), Some("4090"));
        assert_eq!(named("NVIDIA L40S"), Some("l40s"));
        assert_eq!(named("NVIDIA L40"), Some("l40"));
        assert_eq!(named("NVIDIA L4"), Some("l4"));
        assert_eq!(named("NVIDIA H200"), Some("h200"));
        assert_eq!(named("NVIDIA H20"), Some("h20"));
        assert_eq!(named("NVIDIA A100-SXM4-80GB"), Some("a100_sxm"));
        assert_eq!(named("NVIDIA A100 80GB PCIe"), Some("a100"));
        assert_eq!(named("NVIDIA A10"), Some("a10"));
        assert_eq!(named("NVIDIA A10G"), None);
    }

    #[test]
    fn a_t4_is_not_in_the_catalogue() {
        assert_eq!(named("Tesla T4"), None);
    }

    #[test]
    fn eras_differ_where_the_original_did() {
        assert!(find(Profile::Oct25, "b300").is_none());
        assert!(find(Profile::Mar26, "b300").is_some());
        assert!(find(Profile::Mar26, "h20").expect("h20").hourly_rate > 1.1);
        assert_eq!(catalogue(Profile::Oct25).len(), 26);
    }

    #[test]
    fn absent_keys_are_absent_not_null() {
        let row = find(Profile::Oct25, "b200").expect("b200").row();
        assert!(row.get("major").is_none() && row.get("sxm").is_none());
        assert_eq!(find(Profile::Oct25, "h100_sxm").expect("h100").row()["major"], 9);
    }
}
