//! Who sat on which UID of the chain's subnets, block by block.
//!
//! A block's changes and the block as the new position are one transaction, and only the position before it can be left: whoever writes
//! twice, or leaves a block out, is refused. Knows nothing of the chain; its callers read it.

mod take;

use std::collections::BTreeMap;

use protocol::ids::Ss58;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::rows::Columns as _;
use crate::{Error, Store};

/// A chain, and which of its subnets are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowKey {
    /// Hash of the chain's first block.
    pub genesis: [u8; 32],
    /// Only this subnet, or all.
    pub netuid: Option<u16>,
}

/// A block of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainBlock {
    /// How many came before it.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// How far a chain was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// Its number here.
    pub id: i64,
    /// What is followed.
    pub key: FollowKey,
    /// The first block that was taken in.
    pub first_block: u64,
    /// The last one.
    pub block: ChainBlock,
}

/// A tenure that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTenure {
    /// Which subnet.
    pub netuid: u16,
    /// Which UID.
    pub uid: u16,
    /// Who sits there.
    pub hotkey: Ss58,
    /// Its owner.
    pub coldkey: Option<Ss58>,
    /// Block of registration.
    pub registered_at: u64,
    /// How it stands.
    pub standing: TenureStanding,
}

/// How a UID stood when it was last looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenureStanding {
    /// Whether it may set weights.
    pub validator: bool,
    /// Whether it is one of the subnet owner's that are never pruned; `None` where that is not known.
    pub owner: Option<bool>,
    /// Alpha of the last epoch, in rao; `None` where it is not known.
    pub emission_rao: Option<u64>,
}

/// A tenure that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenure {
    /// Who sits where.
    pub tenure: RunningTenure,
    /// The first block that shows it.
    pub from: u64,
    /// The UID of the subnet whose tenure ends with this block and goes on in this one.
    pub continues: Option<u16>,
    /// Replaced within the block in which it began.
    pub passed: bool,
    /// What a registration cost in the block before, in rao; `None` where that is not known.
    pub burn_rao: Option<u64>,
}

/// A tenure that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenureEnd {
    /// Which subnet.
    pub netuid: u16,
    /// Which UID.
    pub uid: u16,
    /// In which block.
    pub at: u64,
    /// How: one of the words that the table takes.
    pub how: &'static str,
    /// The last block that shows it, where the blocks after were left out.
    pub last_seen: Option<u64>,
    /// How it stood in the block before.
    pub standing: TenureStanding,
    /// Blocks of immunity then; `None` where that is not known.
    pub immunity_period: Option<u16>,
}

/// What a subnet prunes by, and how its price moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneRules {
    /// Blocks for which a new UID is immune.
    pub immunity_period: Option<u16>,
    /// Non-immune UIDs that stay.
    pub min_non_immune_uids: Option<u16>,
    /// UIDs there may be.
    pub max_uids: Option<u16>,
    /// The least that a registration costs, in rao.
    pub min_burn_rao: Option<u64>,
    /// The most, in rao.
    pub max_burn_rao: Option<u64>,
    /// Blocks in which the price halves.
    pub burn_half_life: Option<u16>,
    /// What a registration multiplies it by, in billionths.
    pub burn_increase_ppb: Option<u64>,
}

/// Blocks that were left out: the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowGap {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What a block changed.
#[derive(Debug, Clone, Default)]
pub struct TenureChanges {
    /// Tenures that end; before any begins.
    pub ended: Vec<TenureEnd>,
    /// Tenures that begin.
    pub begun: Vec<NewTenure>,
    /// Running tenures that stand otherwise from now on: subnet, UID, how.
    pub standings: Vec<(u16, u16, TenureStanding)>,
    /// Subnets that were looked at, and what they prune by; `None` for one that is no more.
    pub looks: Vec<(u16, Option<PruneRules>)>,
    /// What a registration costs now, in rao, by subnet.
    pub prices: Vec<(u16, u64)>,
    /// The blocks since the position, if they were left out.
    pub left_out: Option<FollowGap>,
    /// When the block was made, in milliseconds since 1970; not of every block.
    pub time_ms: Option<i64>,
}

