//! What an event wakes, and which chute it asks to look at. Pure.

use protocol::{
    event::MinerEvent,
    ids::{ChuteId, ChuteVersion},
};
use store::Topic;

/// What to do about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// Whom to wake.
    pub topic: Topic,
    /// A chute to read again now, without waiting for the next list.
    pub fetch: Option<(ChuteId, ChuteVersion)>,
    /// Whether the whole list should be read again.
    pub list: bool,
}

pub(super) fn hint(event: &MinerEvent) -> Hint {
    let wake = |topic| Hint { topic, fetch: None, list: false };
    match event {
        MinerEvent::ChuteCreated(chute) | MinerEvent::ChuteUpdated(chute) => match &chute.version {
            Some(version) => Hint { topic: Topic::Chutes, fetch: Some((chute.chute_id.clone(), version.clone())), list: false },
            None => Hint { topic: Topic::Chutes, fetch: None, list: true },
        },
        MinerEvent::RollingUpdate(update) => Hint {
            topic: Topic::Instances,
            fetch: update.new_version.clone().map(|version| (update.chute_id.clone(), version)),
            list: update.new_version.is_none(),
        },
        // A deletion is only a hint; the lists decide. A rebuilt image shows in the rows of its chutes.
        MinerEvent::ChuteDeleted(_) | MinerEvent::ImageUpdated(_) => Hint { topic: Topic::Chutes, fetch: None, list: true },
        MinerEvent::InstanceCreated(_) | MinerEvent::InstanceVerified(_) | MinerEvent::InstanceActivated(_) => wake(Topic::Instances),
        MinerEvent::InstanceDeleted(_) | MinerEvent::InstanceDisabled(_) => wake(Topic::Instances),
        MinerEvent::GpuVerified(_) => wake(Topic::Servers),
        MinerEvent::JobCreated(_) | MinerEvent::JobDeleted(_) => wake(Topic::Jobs),
        MinerEvent::ImageCreated(_) | MinerEvent::ImageDeleted(_) => wake(Topic::Chutes),
        MinerEvent::BountyChange(_) => wake(Topic::Plan),
        // Something changed, we do not know what: the instances are what must never be wrong.
        MinerEvent::Unknown { .. } => wake(Topic::Instances),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(reason: &str, data: serde_json::Value) -> Hint {
        hint(&MinerEvent::parse(json!({ "reason": reason, "data": data })))
    }

    #[test]
    fn a_changed_chute_is_read_again_and_a_deleted_one_only_lists_again() {
        let changed = of("chute_updated", json!({ "chute_id": "c", "version": "v2" }));
        assert_eq!(changed.fetch, Some(("c".parse().unwrap(), "v2".parse().unwrap())));
        let deleted = of("chute_deleted", json!({ "chute_id": "c", "version": "v2" }));
        assert_eq!((deleted.fetch, deleted.list), (None, true));
    }

    #[test]
    fn an_event_nobody_understands_still_wakes() {
        assert_eq!(of("something_new", json!({})).topic, Topic::Instances);
        assert_eq!(of("instance_deleted", json!({ "instance_id": "i" })).topic, Topic::Instances);
    }
}
