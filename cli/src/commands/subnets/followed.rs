//! What `follow` kept in Postgres, to be read by the other commands.

use super::database::{connect, failed};
use crate::{
    failure::{Failure, Kind},
    output::note,
};
use chain::{
    read::ChainConfig,
    tracker::{
        BLOCK_SECONDS,
        analysis::{Analyzer, Counting, PriceSample},
        replay::{self, Sat, SatUntil},
        snapshot::{Key, Parameters, Subnet},
        tenure::{MAX_UNDATED, Tenure},
    },
};
use jiff::{Timestamp, civil::Date};
use std::collections::{BTreeMap, BTreeSet};
use store::{Error, Follow, FollowGap, KeptTenure, Store, TenureLife};

/// Tenures that were followed, to be read.
pub(super) struct Followed {
    store: Store,
    follows: Vec<Follow>,
    /// Blocks that were left out, by the number of the follow.
    gaps: BTreeMap<i64, Vec<FollowGap>>,
    /// When blocks were made, in milliseconds since 1970, likewise.
    times: BTreeMap<i64, BTreeMap<u64, i64>>,
}

/// What was followed of one subnet.
pub(super) struct Kept {
    netuid: u16,
    pub(super) first: u64,
    pub(super) last: u64,
    sats: Vec<Sat>,
    gaps: Vec<FollowGap>,
}