/// A life on a subnet: one tenure, or several that go on with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenureLife {
    /// The UID, at last.
    pub uid: u16,
    /// Block of registration.
    pub registered_at: u64,
    /// The first block that shows it.
    pub first_seen: u64,
    /// When its place was lost; `None` while it runs.
    pub ended_at: Option<u64>,
    /// Whether it was lost to a newcomer.
    pub replaced: bool,
    /// The last block that shows it, where its end fell into blocks that were left out: `ended_at` is the latest that it can have been.
    pub last_seen: Option<u64>,
    /// How it stood when it was last looked at; of one that ended, in the block before.
    pub standing: TenureStanding,
    /// What a registration cost in the block before it was registered, in rao, where that was seen.
    pub burn_rao: Option<u64>,
}

/// A tenure as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTenure {
    /// Who, where, and how it stood when it was last looked at.
    pub tenure: RunningTenure,
    /// The first block that shows it.
    pub from: u64,
    /// When it ended, how, and the last block that shows it where that is not the one before.
    pub end: Option<(u64, String, Option<u64>)>,
}

/// The block from which on a netuid is that of the subnet that has it now, or had it last; 0 where none had it before.
macro_rules! generation {
    () => {
        "(SELECT coalesce(max(ended_at), 0) FROM chain_tenures WHERE follow = $1 AND netuid = $2 AND how = 'network_removed'
             AND ended_at <= (SELECT max(from_block) FROM chain_tenures WHERE follow = $1 AND netuid = $2))"
    };
}

impl Store {
    /// What chains are followed, and how far.
    pub async fn follows(&self) -> Result<Vec<Follow>, Error> {
        self.within(async {
            let rows = sqlx::query("SELECT * FROM chain_follows ORDER BY id").fetch_all(&self.pool).await?;
            rows.iter().map(follow).collect()
        })
        .await
    }

