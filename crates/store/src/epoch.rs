//! The leader's epoch: a number that grows with every change of leader, and without which nothing is decided.

use std::fmt;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::rows::Columns as _;
use crate::{Error, Store};

/// One term of one leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub(crate) i64);

impl Epoch {
    /// The number, for labels and logs.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who leads, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Their term; 0 before the first leader.
    pub epoch: Epoch,
    /// The name they gave; empty before the first leader.
    pub holder: String,
    /// When they took it, by the database's clock.
    pub acquired_at: Timestamp,
}

impl Store {
    /// Begins a new term for `holder`. Every earlier epoch is refused from here on; transactions under it end first.
    pub async fn acquire_epoch(&self, holder: &str) -> Result<Epoch, Error> {
        self.within(async {
            let row =
                sqlx::query("UPDATE leader_epoch SET epoch = epoch + 1, holder = $1, acquired_at = clock_timestamp() RETURNING epoch")
                    .bind(holder)
                    .fetch_one(&self.pool)
                    .await?;
            Ok(Epoch(row.try_get("epoch")?))
        })
        .await
    }

    /// Who leads now.
    pub async fn leader(&self) -> Result<Leader, Error> {
        self.within(async {
            let row = sqlx::query("SELECT epoch, holder, acquired_at FROM leader_epoch").fetch_one(&self.pool).await?;
            Ok(Leader { epoch: Epoch(row.try_get("epoch")?), holder: row.try_get("holder")?, acquired_at: row.at("acquired_at")? })
        })
        .await
    }

    /// Whether `epoch` still is the leader's; [`Error::Superseded`] where it is not. A later write is checked again.
    pub async fn check_epoch(&self, epoch: Epoch) -> Result<(), Error> {
        self.within(async { self.begin_as(epoch).await?.rollback().await.map_err(Error::from) }).await
    }
}

/// Locks the epoch against change until the end of the transaction, or refuses it.
///
/// Any other number is refused, not just a higher one: after a restore from a backup the database may know less than a
/// leader from before, who then has to begin a new term.
pub(crate) async fn hold(connection: &mut PgConnection, mine: Epoch) -> Result<(), Error> {
    let row = sqlx::query("SELECT epoch FROM leader_epoch FOR SHARE").fetch_one(connection).await?;
    let current = Epoch(row.try_get("epoch")?);
    if current == mine { Ok(()) } else { Err(Error::Superseded { mine, current }) }
}
