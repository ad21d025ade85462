//! Controllers run on several threads: what they await must be able to move between them.

use jiff::Timestamp;
use protocol::ids::{ConfigId, InstanceId};
use store::{Epoch, InstanceRecord, Publisher, Settled, Store, Wakeups};

use crate::fixture::{gone, id, server, wanted};

fn movable<T: Send>(_: T) {}

#[allow(dead_code, reason = "it compiles, or it does not; there is nothing to run")]
fn every_call_can_be_spawned(
    store: &Store,
    epoch: Epoch,
    seen: &InstanceRecord,
    config: &ConfigId,
    instance: &InstanceId,
    publisher: Publisher,
    wakeups: &mut Wakeups,
) {
    movable(store.migrate());
    movable(store.ping());
    movable(store.acquire_epoch("me"));
    movable(store.check_epoch(epoch));
    movable(store.open_claims());
    movable(store.deployments_open());
    movable(store.deployment(&id(1)));
    movable(store.grant_launch(epoch, &wanted(1, &[1])));
    movable(store.rebuild_claims(epoch, &[wanted(1, &[1])]));
    movable(store.decide_stop(epoch, &id(1), "", ""));
    movable(store.end_deployment(epoch, &id(1), "", "", &gone()));
    movable(store.free_claims(epoch, &id(1), &gone()));
    movable(store.record_phase(&id(1), "", "", Timestamp::UNIX_EPOCH));
    movable(store.phases(&id(1)));
    movable(store.begin_launch(epoch, &id(1)));
    movable(store.record_config(1, config));
    movable(store.settle(config, Settled::Claimed));
    movable(store.settle_attempt(1, Settled::Refused, ""));
    movable(store.abandon_unanswered(epoch));
    movable(store.record_instance(seen));
    movable(store.record_multiplier(instance, 1, "", Timestamp::UNIX_EPOCH));
    movable(store.record_cost(&server("alpha"), 1, 1, Timestamp::UNIX_EPOCH));
    movable(store.record_idle(&server("alpha"), &[], Timestamp::UNIX_EPOCH));
    movable(store.ledger_summary(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
    movable(store.begin_step(epoch, "", "", "", &serde_json::Value::Null));
    movable(store.server_history(&server("alpha")));
    movable(store.events(None, 1));
    movable(publisher.run());
    movable(wakeups.recv_or_tick(std::time::Duration::ZERO));
}