    /// How far a chain was followed, with all tenures that run and the last price of each subnet, in rao.
    pub async fn followed(&self, key: FollowKey) -> Result<Option<(Follow, Vec<RunningTenure>, BTreeMap<u16, u64>)>, Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            // All three of one moment.
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *tx).await?;
            let row = sqlx::query("SELECT * FROM chain_follows WHERE genesis = $1 AND coalesce(netuid, -1) = coalesce($2, -1)")
                .bind(key.genesis.as_slice())
                .bind(key.netuid.map(i32::from))
                .fetch_optional(&mut *tx)
                .await?;
            let Some(found) = row.as_ref().map(follow).transpose()? else { return Ok(None) };
            let rows = sqlx::query("SELECT *, emission_rao::text AS emission FROM chain_tenures WHERE follow = $1 AND ended_at IS NULL").bind(found.id).fetch_all(&mut *tx);
            let running = rows.await?.iter().map(running).collect::<Result<Vec<_>, _>>()?;
            let prices = sqlx::query(
                "SELECT DISTINCT ON (netuid) netuid, burn_rao::text AS burn FROM chain_prices WHERE follow = $1 ORDER BY netuid, block DESC",
            );
            let prices = prices.bind(found.id).fetch_all(&mut *tx).await?;
            let prices = prices.iter().map(|row| Ok((small(row, "netuid")?, amount(row, "burn")?))).collect::<Result<_, Error>>()?;
            Ok(Some((found, running, prices)))
        })
        .await
    }

    /// The lives that were seen on a subnet, in the order in which they came. There is one for each registration that was seen. Of a netuid
    /// that was given to another subnet, they are those of the last one.
    pub async fn lives(&self, follow: &Follow, netuid: u16) -> Result<Vec<TenureLife>, Error> {
        self.within(async {
            let rows = sqlx::query(concat!(
                "SELECT min(registered_at) AS registered_at, min(from_block) AS first_seen,
                        (array_agg(uid ORDER BY id DESC))[1] AS uid, (array_agg(ended_at ORDER BY id DESC))[1] AS ended_at,
                        (array_agg(how ORDER BY id DESC))[1] AS how, (array_agg(last_seen ORDER BY id DESC))[1] AS last_seen,
                        (array_agg(validator ORDER BY id DESC))[1] AS validator, (array_agg(owner ORDER BY id DESC))[1] AS owner,
                        (array_agg(emission_rao::text ORDER BY id DESC))[1] AS emission, (array_agg(burn_rao::text ORDER BY id))[1] AS burn
                 FROM chain_tenures WHERE follow = $1 AND netuid = $2 AND from_block >= ",
                generation!(),
                " GROUP BY life ORDER BY life",
            ));
            let rows = rows.bind(follow.id).bind(i32::from(netuid)).fetch_all(&self.pool).await?;
            let life = |row: &PgRow| {
                Ok(TenureLife {
                    uid: small(row, "uid")?,
                    registered_at: number(row, "registered_at")?,
                    first_seen: number(row, "first_seen")?,
                    ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(unsigned).transpose()?,
                    replaced: row.try_get::<Option<&str>, _>("how")? == Some("replaced"),
                    last_seen: row.try_get::<Option<i64>, _>("last_seen")?.map(unsigned).transpose()?,
                    standing: standing(row)?,
                    burn_rao: maybe_amount(row, "burn")?,
                })
            };
            rows.iter().map(life).collect()
        })
        .await
    }

    /// All tenures of a netuid, in the order in which they began, also those on subnets that had it before.
    pub async fn tenures(&self, follow: &Follow, netuid: u16) -> Result<Vec<KeptTenure>, Error> {
        self.within(async {
            let query = "SELECT *, emission_rao::text AS emission FROM chain_tenures WHERE follow = $1 AND netuid = $2 ORDER BY id";
            let rows = sqlx::query(query).bind(follow.id).bind(i32::from(netuid)).fetch_all(&self.pool).await?;
            let kept = |row: &PgRow| {
                let last_seen = row.try_get::<Option<i64>, _>("last_seen")?.map(unsigned).transpose()?;
                let end = match (row.try_get::<Option<i64>, _>("ended_at")?, row.try_get::<Option<String>, _>("how")?) {
                    (Some(at), Some(how)) => Some((unsigned(at)?, how, last_seen)),
                    _ => None,
                };
                Ok(KeptTenure { tenure: running(row)?, from: number(row, "from_block")?, end })
            };
            rows.iter().map(kept).collect()
        })
        .await
    }

    /// What a subnet prunes by, and the block in which it was looked at; `None` if it is no more, or was not looked at since that is kept.
    pub async fn prune_rules(&self, follow: &Follow, netuid: u16) -> Result<Option<(u64, PruneRules)>, Error> {
        self.within(async {
            let query = sqlx::query(
                "SELECT *, min_burn_rao::text AS least, max_burn_rao::text AS most, burn_increase_ppb::text AS increase
                 FROM chain_subnets WHERE follow = $1 AND netuid = $2",
            );
            let query = query.bind(follow.id).bind(i32::from(netuid));
            let Some(row) = query.fetch_optional(&self.pool).await? else { return Ok(None) };
            let of = |column: &str| row.try_get::<Option<i32>, _>(column)?.map(|_| small(&row, column)).transpose();
            let rules = PruneRules {
                immunity_period: of("immunity_period")?,
                min_non_immune_uids: of("min_non_immune_uids")?,
                max_uids: of("max_uids")?,
                min_burn_rao: maybe_amount(&row, "least")?,
                max_burn_rao: maybe_amount(&row, "most")?,
                burn_half_life: of("burn_half_life")?,
                burn_increase_ppb: maybe_amount(&row, "increase")?,
            };
            Ok(Some((number(&row, "looked_at")?, rules)))
        })
        .await
    }

    /// Blocks that were left out, in order.
    pub async fn follow_gaps(&self, follow: &Follow) -> Result<Vec<FollowGap>, Error> {
        self.within(async {
            let query = sqlx::query("SELECT from_block, to_block FROM chain_gaps WHERE follow = $1 ORDER BY from_block").bind(follow.id);
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(|row| Ok(FollowGap { from: number(row, "from_block")?, to: number(row, "to_block")? })).collect()
        })
        .await
    }

    /// When blocks were made, in milliseconds since 1970, as far as that was kept.
    pub async fn block_times(&self, follow: &Follow) -> Result<BTreeMap<u64, i64>, Error> {
        self.within(async {
            let query = sqlx::query("SELECT block, at_ms FROM chain_times WHERE follow = $1").bind(follow.id);
            query.fetch_all(&self.pool).await?.iter().map(|row| Ok((number(row, "block")?, row.try_get("at_ms")?))).collect()
        })
        .await
    }

    /// The subnets of which tenures were seen.
    pub async fn followed_subnets(&self, follow: &Follow) -> Result<Vec<u16>, Error> {
        self.within(async {
            let rows = sqlx::query("SELECT DISTINCT netuid FROM chain_tenures WHERE follow = $1 ORDER BY netuid").bind(follow.id);
            rows.fetch_all(&self.pool).await?.iter().map(|row| small(row, "netuid")).collect()
        })
        .await
    }

    /// What a registration on a subnet cost, in rao, from which block on. Of a netuid that was given to another subnet, only what that one
    /// cost.
    pub async fn registration_prices(&self, follow: &Follow, netuid: u16) -> Result<Vec<(u64, u64)>, Error> {
        self.within(async {
            let rows = sqlx::query(concat!(
                "SELECT block, burn_rao::text AS burn FROM chain_prices WHERE follow = $1 AND netuid = $2 AND block >= ",
                generation!(),
                " ORDER BY block",
            ));
            let rows = rows.bind(follow.id).bind(i32::from(netuid)).fetch_all(&self.pool).await?;
            rows.iter().map(|row| Ok((number(row, "block")?, amount(row, "burn")?))).collect()
        })
        .await
    }
}

