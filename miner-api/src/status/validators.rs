//! The links to the validators.

use crate::{ports::fleet::View, rows::wire};
use crd::{conditions, validator::condition};
use serde::Serialize;

/// A link in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValidatorLine {
    /// Name of the resource.
    pub name: String,
    /// Hotkey.
    pub hotkey: String,
    /// Base URL of its API.
    pub api: String,
    /// Whether its events come.
    pub connected: Finding,
    /// Whether its list is fresh and complete.
    pub in_sync: Finding,
    /// Chutes it offers.
    pub chutes: usize,
}

/// A condition in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `True`, `False` or `Unknown`.
    pub state: String,
    /// Reason code.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Since when.
    pub since: Option<String>,
}

pub(super) fn lines(view: &View) -> Vec<ValidatorLine> {
    let line = |one: &std::sync::Arc<crd::Validator>| {
        let conditions = one.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        ValidatorLine {
            name: one.metadata.name.clone().unwrap_or_default(),
            hotkey: one.spec.hotkey.to_string(),
            api: one.spec.api.clone(),
            connected: finding(conditions, condition::CONNECTED),
            in_sync: finding(conditions, condition::INVENTORY_IN_SYNC),
            chutes: view
                .chutes
                .iter()
                .filter(|chute| chute.spec.validator == one.spec.hotkey && chute.spec.listing == crd::chute::Listing::Listed)
                .count(),
        }
    };
    view.validators.iter().map(line).collect()
}

fn finding(list: &[crd::Condition], kind: &str) -> Finding {
    match conditions::get(list, kind) {
        None => Finding { state: "Unknown".to_owned(), reason: "NotReported".to_owned(), message: String::new(), since: None },
        Some(found) => Finding {
            state: found.status.clone(),
            reason: found.reason.clone(),
            message: found.message.clone(),
            since: Some(wire(found.last_transition_time.0)),
        },
    }
}
