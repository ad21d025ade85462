//! Chutes for the planner: what a resource says it is, what the validator's latest list says it pays.

use crd::chute::Listing;
use gepetto::snapshot::Chute;
use protocol::catalogue;
use protocol::dto::ChuteRow;
use protocol::ids::Ss58;

use crate::Context;
use crate::ledger::micro;
use crate::validator_view::View;

pub(super) fn chutes(ctx: &Context, validator: &Ss58, view: &View) -> Vec<Chute> {
    let all = ctx.watches.chutes.all();
    let mut chutes: Vec<Chute> = all
        .iter()
        .filter(|chute| chute.spec.validator == *validator && chute.metadata.deletion_timestamp.is_none())
        .map(|chute| of(chute, view))
        .collect();
    chutes.sort_by(|a, b| (&a.id, &a.version).cmp(&(&b.id, &b.version)));
    chutes
}

fn of(chute: &crd::Chute, view: &View) -> Chute {
    let spec = &chute.spec;
    let row = view.chutes.get(&spec.chute_id);
    Chute {
        id: spec.chute_id.clone(),
        version: spec.version.clone(),
        gpu_count: spec.gpu_count,
        supported: spec.supported_gpus.iter().cloned().collect(),
        tee: spec.tee,
        library: spec.chutes_version.clone().unwrap_or_default(),
        // A chute that the validator lists again is back before its resource says so.
        withdrawn: spec.listing == Listing::Withdrawn && row.is_none(),
        disabled: row.is_some_and(|row| row.disabled),
        jobs_only: row.is_some_and(|row| row.cords.is_empty() && !row.jobs.is_empty()),
        rate_micro: row.and_then(rate_micro),
    }
}

/// What one instance is paid: the validator's word for just now, else its base, else what its rules give.
fn rate_micro(row: &ChuteRow) -> Option<u64> {
    let base = || {
        let rates = row.supported_gpus(catalogue::Era::Tee);
        let cheapest = rates.iter().filter_map(catalogue::find).map(|spec| spec.multiplier()).min_by(f64::total_cmp)?;
        Some(cheapest * f64::from(row.node_selector.gpu_count))
    };
    let rate = row.effective_compute_multiplier.or(row.node_selector.compute_multiplier).or_else(base)?;
    micro(rate).map(i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(extra: serde_json::Value) -> ChuteRow {
        let mut row = serde_json::json!({"chute_id": "c", "version": "v", "supported_gpus": ["h200"], "node_selector": {"gpu_count": 8}});
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn the_validators_word_comes_first_and_the_catalogue_last() {
        assert_eq!(rate_micro(&row(serde_json::json!({"effective_compute_multiplier": 11.0}))), Some(11_000_000));
        // 8 GPUs at 2.75 of 4.50 dollars.
        assert_eq!(rate_micro(&row(serde_json::json!({}))), Some(4_888_889));
        assert_eq!(rate_micro(&row(serde_json::json!({"effective_compute_multiplier": -1.0}))), None);
    }
}
