//! Decisions: rows first, effects after, each with its reason and under the leader's epoch.

use std::fmt;

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::rows::Columns as _;
use crate::{Epoch, Error, Store};

/// What was decided. Unknown kinds, written by a newer release, are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionKind {
    /// To run a chute on GPUs.
    Launch,
    /// To stop a deployment.
    Stop,
    /// To register a server with its validator.
    Advertise,
    /// To take a server off its validator.
    Withdraw,
    /// To take over a deployment that was found running.
    Adopt,
    /// Anything else, by name.
    Other(String),
}

impl DecisionKind {
    /// The name in the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Launch => "launch",
            Self::Stop => "stop",
            Self::Advertise => "advertise",
            Self::Withdraw => "withdraw",
            Self::Adopt => "adopt",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for DecisionKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "launch" => Self::Launch,
            "stop" => Self::Stop,
            "advertise" => Self::Advertise,
            "withdraw" => Self::Withdraw,
            "adopt" => Self::Adopt,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for DecisionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decision as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its id, sortable by time.
    pub id: Uuid,
    /// The term it was taken in.
    pub epoch: Epoch,
    /// What was decided.
    pub kind: DecisionKind,
    /// Decided once per key, however often it is asked for.
    pub action_key: String,
    /// What it is about.
    pub subject: serde_json::Value,
    /// The reason for machines.
    pub reason_code: String,
    /// The reason for people.
    pub reason: String,
    /// When, by the database's clock.
    pub created_at: Timestamp,
    /// When its effects were done with.
    pub finished_at: Option<Timestamp>,
    /// How that ended.
    pub outcome: Option<String>,
}

impl<'row> FromRow<'row, PgRow> for Decision {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            epoch: Epoch(row.try_get("epoch")?),
            kind: DecisionKind::from(row.try_get::<String, _>("kind")?),
            action_key: row.try_get("action_key")?,
            subject: row.try_get::<Json<_>, _>("subject")?.0,
            reason_code: row.try_get("reason_code")?,
            reason: row.try_get("reason")?,
            created_at: row.at("created_at")?,
            finished_at: row.maybe_at("finished_at")?,
            outcome: row.try_get("outcome")?,
        })
    }
}

/// A decision to be written.
#[derive(Debug, Clone)]
pub struct NewDecision<'a> {
    /// What is decided.
    pub kind: DecisionKind,
    /// Names the action: the same key is decided once.
    pub action_key: &'a str,
    /// What it is about; no secrets.
    pub subject: serde_json::Value,
    /// The reason for machines.
    pub reason_code: &'a str,
    /// The reason for people.
    pub reason: &'a str,
}

/// A decision, and whether this call took it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The row.
    pub decision: Decision,
    /// False where the action key had been decided before.
    pub fresh: bool,
}

impl Store {
    /// Writes a decision without claims. The same action key again returns the first row.
    pub async fn decide(&self, epoch: Epoch, new: &NewDecision<'_>) -> Result<Decided, Error> {
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let decided = insert(&mut tx, epoch, new).await?;
            self.commit(tx).await?;
            Ok(decided)
        })
        .await
    }

    /// Closes a decision with how it ended; returns false where it was closed before.
    pub async fn finish_decision(&self, epoch: Epoch, decision: Uuid, outcome: &str) -> Result<bool, Error> {
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let done = sqlx::query(
                "UPDATE decisions SET finished_at = greatest(clock_timestamp(), created_at), outcome = $2
                 WHERE id = $1 AND finished_at IS NULL",
            )
            .bind(decision)
            .bind(outcome)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// The decision of an action key.
    pub async fn decision(&self, action_key: &str) -> Result<Option<Decision>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM decisions WHERE action_key = $1");
            Ok(query.bind(action_key).fetch_optional(&self.pool).await?)
        })
        .await
    }

    /// What was decided and is not done with, oldest first: what a new leader resumes.
    pub async fn open_decisions(&self) -> Result<Vec<Decision>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM decisions WHERE finished_at IS NULL ORDER BY created_at, id");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }
}

/// Inserts, or finds the row that the key already has. A concurrent insert of the same key is waited for.
pub(crate) async fn insert(connection: &mut PgConnection, epoch: Epoch, new: &NewDecision<'_>) -> Result<Decided, Error> {
    let inserted: Option<Decision> = sqlx::query_as(
        "INSERT INTO decisions (id, epoch, kind, action_key, subject, reason_code, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (action_key) DO NOTHING RETURNING *",
    )
    .bind(Uuid::now_v7())
    .bind(epoch.0)
    .bind(new.kind.as_str())
    .bind(new.action_key)
    .bind(Json(&new.subject))
    .bind(new.reason_code)
    .bind(new.reason)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(decision) = inserted {
        return Ok(Decided { decision, fresh: true });
    }
    let decision: Decision =
        sqlx::query_as("SELECT * FROM decisions WHERE action_key = $1").bind(new.action_key).fetch_one(connection).await?;
    if decision.kind != new.kind {
        let (key, before, now) = (new.action_key, &decision.kind, &new.kind);
        return Err(Error::Invalid(format!("action key `{key}` names a {before} and cannot name a {now}; choose another")));
    }
    Ok(Decided { decision, fresh: false })
}
