//! Signatures of served requests, so that none is served twice within its window.
//!
//! The table is unlogged: after a crash of Postgres it is empty, and a request of the last half minute could be replayed
//! once. Without Postgres nothing is fresh, and callers must not serve what changes anything.

use jiff::Timestamp;

use crate::rows::At;
use crate::{Error, Store};

/// Whether a signature was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Never, or so long ago that it had expired.
    Fresh,
    /// It was.
    Replay,
}

impl Store {
    /// Remembers a signature, by its hash (16 to 64 bytes), until it expires; of many at once exactly one is told it is fresh.
    pub async fn remember_nonce(&self, signature_hash: &[u8], expires_at: Timestamp) -> Result<Freshness, Error> {
        self.within(async {
            let done = sqlx::query(
                "INSERT INTO nonces AS known (signature_hash, expires_at) VALUES ($1, $2)
                 ON CONFLICT (signature_hash) DO UPDATE SET expires_at = excluded.expires_at
                 WHERE known.expires_at < clock_timestamp()",
            )
            .bind(signature_hash)
            .bind(At(expires_at))
            .execute(&self.pool)
            .await?;
            Ok(if done.rows_affected() == 1 { Freshness::Fresh } else { Freshness::Replay })
        })
        .await
    }

    /// Forgets what has expired; returns how many that were.
    pub async fn purge_nonces(&self) -> Result<u64, Error> {
        self.within(async {
            let done = sqlx::query("DELETE FROM nonces WHERE expires_at < clock_timestamp()").execute(&self.pool).await?;
            Ok(done.rows_affected())
        })
        .await
    }
}