/// A block, or a time that has to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Block(u64),
    Time(Timestamp),
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(block) = text.parse() {
            return Ok(Self::Block(block));
        }
        let day = |date: Date| date.in_tz("UTC").map(|zoned| zoned.timestamp());
        let time = text.parse::<Timestamp>().or_else(|error| text.parse().map_err(|_| error).and_then(day));
        time.map(Self::Time).map_err(|_| "a block, a day (2026-01-31) or a time with its offset (2026-01-31T12:00Z) is wanted".to_owned())
    }
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
        if follows.is_empty() {
            return Err(nothing());
        }
        let (mut gaps, mut times) = (BTreeMap::new(), BTreeMap::new());
        for follow in &follows {
            gaps.insert(follow.id, store.follow_gaps(follow).await.map_err(|error| stale(&error))?);
            times.insert(follow.id, store.block_times(follow).await.map_err(|error| stale(&error))?);
        }
        Ok(Self { store, follows, gaps, times })
    }

    fn gaps(&self, follow: &Follow) -> &[FollowGap] {
        self.gaps.get(&follow.id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Says which blocks were left out, of all that is followed or what tells of one subnet.
    pub(super) fn note_gaps(&self, netuid: Option<u16>) {
        let told: Vec<&Follow> = match netuid {
            Some(netuid) => self.of(netuid).into_iter().collect(),
            None => self.follows.iter().collect(),
        };
        let gaps: BTreeSet<_> = told.iter().flat_map(|follow| self.gaps(follow)).map(|gap| (gap.from, gap.to)).collect();
        for (from, to) in gaps.iter().rev().take(3) {
            note(&format!(
                "blocks {from} to {to} were left out: what ended in them has no known moment, and who came and went is not seen"
            ));
        }
        if gaps.len() > 3 {
            note(&format!("{} earlier times, too, blocks were left out; table chain_gaps", gaps.len() - 3));
        }
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
        Ok(lives.iter().map(|life| tenure(netuid, life, follow.block.number, self.gaps(follow))).collect())
    }

    /// Prices of a registration, and the last block that was followed.
    pub(super) async fn prices(&self, netuid: u16) -> Result<(Vec<PriceSample>, u64), Failure> {
        let follow = self.of(netuid)?;
        let prices = self.store.registration_prices(follow, netuid).await.map_err(|error| failed(&error))?;
        Ok((prices.into_iter().map(|(block, burn_rao)| PriceSample { block, burn_rao }).collect(), follow.block.number))
    }

    /// Everything that was followed of a subnet.
    pub(super) async fn kept(&self, netuid: u16) -> Result<Kept, Failure> {
        let follow = self.of(netuid)?;
        let gaps = self.gaps(follow).to_vec();
        let tenures = self.store.tenures(follow, netuid).await.map_err(|error| failed(&error))?;
        let sats = tenures.iter().map(sat).collect::<Result<_, _>>()?;
        Ok(Kept { netuid, first: follow.first_block, last: follow.block.number, sats, gaps })
    }

    /// The subnet as it was last looked at, with what it prunes by, and all that was seen of it until then; with the last price that was
    /// kept, which is no more than a fiftieth off, and how it moves.
    pub(super) async fn watched(&self, netuid: u16) -> Result<Analyzer, Failure> {
        let follow = self.of(netuid)?;
        let rules = self.store.prune_rules(follow, netuid).await.map_err(|error| stale(&error))?;
        let gone = || Failure::new(Kind::NotFound, format!("subnet {netuid} is no more, or was not looked at yet"));
        let (looked_at, rules) = rules.ok_or_else(gone)?;
        let price = self.prices(netuid).await?.0.last().map(|one| one.burn_rao);
        let kept = self.kept(netuid).await?;
        let mut analyzer = Analyzer::new(String::new(), Counting::Observed);
        let blocks = kept.moments(looked_at);
        for mut state in replay::states(&kept.sats, &blocks) {
            if state.block == looked_at {
                state.parameters = Parameters {
                    max_uids: rules.max_uids,
                    immunity_period: rules.immunity_period.map(u64::from),
                    min_non_immune_uids: rules.min_non_immune_uids,
                    burn_rao: price,
                    min_burn_rao: rules.min_burn_rao,
                    max_burn_rao: rules.max_burn_rao,
                    burn_half_life: rules.burn_half_life,
                    burn_increase_mult: rules.burn_increase_ppb.map(|ppb| ppb as f64 / 1e9),
                    ..Parameters::default()
                };
            }
            analyzer.add_state(&format!("block {}", state.block), netuid, state);
        }
        Ok(analyzer)
    }

    /// All that was followed, state by state: each change is seen, and what was left out is one long period of which the ends are known.
    pub(super) async fn all(&self, network: &str) -> Result<Analyzer, Failure> {
        let mut analyzer = Analyzer::new(network, Counting::Observed);
        for netuid in self.subnets().await? {
            let kept = self.kept(netuid).await?;
            for state in replay::states(&kept.sats, &kept.moments(kept.last)) {
                analyzer.add_state(&self.time(netuid, state.block)?, netuid, state);
            }
        }
        Ok(analyzer)
    }

    /// The block of a moment: of a time, the last one made by then, give or take a few where no time was kept close by.
    pub(super) fn block(&self, netuid: u16, moment: Moment) -> Result<u64, Failure> {
        let time = match moment {
            Moment::Block(block) => return Ok(block),
            Moment::Time(time) => time.as_millisecond(),
        };
        block_at(self.times(netuid)?, time).ok_or_else(|| {
            Failure::new(Kind::NotFound, "the database does not say when its blocks were made").advise("--from and --to take blocks, too")
        })
    }

    /// When a block was made, as far as that can be told.
    pub(super) fn time(&self, netuid: u16, block: u64) -> Result<String, Failure> {
        let time = time_of(self.times(netuid)?, block).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Ok(time.map_or_else(|| format!("block {block}"), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
    }

    fn times(&self, netuid: u16) -> Result<&BTreeMap<u64, i64>, Failure> {
        const NONE: &BTreeMap<u64, i64> = &BTreeMap::new();
        Ok(self.times.get(&self.of(netuid)?.id).unwrap_or(NONE))
    }
}

impl Kept {
    fn moments(&self, last: u64) -> BTreeSet<u64> {
        let unseen: Vec<_> = self.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        replay::moments(&self.sats, self.first, last, &unseen)
    }

    /// The subnet in a block; `None` where it was not there.
    ///
    /// # Errors
    ///
    /// For a block that was not followed.
    pub(super) fn state(&self, block: u64) -> Result<Option<Subnet>, Failure> {
        let (netuid, first, last) = (self.netuid, self.first, self.last);
        if !(first..=last).contains(&block) {
            let what = format!("block {block} of subnet {netuid} was not followed: that was from block {first} to {last}");
            return Err(Failure::new(Kind::NotFound, what));
        }
        if let Some(gap) = self.gaps.iter().find(|gap| (gap.from..=gap.to).contains(&block)) {
            let (before, after) = (gap.from.saturating_sub(1), gap.to.saturating_add(1));
            let what = format!("block {block} was left out, with all from {} to {}", gap.from, gap.to);
            return Err(Failure::new(Kind::NotFound, what).advise(format!("the ones next to it are {before} and {after}")));
        }
        Ok(replay::states(&self.sats, &BTreeSet::from([block])).next())
    }
}

/// A life as survival counts it. What ended in blocks that were left out was watched until these, unless somebody else has the place: then
/// the successor's registration is the latest block at which it can have ended.
fn tenure(netuid: u16, life: &TenureLife, now: u64, gaps: &[FollowGap]) -> Tenure {
    let gap = life.last_seen.and_then(|last| gaps.iter().find(|gap| Some(gap.from) == last.checked_add(1)));
    let apart = gap.map_or(0, |gap| gap.to.saturating_sub(gap.from).saturating_add(2));
    let (until, ended) = match (life.ended_at, life.replaced) {
        (None, _) => (now, false),
        (Some(at), true) => (at, true),
        (Some(at), false) => (life.last_seen.unwrap_or(at.saturating_sub(1)), false),
    };
    Tenure {
        netuid,
        uid: life.uid,
        born: Some(life.registered_at),
        first_seen: life.first_seen,
        until,
        ended,
        undated_end: ended && apart > MAX_UNDATED,
        validator: life.standing.validator,
        owner: life.standing.owner == Some(true),
    }
}

fn sat(kept: &KeptTenure) -> Result<Sat, Failure> {
    let key = |key: &str| key.parse::<Key>().map_err(|why| Failure::general(format!("the database: {key:?} is {why}")));
    let tenure = &kept.tenure;
    // Whether it still was there in blocks that were left out is not known, and nobody asks.
    let until = |(at, how, last_seen): &(u64, String, Option<u64>)| SatUntil {
        at: last_seen.map_or(*at, |last| last.saturating_add(1)),
        with_the_subnet: how == "network_removed",
    };
    Ok(Sat {
        uid: tenure.uid,
        hotkey: key(tenure.hotkey.as_str())?,
        coldkey: tenure.coldkey.as_ref().map(|one| key(one.as_str())).transpose()?,
        registered_at: tenure.registered_at,
        from: kept.from,
        end: kept.end.as_ref().map(until),
        validator: tenure.standing.validator,
        owner: tenure.standing.owner,
        emission_rao: tenure.standing.emission_rao,
    })
}

/// When a block was made, likewise.
fn time_of(times: &BTreeMap<u64, i64>, block: u64) -> Option<i64> {
    let pace = i128::from(BLOCK_SECONDS) * 1000;
    let before = times.range(..=block).next_back();
    let after = times.range(block.checked_add(1)?..).next();
    let (known, at) = before.or(after)?;
    let past = i128::from(block) - i128::from(*known);
    let spent = match (before, after) {
        (Some((first, start)), Some((last, end))) => {
            let (between, span) = (i128::from(last.saturating_sub(*first)), i128::from(*end) - i128::from(*start));
            (past * span).checked_div_euclid(between)?
        }
        _ => past * pace,
    };
    i64::try_from(i128::from(*at).saturating_add(spent)).ok()
}

/// The last block that was made by a time, at a steady pace between those whose times are known and at the chain's beyond.
fn block_at(times: &BTreeMap<u64, i64>, time: i64) -> Option<u64> {
    let pace = i128::from(BLOCK_SECONDS) * 1000;
    let before = times.iter().rev().find(|(_, at)| **at <= time);
    let after = times.iter().find(|(_, at)| **at > time);
    let (known, at) = before.or(after)?;
    let past = i128::from(time) - i128::from(*at);
    let blocks = match (before, after) {
        (Some((first, start)), Some((last, end))) => {
            let (between, span) = (i128::from(last.saturating_sub(*first)), i128::from(*end) - i128::from(*start));
            (past * between).checked_div_euclid(span)?
        }
        _ => past.div_euclid(pace),
    };
    u64::try_from(i128::from(*known).saturating_add(blocks).max(0)).ok()
}

/// What the database says went wrong with tables that a newer `follow` makes.
fn stale(error: &Error) -> Failure {
    match error {
        Error::Corrupt(_) => failed(error).advise("start `chutes-miner subnets follow` once: it brings the tables up to date"),
        _ => failed(error),
    }
}

fn nothing() -> Failure {
    Failure::new(Kind::NotFound, "the database has no tenures").advise("chutes-miner subnets follow --database-url URL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::TenureStanding;

    #[test]
    fn a_time_is_the_last_block_made_by_then() {
        let times = BTreeMap::from([(100, 1_000_000), (400, 4_600_000), (700, 9_000_000)]);
        let at = |time| block_at(&times, time);
        assert_eq!([at(1_000_000), at(1_011_999), at(1_012_000), at(4_599_999), at(4_600_000)], [100, 100, 101, 399, 400].map(Some));
        // Between two blocks that were longer in coming than usual; after the last; before the first.
        assert_eq!([at(6_800_000), at(9_024_000), at(976_000), at(i64::MIN)], [550, 702, 98, 0].map(Some));
        assert_eq!(block_at(&BTreeMap::new(), 5), None);
        let of = |block| time_of(&times, block);
        assert_eq!([of(98), of(100), of(101), of(550), of(702)], [976_000, 1_000_000, 1_012_000, 6_800_000, 9_024_000].map(Some));
    }

    #[test]
    fn moments_are_blocks_days_and_times() {
        assert_eq!("123".parse(), Ok(Moment::Block(123)));
        let noon: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!("2026-01-31T13:00:00+01:00".parse(), Ok(Moment::Time(noon)));
        assert_eq!("2026-01-31".parse(), Ok(Moment::Time("2026-01-31T00:00:00Z".parse().unwrap())));
        assert!("yesterday".parse::<Moment>().is_err() && "-5".parse::<Moment>().is_err());
    }

    #[test]
    fn an_end_in_blocks_that_were_left_out_counts_as_what_is_known_of_it() {
        let life = |ended_at, replaced, last_seen| TenureLife {
            uid: 0,
            registered_at: 10,
            first_seen: 20,
            ended_at,
            replaced,
            last_seen,
            standing: TenureStanding { validator: false, owner: Some(true), emission_rao: None },
            burn_rao: None,
        };
        let gaps = [FollowGap { from: 101, to: 7_000 }, FollowGap { from: 10_001, to: 90_000 }];
        let told = |life: TenureLife| {
            let tenure = tenure(64, &life, 100_000, &gaps);
            assert!(tenure.owner);
            (tenure.until, tenure.ended, tenure.undated_end)
        };
        assert_eq!(told(life(None, false, None)), (100_000, false, false));
        assert_eq!(told(life(Some(50), true, None)), (50, true, false));
        // A trim: it was there in the block before.
        assert_eq!(told(life(Some(50), false, None)), (49, false, false));
        // Within a day its successor's registration is close enough; over more it may be the last of several.
        assert_eq!(told(life(Some(6_000), true, Some(100))), (6_000, true, false));
        assert_eq!(told(life(Some(80_000), true, Some(10_000))), (80_000, true, true));
        assert_eq!(told(life(Some(90_001), false, Some(10_000))), (10_000, false, false));
    }
}
