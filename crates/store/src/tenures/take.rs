//! Taking a block in.

use std::collections::BTreeMap;

use protocol::ids::Ss58;
use sqlx::{Postgres, Row as _, Transaction};

use super::{ChainBlock, FollowGap, FollowKey, NewTenure, PruneRules, TenureChanges, TenureEnd, TenureStanding, small};
use crate::{Error, Store};

impl Store {
    /// Takes in a block: moves from `after` (`None` for the first one) to `block`, with what changed, all or nothing. It is the next block,
    /// or all in between are said to be left out.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the position is another than `after`: somebody else follows, too, or the block was taken in before.
    /// [`Error::NotFound`] where a tenure is to end or go on that does not run.
    pub async fn take_block(
        &self,
        key: FollowKey,
        after: Option<ChainBlock>,
        block: ChainBlock,
        changes: &TenureChanges,
    ) -> Result<(), Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            let follow = advance(&mut tx, key, after, block, changes.left_out).await?;
            set_standings(&mut tx, follow, &changes.standings).await?;
            let lives = end(&mut tx, follow, &changes.ended).await?;
            begin(&mut tx, follow, block, &changes.begun, &lives).await?;
            keep_prices(&mut tx, follow, block, &changes.prices).await?;
            keep_rules(&mut tx, follow, block, &changes.looks).await?;
            if let Some(at_ms) = changes.time_ms {
                let query = sqlx::query("INSERT INTO chain_times (follow, block, at_ms) VALUES ($1, $2, $3)");
                query.bind(follow).bind(signed(block.number)?).bind(at_ms).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

type Tx = Transaction<'static, Postgres>;

/// Moves the position, and holds it until the end of the transaction.
async fn advance(
    tx: &mut Tx,
    key: FollowKey,
    after: Option<ChainBlock>,
    block: ChainBlock,
    left_out: Option<FollowGap>,
) -> Result<i64, Error> {
    let elsewhere =
        || Error::AlreadyExists(format!("block {} was taken in already, or another program follows the same subnets", block.number));
    let Some(after) = after else {
        let begun = sqlx::query_scalar(
            "INSERT INTO chain_follows (genesis, netuid, first_block, block, hash) VALUES ($1, $2, $3, $3, $4)
             ON CONFLICT DO NOTHING RETURNING id",
        );
        let begun =
            begun.bind(key.genesis.as_slice()).bind(key.netuid.map(i32::from)).bind(signed(block.number)?).bind(block.hash.as_slice());
        return begun.fetch_optional(&mut **tx).await?.ok_or_else(elsewhere);
    };
    let next = after.number.saturating_add(1);
    if left_out.map_or(next, |gap| gap.to.saturating_add(1)) != block.number
        || left_out.is_some_and(|gap| gap.from != next || gap.to < next)
    {
        return Err(Error::Invalid(format!("block {} does not follow block {}", block.number, after.number)));
    }
    let moved = sqlx::query_scalar(
        "UPDATE chain_follows SET block = $3, hash = $4
         WHERE genesis = $1 AND coalesce(netuid, -1) = coalesce($2, -1) AND block = $5 AND hash = $6 RETURNING id",
    );
    let moved = moved.bind(key.genesis.as_slice()).bind(key.netuid.map(i32::from)).bind(signed(block.number)?).bind(block.hash.as_slice());
    let follow = moved.bind(signed(after.number)?).bind(after.hash.as_slice()).fetch_optional(&mut **tx).await?.ok_or_else(elsewhere)?;
    if let Some(gap) = left_out {
        let query = sqlx::query("INSERT INTO chain_gaps (follow, from_block, to_block) VALUES ($1, $2, $3)");
        query.bind(follow).bind(signed(gap.from)?).bind(signed(gap.to)?).execute(&mut **tx).await?;
    }
    Ok(follow)
}

async fn set_standings(tx: &mut Tx, follow: i64, standings: &[(u16, u16, TenureStanding)]) -> Result<(), Error> {
    let query = sqlx::query(
        "UPDATE chain_tenures AS tenure SET validator = now.validator, owner = now.owner, emission_rao = now.emission::numeric
         FROM unnest($2::int[], $3::int[], $4::bool[], $5::bool[], $6::text[]) AS now(netuid, uid, validator, owner, emission)
         WHERE follow = $1 AND ended_at IS NULL AND tenure.netuid = now.netuid AND tenure.uid = now.uid",
    );
    let of = |pick: fn(&(u16, u16, TenureStanding)) -> u16| standings.iter().map(|one| i32::from(pick(one))).collect::<Vec<_>>();
    let query = query.bind(follow).bind(of(|one| one.0)).bind(of(|one| one.1));
    let query = query.bind(standings.iter().map(|one| one.2.validator).collect::<Vec<_>>());
    let query = query.bind(standings.iter().map(|one| one.2.owner).collect::<Vec<_>>());
    query.bind(standings.iter().map(|one| text(one.2.emission_rao)).collect::<Vec<_>>()).execute(&mut **tx).await?;
    Ok(())
}

/// Ends tenures; their lives by subnet and UID.
async fn end(tx: &mut Tx, follow: i64, ended: &[TenureEnd]) -> Result<BTreeMap<(u16, u16), i64>, Error> {
    let query = sqlx::query(
        "UPDATE chain_tenures AS tenure SET ended_at = greatest(now.at, from_block), how = now.how, last_seen = now.last_seen,
                validator = now.validator, owner = now.owner, emission_rao = now.emission::numeric, immunity_period = now.immunity
         FROM unnest($2::int[], $3::int[], $4::bigint[], $5::text[], $6::bigint[], $7::bool[], $8::bool[], $9::text[], $10::int[])
              AS now(netuid, uid, at, how, last_seen, validator, owner, emission, immunity)
         WHERE follow = $1 AND ended_at IS NULL AND tenure.netuid = now.netuid AND tenure.uid = now.uid
         RETURNING tenure.netuid, tenure.uid, life",
    );
    let of = |pick: fn(&TenureEnd) -> u16| ended.iter().map(|one| i32::from(pick(one))).collect::<Vec<_>>();
    let at = ended.iter().map(|one| signed(one.at)).collect::<Result<Vec<_>, _>>()?;
    let query = query.bind(follow).bind(of(|one| one.netuid)).bind(of(|one| one.uid)).bind(at);
    let last_seen = ended.iter().map(|one| one.last_seen.map(signed).transpose()).collect::<Result<Vec<_>, _>>()?;
    let query = query.bind(ended.iter().map(|one| one.how).collect::<Vec<_>>()).bind(last_seen);
    let query = query.bind(ended.iter().map(|one| one.standing.validator).collect::<Vec<_>>());
    let query = query.bind(ended.iter().map(|one| one.standing.owner).collect::<Vec<_>>());
    let query = query.bind(ended.iter().map(|one| text(one.standing.emission_rao)).collect::<Vec<_>>());
    let immunity = ended.iter().map(|one| one.immunity_period.map(i32::from)).collect::<Vec<_>>();
    let rows = query.bind(immunity).fetch_all(&mut **tx).await?;
    if rows.len() != ended.len() {
        return Err(Error::NotFound(format!("{} of {} tenures that are to end", ended.len().abs_diff(rows.len()), ended.len())));
    }
    rows.iter().map(|row| Ok(((small(row, "netuid")?, small(row, "uid")?), row.try_get("life")?))).collect()
}

async fn begin(tx: &mut Tx, follow: i64, block: ChainBlock, begun: &[NewTenure], lives: &BTreeMap<(u16, u16), i64>) -> Result<(), Error> {
    let life = |new: &NewTenure| match new.continues {
        None => Ok(None),
        Some(uid) => {
            let missing = || Error::NotFound(format!("a tenure on UID {uid} of subnet {} that ends here", new.tenure.netuid));
            lives.get(&(new.tenure.netuid, uid)).copied().map(Some).ok_or_else(missing)
        }
    };
    let lives = begun.iter().map(life).collect::<Result<Vec<Option<i64>>, _>>()?;
    let query = sqlx::query(
        "INSERT INTO chain_tenures (follow, life, netuid, uid, hotkey, coldkey, registered_at, from_block, ended_at, how, validator,
                owner, emission_rao, burn_rao)
         SELECT $1, coalesce(life, nextval('chain_lives')), netuid, uid, hotkey, coldkey, registered_at, from_block,
                CASE WHEN passed THEN $2 END, CASE WHEN passed THEN 'replaced' END, validator, owner, emission::numeric, burn::numeric
         FROM unnest($3::bigint[], $4::int[], $5::int[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bool[], $11::bool[],
                     $12::bool[], $13::text[], $14::text[])
              AS new(life, netuid, uid, hotkey, coldkey, registered_at, from_block, passed, validator, owner, emission, burn)",
    );
    let of = |pick: fn(&NewTenure) -> u16| begun.iter().map(|one| i32::from(pick(one))).collect::<Vec<_>>();
    let blocks = |pick: fn(&NewTenure) -> u64| begun.iter().map(|one| signed(pick(one))).collect::<Result<Vec<_>, _>>();
    let query = query.bind(follow).bind(signed(block.number)?).bind(lives).bind(of(|one| one.tenure.netuid)).bind(of(|one| one.tenure.uid));
    let query = query.bind(begun.iter().map(|one| one.tenure.hotkey.as_str()).collect::<Vec<_>>());
    let query = query.bind(begun.iter().map(|one| one.tenure.coldkey.as_ref().map(Ss58::as_str)).collect::<Vec<_>>());
    let query = query.bind(blocks(|one| one.tenure.registered_at)?).bind(blocks(|one| one.from)?);
    let query = query.bind(begun.iter().map(|one| one.passed).collect::<Vec<_>>());
    let query = query.bind(begun.iter().map(|one| one.tenure.standing.validator).collect::<Vec<_>>());
    let query = query.bind(begun.iter().map(|one| one.tenure.standing.owner).collect::<Vec<_>>());
    let query = query.bind(begun.iter().map(|one| text(one.tenure.standing.emission_rao)).collect::<Vec<_>>());
    query.bind(begun.iter().map(|one| text(one.burn_rao)).collect::<Vec<_>>()).execute(&mut **tx).await?;
    Ok(())
}

async fn keep_prices(tx: &mut Tx, follow: i64, block: ChainBlock, prices: &[(u16, u64)]) -> Result<(), Error> {
    let query = sqlx::query(
        "INSERT INTO chain_prices (follow, netuid, block, burn_rao)
         SELECT $1, netuid, $2, burn::numeric FROM unnest($3::int[], $4::text[]) AS new(netuid, burn)",
    );
    let query = query.bind(follow).bind(signed(block.number)?).bind(prices.iter().map(|one| i32::from(one.0)).collect::<Vec<_>>());
    query.bind(prices.iter().map(|one| one.1.to_string()).collect::<Vec<_>>()).execute(&mut **tx).await?;
    Ok(())
}

async fn keep_rules(tx: &mut Tx, follow: i64, block: ChainBlock, looks: &[(u16, Option<PruneRules>)]) -> Result<(), Error> {
    let gone: Vec<i32> = looks.iter().filter(|(_, rules)| rules.is_none()).map(|(netuid, _)| i32::from(*netuid)).collect();
    let query = sqlx::query("DELETE FROM chain_subnets WHERE follow = $1 AND netuid = ANY($2)");
    query.bind(follow).bind(gone).execute(&mut **tx).await?;
    let there: Vec<(u16, PruneRules)> = looks.iter().filter_map(|(netuid, rules)| Some((*netuid, (*rules)?))).collect();
    let query = sqlx::query(
        "INSERT INTO chain_subnets (follow, netuid, looked_at, immunity_period, min_non_immune_uids, max_uids, min_burn_rao,
                max_burn_rao, burn_half_life, burn_increase_ppb)
         SELECT $1, netuid, $2, immunity, non_immune, uids, least::numeric, most::numeric, half_life, increase::numeric
         FROM unnest($3::int[], $4::int[], $5::int[], $6::int[], $7::text[], $8::text[], $9::int[], $10::text[])
              AS now(netuid, immunity, non_immune, uids, least, most, half_life, increase)
         ON CONFLICT (follow, netuid) DO UPDATE SET looked_at = excluded.looked_at, immunity_period = excluded.immunity_period,
                min_non_immune_uids = excluded.min_non_immune_uids, max_uids = excluded.max_uids,
                min_burn_rao = excluded.min_burn_rao, max_burn_rao = excluded.max_burn_rao, burn_half_life = excluded.burn_half_life,
                burn_increase_ppb = excluded.burn_increase_ppb",
    );
    let of = |pick: fn(&PruneRules) -> Option<u16>| there.iter().map(|(_, rules)| pick(rules).map(i32::from)).collect::<Vec<_>>();
    let query = query.bind(follow).bind(signed(block.number)?).bind(there.iter().map(|one| i32::from(one.0)).collect::<Vec<_>>());
    let query = query.bind(of(|rules| rules.immunity_period)).bind(of(|rules| rules.min_non_immune_uids));
    let amounts = |pick: fn(&PruneRules) -> Option<u64>| there.iter().map(|(_, rules)| text(pick(rules))).collect::<Vec<_>>();
    let query = query.bind(of(|rules| rules.max_uids)).bind(amounts(|rules| rules.min_burn_rao)).bind(amounts(|rules| rules.max_burn_rao));
    let query = query.bind(of(|rules| rules.burn_half_life));
    query.bind(amounts(|rules| rules.burn_increase_ppb)).execute(&mut **tx).await?;
    Ok(())
}

/// An amount as Postgres takes it into a `numeric`.
fn text(rao: Option<u64>) -> Option<String> {
    rao.map(|rao| rao.to_string())
}

fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Invalid(format!("block {number} is beyond what can be kept")))
}
