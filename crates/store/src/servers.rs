//! Servers and GPUs, as they are and as they were. Every change is kept as history by the database itself.

use jiff::Timestamp;
use protocol::ids::{GpuRef, GpuUuid, ServerId, ServerName, Ss58};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::rows::Columns as _;
use crate::{Error, Store};

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its name.
    pub name: ServerName,
    /// Its node's UID, once a node was seen.
    pub server_id: Option<ServerId>,
    /// Whose it is.
    pub validator: Ss58,
    /// Its model of GPU.
    pub gpu_ref: GpuRef,
    /// How many GPUs it should have.
    pub gpu_count: u32,
    /// Where it answers.
    pub address: Option<String>,
}

/// A server in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownServer {
    /// What is known of it.
    pub facts: ServerFacts,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

impl<'row> FromRow<'row, PgRow> for KnownServer {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            facts: ServerFacts {
                name: row.id("name")?,
                server_id: row.maybe_id("server_id")?,
                validator: row.id("validator")?,
                gpu_ref: row.id("gpu_ref")?,
                gpu_count: row.try_get::<i32, _>("gpu_count")?.unsigned_abs(),
                address: row.try_get("address")?,
            },
            first_seen: row.at("first_seen")?,
            removed_at: row.maybe_at("removed_at")?,
        })
    }
}

/// What is known of a GPU in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuFacts {
    /// Which.
    pub uuid: GpuUuid,
    /// What the driver calls it.
    pub model: String,
}

/// A GPU in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGpu {
    /// What is known of it.
    pub facts: GpuFacts,
    /// Where it was seen last.
    pub server: ServerName,
    /// When it was first seen anywhere.
    pub first_seen: Timestamp,
    /// Since when it is there.
    pub placed_at: Timestamp,
    /// When it was taken out.
    pub removed_at: Option<Timestamp>,
}

impl<'row> FromRow<'row, PgRow> for KnownGpu {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            facts: GpuFacts { uuid: row.id("uuid")?, model: row.try_get("model")? },
            server: row.id("server")?,
            first_seen: row.at("first_seen")?,
            placed_at: row.at("placed_at")?,
            removed_at: row.maybe_at("removed_at")?,
        })
    }
}

impl Store {
    /// Writes what is known of a server; a removed one is back. Returns whether anything was new.
    pub async fn see_server(&self, seen: &ServerFacts) -> Result<bool, Error> {
        let gpu_count = i32::try_from(seen.gpu_count).map_err(|_| Error::Invalid("more GPUs than can be counted".to_owned()))?;
        self.within(async {
            // What is not known now is not forgotten.
            let done = sqlx::query(
                "INSERT INTO servers AS known (name, server_id, validator, gpu_ref, gpu_count, address) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (name) DO UPDATE SET
                     server_id = coalesce(excluded.server_id, known.server_id), validator = excluded.validator,
                     gpu_ref = excluded.gpu_ref, gpu_count = excluded.gpu_count,
                     address = coalesce(excluded.address, known.address), removed_at = NULL
                 WHERE (known.server_id, known.validator, known.gpu_ref, known.gpu_count, known.address, known.removed_at)
                       IS DISTINCT FROM (coalesce(excluded.server_id, known.server_id), excluded.validator, excluded.gpu_ref,
                                         excluded.gpu_count, coalesce(excluded.address, known.address), NULL)",
            )
            .bind(seen.name.as_str())
            .bind(seen.server_id.as_ref().map(ServerId::as_str))
            .bind(seen.validator.as_str())
            .bind(seen.gpu_ref.as_str())
            .bind(gpu_count)
            .bind(seen.address.as_deref())
            .execute(&self.pool)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// Notes that a server was removed, and its GPUs with it; returns false where it was not there.
    pub async fn remove_server(&self, name: &ServerName) -> Result<bool, Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            let done = sqlx::query("UPDATE servers SET removed_at = clock_timestamp() WHERE name = $1 AND removed_at IS NULL")
                .bind(name.as_str())
                .execute(&mut *tx)
                .await?;
            sqlx::query("UPDATE gpus SET removed_at = clock_timestamp() WHERE server = $1 AND removed_at IS NULL")
                .bind(name.as_str())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// Servers that have not been removed, by name.
    pub async fn servers(&self) -> Result<Vec<KnownServer>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM servers WHERE removed_at IS NULL ORDER BY name");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }

    /// Notes GPUs seen in a server; returns how many were new, or new there. GPUs that are not named stay: a list may be short
    /// for many reasons.
    pub async fn see_gpus(&self, server: &ServerName, seen: &[GpuFacts]) -> Result<u64, Error> {
        let uuids: Vec<&str> = seen.iter().map(|gpu| gpu.uuid.as_str()).collect();
        let models: Vec<&str> = seen.iter().map(|gpu| gpu.model.as_str()).collect();
        self.within(async {
            let done = sqlx::query(
                "INSERT INTO gpus AS known (uuid, server, model)
                 SELECT DISTINCT ON (uuid) uuid, $1, model FROM unnest($2::text[], $3::text[]) AS seen(uuid, model) ORDER BY uuid
                 ON CONFLICT (uuid) DO UPDATE SET server = excluded.server, model = excluded.model,
                     placed_at = clock_timestamp(), removed_at = NULL
                 WHERE (known.server, known.model, known.removed_at) IS DISTINCT FROM (excluded.server, excluded.model, NULL)",
            )
            .bind(server.as_str())
            .bind(&uuids)
            .bind(&models)
            .execute(&self.pool)
            .await?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// GPUs that have not been removed, by server.
    pub async fn gpus(&self) -> Result<Vec<KnownGpu>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM gpus WHERE removed_at IS NULL ORDER BY server, uuid");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }

    /// What a server was, oldest first: when, and the row as it was from then on.
    pub async fn server_history(&self, name: &ServerName) -> Result<Vec<(Timestamp, serde_json::Value)>, Error> {
        self.within(async {
            let rows = sqlx::query("SELECT at, facts FROM server_history WHERE server = $1 ORDER BY id")
                .bind(name.as_str())
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(|row| Ok((row.at("at")?, row.try_get("facts")?))).collect()
        })
        .await
    }
}
