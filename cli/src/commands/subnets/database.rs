//! Tenures in Postgres: what `follow` keeps there. What the other commands read of it is in `followed`.

use crate::failure::{Failure, Kind};
use chain::{
    follow::{Changes, Held, Place, Standing, TenureSink},
    read::{AccountId, Block},
};
use std::collections::BTreeMap;
use std::time::Duration;
use store::{
    ChainBlock, Error, FollowGap, FollowKey, NewTenure, Options, PruneRules, RunningTenure, Store, TenureChanges, TenureEnd, TenureStanding,
};

/// Prepares to use a database; it is connected when it is first asked.
pub(super) fn connect(url: &str) -> Result<Store, Failure> {
    // All UIDs of the chain are begun and loaded in one statement.
    let (statement_timeout, deadline) = (Duration::from_secs(30), Duration::from_secs(60));
    let application_name = "chutes-miner".to_owned();
    let options = Options { application_name, max_connections: 2, statement_timeout, deadline, ..Options::default() };
    Store::connect(url, &options)
        .map_err(|error| Failure::new(Kind::Usage, error.to_string()).advise("--database-url postgres://USER:PASSWORD@HOST/DATABASE"))
}

/// What the database says went wrong.
pub(super) fn failed(error: &Error) -> Failure {
    match error {
        Error::Unavailable(_) => Failure::new(Kind::Unreachable, format!("the database: {error}")),
        Error::AlreadyExists(_) => {
            Failure::general(format!("the database: {error}")).advise("let one program follow; the others may read what it keeps")
        }
        _ => Failure::general(format!("the database: {error}")),
    }
}

/// Where a follower's tenures go.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) store: Store,
    pub(super) key: FollowKey,
}

impl TenureSink for Ledger {
    type Error = Error;

    async fn load(&self) -> Result<Option<Held>, Error> {
        let Some((follow, running, prices)) = self.store.followed(self.key).await? else { return Ok(None) };
        let block = Block { number: follow.block.number, hash: follow.block.hash };
        let mut held = Held { block, subnets: BTreeMap::new(), prices };
        for one in running {
            let place = Place {
                hotkey: AccountId::from(&one.hotkey),
                coldkey: one.coldkey.as_ref().map(AccountId::from),
                registered_at: one.registered_at,
                standing: Standing {
                    validator: one.standing.validator,
                    owner: one.standing.owner,
                    emission_rao: one.standing.emission_rao,
                },
            };
            held.subnets.entry(one.netuid).or_default().insert(one.uid, place);
        }
        Ok(Some(held))
    }

    async fn take(&self, after: Option<Block>, block: Block, changes: &Changes) -> Result<(), Error> {
        let position = |block: Block| ChainBlock { number: block.number, hash: block.hash };
        let standing = |one: &Standing| TenureStanding { validator: one.validator, owner: one.owner, emission_rao: one.emission_rao };
        let ended = changes.closed.iter().map(|one| TenureEnd {
            netuid: one.netuid,
            uid: one.uid,
            at: one.at,
            how: one.end.name(),
            last_seen: one.last_seen,
            standing: standing(&one.standing),
            immunity_period: one.immunity_period,
        });
        let begun = changes.opened.iter().map(|one| NewTenure {
            tenure: RunningTenure {
                netuid: one.netuid,
                uid: one.uid,
                hotkey: one.place.hotkey.ss58(),
                coldkey: one.place.coldkey.map(|key| key.ss58()),
                registered_at: one.place.registered_at,
                standing: standing(&one.place.standing),
            },
            from: one.from,
            continues: one.continues,
            passed: one.passed,
            burn_rao: one.burn_rao,
        });
        let rules = |rules: chain::follow::Rules| PruneRules {
            immunity_period: rules.immunity_period,
            min_non_immune_uids: rules.min_non_immune_uids,
            max_uids: rules.max_uids,
            min_burn_rao: rules.price.min_rao,
            max_burn_rao: rules.price.max_rao,
            burn_half_life: rules.price.half_life,
            burn_increase_ppb: rules.price.increase_ppb,
        };
        let changes = TenureChanges {
            ended: ended.collect(),
            begun: begun.collect(),
            standings: changes.standings.iter().map(|(netuid, uid, one)| (*netuid, *uid, standing(one))).collect(),
            looks: changes.looks.iter().map(|(netuid, one)| (*netuid, one.map(rules))).collect(),
            prices: changes.prices.clone(),
            left_out: changes.left_out.map(|one| FollowGap { from: one.from, to: one.to }),
            time_ms: changes.time_ms,
        };
        self.store.take_block(self.key, after.map(position), position(block), &changes).await
    }
}