fn follow(row: &PgRow) -> Result<Follow, Error> {
    let hash = |column: &str| {
        let bytes: &[u8] = row.try_get(column)?;
        bytes.try_into().map_err(|_| Error::Corrupt(format!("{column} is no hash")))
    };
    let netuid = row.try_get::<Option<i32>, _>("netuid")?.map(|_| small(row, "netuid")).transpose()?;
    Ok(Follow {
        id: row.try_get("id")?,
        key: FollowKey { genesis: hash("genesis")?, netuid },
        first_block: number(row, "first_block")?,
        block: ChainBlock { number: number(row, "block")?, hash: hash("hash")? },
    })
}

fn running(row: &PgRow) -> Result<RunningTenure, Error> {
    Ok(RunningTenure {
        netuid: small(row, "netuid")?,
        uid: small(row, "uid")?,
        hotkey: row.id("hotkey")?,
        coldkey: row.maybe_id("coldkey")?,
        registered_at: number(row, "registered_at")?,
        standing: standing(row)?,
    })
}

fn standing(row: &PgRow) -> Result<TenureStanding, Error> {
    let (validator, owner) = (row.try_get("validator")?, row.try_get("owner")?);
    Ok(TenureStanding { validator, owner, emission_rao: maybe_amount(row, "emission")? })
}

fn small(row: &PgRow, column: &str) -> Result<u16, Error> {
    u16::try_from(row.try_get::<i32, _>(column)?).map_err(|_| Error::Corrupt(format!("{column} is beyond 16 bits")))
}

fn number(row: &PgRow, column: &str) -> Result<u64, Error> {
    unsigned(row.try_get(column)?)
}

fn unsigned(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Corrupt("a block's number is negative".to_owned()))
}

/// An amount of rao: up to 64 bits, which no integer of Postgres holds.
fn amount(row: &PgRow, column: &str) -> Result<u64, Error> {
    parsed(row.try_get::<&str, _>(column)?)
}

fn maybe_amount(row: &PgRow, column: &str) -> Result<Option<u64>, Error> {
    row.try_get::<Option<&str>, _>(column)?.map(parsed).transpose()
}

fn parsed(rao: &str) -> Result<u64, Error> {
    rao.parse().map_err(|_| Error::Corrupt("an amount is beyond 64 bits".to_owned()))
}
