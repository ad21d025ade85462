//! Which GPU types a selector admits, and what an instance is worth: validator-protocol 6.2 and 6.3.

use crate::{Profile, Selector, catalogue};

/// A GPU costing more than this times the cheapest admitted one is left out (2026).
const MAX_PRICE_SPREAD: f64 = 2.5;

/// The admitted short references, in catalogue order.
pub(crate) fn supported(profile: Profile, selector: &Selector) -> Vec<String> {
    let mut rows = catalogue::catalogue(profile);
    let named = |list: &Option<Vec<String>>, gpu: &catalogue::Gpu| list.as_ref().map(|list| list.iter().any(|name| name == gpu.short_ref));
    rows.retain(|gpu| named(&selector.include, gpu).unwrap_or(true));
    rows.retain(|gpu| !named(&selector.exclude, gpu).unwrap_or(false));
    rows.retain(|gpu| gpu.memory_gb >= selector.min_vram_gb_per_gpu);
    if profile == Profile::Mar26 {
        rows.retain(|gpu| selector.max_hourly_price_per_gpu.is_none_or(|most| gpu.hourly_rate <= most));
        if selector.include.is_none() {
            let cheapest = rows.iter().map(|gpu| gpu.hourly_rate).fold(f64::INFINITY, f64::min);
            rows.retain(|gpu| gpu.short_ref == "pro_6000" || gpu.hourly_rate <= MAX_PRICE_SPREAD * cheapest);
        }
        if rows.len() > 1 {
            rows.retain(|gpu| gpu.short_ref != "mi300x");
        }
    }
    rows.into_iter().map(|gpu| gpu.short_ref.to_owned()).collect()
}

/// Multiplier before any factor: the cheapest admitted type counts, whatever really runs.
pub(crate) fn base_multiplier(profile: Profile, selector: &Selector) -> f64 {
    let cheapest = supported(profile, selector)
        .iter()
        .filter_map(|name| catalogue::find(profile, name))
        .map(|gpu| gpu.multiplier())
        .fold(f64::INFINITY, f64::min);
    if cheapest.is_finite() { cheapest * f64::from(selector.gpu_count) } else { 0.0 }
}

/// Refuses a selector that the original would refuse.
pub(crate) fn check(profile: Profile, selector: &Selector) -> Result<(), String> {
    if !(1..=8).contains(&selector.gpu_count) {
        return Err(format!("gpu_count is {}; write 1 to 8", selector.gpu_count));
    }
    if !(16..=140).contains(&selector.min_vram_gb_per_gpu) {
        return Err(format!("min_vram_gb_per_gpu is {}; write 16 to 140", selector.min_vram_gb_per_gpu));
    }
    for name in selector.include.iter().chain(&selector.exclude).flatten() {
        if catalogue::find(profile, name).is_none() {
            return Err(format!("no such GPU: {name}; write a short reference such as h100_sxm"));
        }
    }
    if supported(profile, selector).is_empty() {
        return Err("the selector admits no GPU at all".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_exclude_and_memory_narrow_the_catalogue() {
        let include = |names: &[&str]| Selector { include: Some(names.iter().map(|n| (*n).to_owned()).collect()), ..Selector::default() };
        assert_eq!(supported(Profile::Oct25, &include(&["h100_sxm", "4090"])), ["4090", "h100_sxm"]);
        let big = Selector { min_vram_gb_per_gpu: 80, ..include(&["h100_sxm", "4090"]) };
        assert_eq!(supported(Profile::Oct25, &big), ["h100_sxm"]);
        let none = Selector { exclude: Some(vec!["h100_sxm".to_owned()]), ..include(&["h100_sxm"]) };
        assert!(check(Profile::Oct25, &none).is_err());
    }

    #[test]
    fn the_cheapest_admitted_type_sets_the_multiplier() {
        let both = Selector { gpu_count: 8, include: Some(vec!["h100_sxm".into(), "h200".into()]), ..Selector::default() };
        assert!((base_multiplier(Profile::Oct25, &both) - 8.0 * 2.35 / 4.5).abs() < 1e-9);
    }
}
