//! Taking a block in.

use std::collections::BTreeMap;

use protocol::ids::Ss58;
use sqlx::{Postgres, Row as _, Transaction};

use super::{ChainBlock, FollowKey, NewTenure, TenureChanges, TenureEnd, small};
use crate::{Error, Store};

impl Store {
    /// Takes in a block: moves from `after` (`None` for the first one) to `block`, with what changed, all or nothing.
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
            let follow = advance(&mut tx, key, after, block).await?;
            set_permits(&mut tx, follow, &changes.permits).await?;
            let lives = end(&mut tx, follow, &changes.ended).await?;
            begin(&mut tx, follow, block, &changes.begun, &lives).await?;
            keep_prices(&mut tx, follow, block, &changes.prices).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

type Tx = Transaction<'static, Postgres>;

/// Moves the position, and holds it until the end of the transaction.
async fn advance(tx: &mut Tx, key: FollowKey, after: Option<ChainBlock>, block: ChainBlock) -> Result<i64, Error> {
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
    if block.number != after.number + 1 {
        return Err(Error::Invalid(format!("block {} does not follow block {}", block.number, after.number)));
    }
    let moved = sqlx::query_scalar(
        "UPDATE chain_follows SET block = $3, hash = $4
         WHERE genesis = $1 AND coalesce(netuid, -1) = coalesce($2, -1) AND block = $5 AND hash = $6 RETURNING id",
    );
    let moved = moved.bind(key.genesis.as_slice()).bind(key.netuid.map(i32::from)).bind(signed(block.number)?).bind(block.hash.as_slice());
    moved.bind(signed(after.number)?).bind(after.hash.as_slice()).fetch_optional(&mut **tx).await?.ok_or_else(elsewhere)
}

async fn set_permits(tx: &mut Tx, follow: i64, permits: &[(u16, u16, bool)]) -> Result<(), Error> {
    let query = sqlx::query(
        "UPDATE chain_tenures AS tenure SET validator = now.validator
         FROM unnest($2::int[], $3::int[], $4::bool[]) AS now(netuid, uid, validator)
         WHERE follow = $1 AND ended_at IS NULL AND tenure.netuid = now.netuid AND tenure.uid = now.uid",
    );
    let of = |pick: fn(&(u16, u16, bool)) -> u16| permits.iter().map(|one| i32::from(pick(one))).collect::<Vec<_>>();
    let query = query.bind(follow).bind(of(|one| one.0)).bind(of(|one| one.1));
    query.bind(permits.iter().map(|one| one.2).collect::<Vec<_>>()).execute(&mut **tx).await?;
    Ok(())
}

/// Ends tenures; their lives by subnet and UID.
async fn end(tx: &mut Tx, follow: i64, ended: &[TenureEnd]) -> Result<BTreeMap<(u16, u16), i64>, Error> {
    let query = sqlx::query(
        "UPDATE chain_tenures AS tenure SET ended_at = greatest(now.at, from_block), how = now.how
         FROM unnest($2::int[], $3::int[], $4::bigint[], $5::text[]) AS now(netuid, uid, at, how)
         WHERE follow = $1 AND ended_at IS NULL AND tenure.netuid = now.netuid AND tenure.uid = now.uid
         RETURNING tenure.netuid, tenure.uid, life",
    );
    let of = |pick: fn(&TenureEnd) -> u16| ended.iter().map(|one| i32::from(pick(one))).collect::<Vec<_>>();
    let at = ended.iter().map(|one| signed(one.at)).collect::<Result<Vec<_>, _>>()?;
    let query = query.bind(follow).bind(of(|one| one.netuid)).bind(of(|one| one.uid)).bind(at);
    let rows = query.bind(ended.iter().map(|one| one.how).collect::<Vec<_>>()).fetch_all(&mut **tx).await?;
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
        "INSERT INTO chain_tenures (follow, life, netuid, uid, hotkey, coldkey, registered_at, from_block, ended_at, how, validator)
         SELECT $1, coalesce(life, nextval('chain_lives')), netuid, uid, hotkey, coldkey, registered_at, from_block,
                CASE WHEN passed THEN $2 END, CASE WHEN passed THEN 'replaced' END, validator
         FROM unnest($3::bigint[], $4::int[], $5::int[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bool[], $11::bool[])
              AS new(life, netuid, uid, hotkey, coldkey, registered_at, from_block, passed, validator)",
    );
    let of = |pick: fn(&NewTenure) -> u16| begun.iter().map(|one| i32::from(pick(one))).collect::<Vec<_>>();
    let blocks = |pick: fn(&NewTenure) -> u64| begun.iter().map(|one| signed(pick(one))).collect::<Result<Vec<_>, _>>();
    let query = query.bind(follow).bind(signed(block.number)?).bind(lives).bind(of(|one| one.tenure.netuid)).bind(of(|one| one.tenure.uid));
    let query = query.bind(begun.iter().map(|one| one.tenure.hotkey.as_str()).collect::<Vec<_>>());
    let query = query.bind(begun.iter().map(|one| one.tenure.coldkey.as_ref().map(Ss58::as_str)).collect::<Vec<_>>());
    let query = query.bind(blocks(|one| one.tenure.registered_at)?).bind(blocks(|one| one.from)?);
    let query = query.bind(begun.iter().map(|one| one.passed).collect::<Vec<_>>());
    query.bind(begun.iter().map(|one| one.tenure.validator).collect::<Vec<_>>()).execute(&mut **tx).await?;
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

fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Invalid(format!("block {number} is beyond what can be kept")))
}
