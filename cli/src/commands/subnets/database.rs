//! Tenures in Postgres: what `follow` keeps there, and what the other commands read of it.

use crate::failure::{Failure, Kind};
use chain::{
    follow::{Changes, Held, Place, TenureSink},
    read::{AccountId, Block, ChainConfig},
    tracker::{analysis::PriceSample, tenure::Tenure},
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::{ChainBlock, Error, Follow, FollowKey, NewTenure, Options, RunningTenure, Store, TenureChanges, TenureEnd};

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
                validator: one.validator,
            };
            held.subnets.entry(one.netuid).or_default().insert(one.uid, place);
        }
        Ok(Some(held))
    }

    async fn take(&self, after: Option<Block>, block: Block, changes: &Changes) -> Result<(), Error> {
        let position = |block: Block| ChainBlock { number: block.number, hash: block.hash };
        let ended =
            changes.closed.iter().map(|one| TenureEnd { netuid: one.netuid, uid: one.uid, at: one.at, how: one.end.name() }).collect();
        let begun = changes.opened.iter().map(|one| NewTenure {
            tenure: RunningTenure {
                netuid: one.netuid,
                uid: one.uid,
                hotkey: one.place.hotkey.ss58(),
                coldkey: one.place.coldkey.map(|key| key.ss58()),
                registered_at: one.place.registered_at,
                validator: one.place.validator,
            },
            from: one.from,
            continues: one.continues,
            passed: one.passed,
        });
        let changes = TenureChanges { ended, begun: begun.collect(), permits: changes.permits.clone(), prices: changes.prices.clone() };
        self.store.take_block(self.key, after.map(position), position(block), &changes).await
    }
}

/// Tenures that were followed, to be read.
pub(super) struct Followed {
    store: Store,
    follows: Vec<Follow>,
}

impl Followed {
    /// Finds what was followed of a network. Where the database knows one chain only, that is meant.
    pub(super) async fn open(url: &str, network: &str) -> Result<Self, Failure> {
        let store = connect(url)?;
        let mut follows = store.follows().await.map_err(|error| match error {
            Error::Corrupt(_) => nothing(),
            error => failed(&error),
        })?;
        let chains: BTreeSet<[u8; 32]> = follows.iter().map(|follow| follow.key.genesis).collect();
        if chains.len() > 1 {
            let genesis = ChainConfig::parse(network).ok().and_then(|config| config.genesis);
            follows.retain(|follow| Some(follow.key.genesis) == genesis);
            if follows.is_empty() {
                return Err(Failure::general("the database has tenures of several chains").advise("--network NAME says which"));
            }
        }
        if follows.is_empty() { Err(nothing()) } else { Ok(Self { store, follows }) }
    }

    /// What tells of a subnet: followed alone or with all others, whichever saw more.
    fn of(&self, netuid: u16) -> Result<&Follow, Failure> {
        let tells = self.follows.iter().filter(|follow| follow.key.netuid.is_none_or(|only| only == netuid));
        tells
            .max_by_key(|follow| follow.block.number - follow.first_block)
            .ok_or_else(|| Failure::new(Kind::NotFound, format!("subnet {netuid} was not followed")))
    }

    /// The subnets that were followed.
    pub(super) async fn subnets(&self) -> Result<BTreeSet<u16>, Failure> {
        let mut subnets = BTreeSet::new();
        for follow in &self.follows {
            subnets.extend(self.store.followed_subnets(follow).await.map_err(|error| failed(&error))?);
        }
        Ok(subnets)
    }

    /// Tenures on a subnet, those that run up to the last block that was followed.
    pub(super) async fn tenures(&self, netuid: u16) -> Result<Vec<Tenure>, Failure> {
        let follow = self.of(netuid)?;
        let lives = self.store.lives(follow, netuid).await.map_err(|error| failed(&error))?;
        let tenure = |life: store::TenureLife| Tenure {
            netuid,
            uid: life.uid,
            born: Some(life.registered_at),
            first_seen: life.first_seen,
            until: life.ended_at.unwrap_or(follow.block.number),
            ended: life.replaced,
            undated_end: false,
            validator: life.validator,
            // Not kept: an owner's own UIDs count as miners here, and make survival look a little longer.
            owner: false,
        };
        Ok(lives.into_iter().map(tenure).collect())
    }

    /// Prices of a registration, and the last block that was followed.
    pub(super) async fn prices(&self, netuid: u16) -> Result<(Vec<PriceSample>, u64), Failure> {
        let follow = self.of(netuid)?;
        let prices = self.store.registration_prices(follow, netuid).await.map_err(|error| failed(&error))?;
        Ok((prices.into_iter().map(|(block, burn_rao)| PriceSample { block, burn_rao }).collect(), follow.block.number))
    }
}

fn nothing() -> Failure {
    Failure::new(Kind::NotFound, "the database has no tenures").advise("chutes-miner subnets follow --database-url URL")
}
