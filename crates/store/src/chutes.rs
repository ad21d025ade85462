//! The chutes that validators listed, and what they listed about them.

use protocol::ids::{ChuteId, ChuteVersion, Ss58};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};

use crate::rows::Columns as _;
use crate::{Error, Store};

/// A version of a chute as a validator listed it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedChute {
    /// Which chute.
    pub chute_id: ChuteId,
    /// Which version.
    pub version: ChuteVersion,
    /// Who listed it.
    pub validator: Ss58,
    /// What its owner calls it.
    pub name: String,
    /// The validator's row.
    pub listed: serde_json::Value,
}

impl<'row> FromRow<'row, PgRow> for ListedChute {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            chute_id: row.id("chute_id")?,
            version: row.id("version")?,
            validator: row.id("validator")?,
            name: row.try_get("name")?,
            listed: row.try_get::<Json<_>, _>("listed")?.0,
        })
    }
}

impl Store {
    /// Writes what a validator lists; a removed chute is back. Returns whether anything was new. Leave out of `listed` what
    /// changes every minute: each change is kept for ever.
    pub async fn see_chute(&self, seen: &ListedChute) -> Result<bool, Error> {
        self.within(async {
            let done = sqlx::query(
                "INSERT INTO chutes AS known (chute_id, version, validator, name, listed) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (chute_id, version) DO UPDATE SET validator = excluded.validator, name = excluded.name,
                     listed = excluded.listed, removed_at = NULL
                 WHERE (known.validator, known.name, known.listed, known.removed_at)
                       IS DISTINCT FROM (excluded.validator, excluded.name, excluded.listed, NULL)",
            )
            .bind(seen.chute_id.as_str())
            .bind(seen.version.as_str())
            .bind(seen.validator.as_str())
            .bind(&seen.name)
            .bind(Json(&seen.listed))
            .execute(&self.pool)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// Notes that a validator lists a version no more; returns false where that was known.
    pub async fn retire_chute(&self, chute: &ChuteId, version: &ChuteVersion) -> Result<bool, Error> {
        self.within(async {
            let done =
                sqlx::query("UPDATE chutes SET removed_at = clock_timestamp() WHERE chute_id = $1 AND version = $2 AND removed_at IS NULL")
                    .bind(chute.as_str())
                    .bind(version.as_str())
                    .execute(&self.pool)
                    .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// The chutes listed now.
    pub async fn chutes(&self) -> Result<Vec<ListedChute>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM chutes WHERE removed_at IS NULL ORDER BY chute_id, version");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }
}
