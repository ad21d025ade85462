//! Chutes for the planner: what a resource says it is, what the validator's latest list says it pays.

use std::collections::BTreeMap;

use crd::chute::Listing;
use gepetto::snapshot::Chute;
use jiff::Timestamp;
use protocol::catalogue;
use protocol::dto::ChuteRow;
use protocol::ids::{ChuteId, Ss58};

use crate::Context;
use crate::ledger::micro;
use crate::validator_view::{Offers, View};

/// `denied` says when the validator last answered to an asking that there is no such chute.
pub(super) fn chutes(ctx: &Context, validator: &Ss58, view: &View, denied: &BTreeMap<&ChuteId, Timestamp>) -> Vec<Chute> {
    let all = ctx.watches.chutes.all();
    let mut chutes: Vec<Chute> = all
        .iter()
        .filter(|chute| chute.spec.validator == *validator && chute.metadata.deletion_timestamp.is_none())
        .map(|chute| of(&chute.spec, &view.offers, denied.get(&chute.spec.chute_id).copied()))
        .collect();
    chutes.sort_by(|a, b| (&a.id, &a.version).cmp(&(&b.id, &b.version)));
    chutes
}

fn of(spec: &crd::ChuteSpec, offers: &Offers, denied: Option<Timestamp>) -> Chute {
    let row = offers.get(&spec.chute_id);
    // Two complete lists and a 404 withdrew it, and the latest list does not take that back.
    let withdrawn_meanwhile = spec.listing == Listing::Withdrawn && offers.came_empty();
    // Its own answer is younger than what its lists last said of it.
    let denied_since = denied.is_some_and(|denied| offers.named_at(&spec.chute_id).is_none_or(|named| named <= denied));
    Chute {
        id: spec.chute_id.clone(),
        version: spec.version.clone(),
        gpu_count: spec.gpu_count,
        supported: spec.supported_gpus.iter().cloned().collect(),
        tee: spec.tee,
        library: spec.chutes_version.clone().unwrap_or_default(),
        // A chute that the validator lists again is back before its resource says so.
        withdrawn: spec.listing == Listing::Withdrawn && row.is_none(),
        gone: withdrawn_meanwhile || denied_since,
        disabled: row.is_some_and(|row| row.disabled),
        jobs_only: row.is_some_and(|row| row.cords.is_empty() && !row.jobs.is_empty()),
        rate_micro: row.and_then(rate_micro),
        allowance: offers.allowance(&spec.chute_id).filter(|allowance| allowance.more > 0 || !has_bounty(row)),
    }
}

/// A bounty is offered for the first instance, whatever the target was when the validator last looked: worth asking.
fn has_bounty(row: Option<&ChuteRow>) -> bool {
    row.and_then(|row| row.bounty).is_some_and(|bounty| bounty > 0.0)
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn spec(listing: Listing) -> crd::ChuteSpec {
        let spec = serde_json::json!({
            "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj", "chuteId": "c", "version": "v", "name": "c", "image": "u/i:1",
            "refStr": "a:b", "gpuCount": 8, "supportedGpus": ["h200"], "listing": "Listed",
        });
        crd::ChuteSpec { listing, ..serde_json::from_value(spec).unwrap() }
    }

    /// A view in which the chute was listed at second 0, with these fields, and a list without a row came at `empty`.
    fn listed(fields: serde_json::Value, empty: Option<i64>) -> View {
        let minute = std::time::Duration::from_secs(60);
        let mut view = View::new(minute, 10 * minute);
        let list = |items, second, completeness| validator::Listing {
            items,
            completeness,
            bad_rows: 0,
            bad_ids: std::collections::BTreeSet::new(),
            as_of: at(second),
        };
        view.chutes(list(vec![row(fields)], 0, validator::Completeness::Complete));
        if let Some(second) = empty {
            view.chutes(list(vec![], second, validator::Completeness::Silent));
        }
        view
    }

    #[test]
    fn the_validators_own_no_holds_until_a_younger_list_names_the_chute() {
        let gone = |empty, listing, denied: Option<i64>| {
            let chute = of(&spec(listing), &listed(serde_json::json!({}), empty).offers, denied.map(at));
            assert!(!chute.withdrawn, "that takes a list that lacks it");
            chute.gone
        };
        assert!(!gone(None, Listing::Listed, None));
        assert!(gone(None, Listing::Listed, Some(10)), "denied after it was listed");
        assert!(!gone(None, Listing::Listed, Some(-10)), "listed after it was denied");
        assert!(gone(Some(30), Listing::Listed, Some(10)), "a list without a row names nobody");
        assert!(!gone(Some(30), Listing::Listed, None), "nor does it deny anybody");
        assert!(gone(Some(30), Listing::Withdrawn, None));
        assert!(!gone(None, Listing::Withdrawn, None), "it is offered again, and its resource does not say so yet");
        let nobody = of(&spec(Listing::Withdrawn), &Offers::default(), Some(at(0)));
        assert!(nobody.withdrawn && nobody.gone);
    }

    #[test]
    fn a_bounty_is_worth_asking_for_whatever_the_target_was() {
        let allowance = |fields, more: u32| {
            let mut view = listed(fields, None);
            let row = serde_json::from_value(serde_json::json!({ "chute_id": "c", "scale_allowance": more })).unwrap();
            let completeness = validator::Completeness::Complete;
            view.utilization(validator::Listing {
                items: vec![row],
                completeness,
                bad_rows: 0,
                bad_ids: std::collections::BTreeSet::new(),
                as_of: at(1),
            });
            of(&spec(Listing::Listed), &view.offers, None).allowance.map(|allowance| allowance.more)
        };
        assert_eq!(allowance(serde_json::json!({}), 0), Some(0));
        assert_eq!(allowance(serde_json::json!({ "bounty": null }), 0), Some(0));
        assert_eq!(allowance(serde_json::json!({ "bounty": 100 }), 0), None);
        assert_eq!(allowance(serde_json::json!({ "bounty": 100 }), 2), Some(2));
    }
}
