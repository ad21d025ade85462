//! Asking the validator, list by list. A list that fails leaves what is known as it is; its age tells.

use std::sync::Arc;
use std::time::Duration;

use store::{Topic, Wakeups};
use tokio::sync::watch;
use tokio::time::Instant;
use validator::{Listing, ValidatorClient, ValidatorError};

use super::View;
use crate::Timing;

/// A round that takes longer is given up; the next one begins anew.
const ROUND: Duration = Duration::from_secs(60);

/// Demand is public, one large answer for everybody: a burst of wake-ups asks for it once.
const DEMAND_APART: Duration = Duration::from_secs(5);

/// Lists that are not asked for in every round.
#[derive(Clone, Copy)]
struct Due {
    chutes: bool,
    demand: bool,
}

/// Polls for ever; abort the task to end it.
pub(super) async fn run(client: ValidatorClient, redis_url: String, timing: Timing, out: watch::Sender<Arc<View>>) {
    let mut wakeups = match Wakeups::subscribe(&redis_url, &[Topic::Instances]) {
        Ok(wakeups) => Some(wakeups),
        Err(error) => {
            tracing::warn!(%error, "no wake-ups; polling only");
            None
        }
    };
    let (mut chutes_due, mut demand_due) = (Instant::now(), Instant::now());
    loop {
        let now = Instant::now();
        let due = Due { chutes: now >= chutes_due, demand: now >= demand_due };
        if due.chutes {
            chutes_due = now + timing.poll_chutes;
        }
        if due.demand {
            demand_due = now + DEMAND_APART.min(timing.poll);
        }
        let view = (**out.borrow()).clone();
        match tokio::time::timeout(ROUND, round(&client, view, due)).await {
            Ok(view) => {
                out.send_replace(Arc::new(view));
            }
            Err(_) => tracing::warn!(validator = %client.validator(), "the validator's lists did not come in time"),
        }
        match &mut wakeups {
            Some(wakeups) => {
                wakeups.recv_or_tick(timing.poll).await;
                // Several events come together; one look serves them all.
                tokio::time::sleep(Duration::from_millis(100).min(timing.poll)).await;
            }
            None => tokio::time::sleep(timing.poll).await,
        }
    }
}

async fn round(client: &ValidatorClient, mut view: View, due: Due) -> View {
    // The inventory last: it is the second side of what the list of instances says.
    if let Some(listing) = heard(client, "instances", client.instances().await) {
        view.instances(listing);
    }
    if let Some(listing) = heard(client, "inventory", client.inventory().await) {
        view.inventory(listing);
    }
    if let Some(listing) = heard(client, "nodes", client.nodes().await) {
        view.nodes(listing);
    }
    if due.chutes
        && let Some(listing) = heard(client, "chutes", client.chutes().await)
    {
        view.chutes(listing);
    }
    // Only validators since 2026 have this list.
    if due.chutes
        && let Ok(listing) = client.servers().await
    {
        view.servers(listing);
    }
    // After the instances: what of ours they show, the validator has counted.
    if due.demand
        && let Some(listing) = heard(client, "utilization", client.utilization().await)
    {
        view.utilization(listing);
    }
    view
}

fn heard<T>(client: &ValidatorClient, list: &str, answer: Result<Listing<T>, ValidatorError>) -> Option<Listing<T>> {
    match answer {
        Ok(listing) => {
            if !listing.completeness.is_complete() {
                tracing::info!(validator = %client.validator(), list, completeness = ?listing.completeness, "an incomplete list");
            }
            Some(listing)
        }
        Err(error) => {
            tracing::warn!(validator = %client.validator(), list, %error, "no list");
            None
        }
    }
}
