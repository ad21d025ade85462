//! Launch configs asked of a validator, each followed to its end.
//!
//! A config cannot be given back, and asking again for the same chute is counted against the miner; so the intent is written
//! before the asking, and what the answer was after it. The token itself never comes here.

use jiff::Timestamp;
use protocol::ids::{ConfigId, DeploymentId};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::rows::{Columns as _, uuid};
use crate::{Epoch, Error, Store, deployments};

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// The intent is written; whether the validator heard is not known.
    Asked,
    /// A config came back and may be claimed.
    Received,
    /// Done with.
    Settled(Settled),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The validator said no; there is no config.
    Refused,
    /// An instance was made with the config.
    Claimed,
    /// The config grew too old before anybody claimed it.
    Expired,
    /// Given up: the answer was lost, or nothing will claim it any more.
    Abandoned,
}

impl Settled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Claimed => "claimed",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
        }
    }
}

impl AttemptState {
    /// The name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Received => "received",
            Self::Settled(settled) => settled.as_str(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "asked" => Self::Asked,
            "received" => Self::Received,
            "refused" => Self::Settled(Settled::Refused),
            "claimed" => Self::Settled(Settled::Claimed),
            "expired" => Self::Settled(Settled::Expired),
            "abandoned" => Self::Settled(Settled::Abandoned),
            _ => return None,
        })
    }
}

/// One asking for a launch config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchAttempt {
    /// Its number in the ledger.
    pub id: i64,
    /// For which deployment.
    pub deployment: DeploymentId,
    /// Its number among the deployment's attempts, from 1.
    pub attempt: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// The config that came back.
    pub config_id: Option<ConfigId>,
    /// When the intent was written.
    pub intent_at: Timestamp,
    /// When the config came.
    pub received_at: Option<Timestamp>,
    /// When it was done with.
    pub settled_at: Option<Timestamp>,
    /// What went wrong, if anything.
    pub error: Option<String>,
}

impl<'row> FromRow<'row, PgRow> for LaunchAttempt {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        let state: String = row.try_get("state")?;
        Ok(Self {
            id: row.try_get("id")?,
            deployment: row.deployment("deployment")?,
            attempt: u32::try_from(row.try_get::<i32, _>("attempt")?).map_err(|error| sqlx::Error::Decode(error.into()))?,
            state: AttemptState::parse(&state).ok_or_else(|| sqlx::Error::Decode(format!("unknown attempt state `{state}`").into()))?,
            config_id: row.maybe_id("config_id")?,
            intent_at: row.at("intent_at")?,
            received_at: row.maybe_at("received_at")?,
            settled_at: row.maybe_at("settled_at")?,
            error: row.try_get("error")?,
        })
    }
}

/// A deployment for which every asking was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// Which deployment; whether it has ended does not matter.
    pub deployment: DeploymentId,
    /// How often the validator said no.
    pub times: u32,
    /// When it last did.
    pub last: Timestamp,
}

impl<'row> FromRow<'row, PgRow> for Refusals {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        let times = u32::try_from(row.try_get::<i64, _>("times")?).unwrap_or(u32::MAX);
        Ok(Self { deployment: row.deployment("deployment")?, times, last: row.at("last")? })
    }
}

impl Store {
    /// Which of the latest `limit` deployments, as [`Store::deployments_recent`] has them, the validator refused and granted
    /// nothing since.
    pub async fn refusals_recent(&self, limit: u32) -> Result<Vec<Refusals>, Error> {
        self.within(async {
            let query = sqlx::query_as(
                "SELECT deployment, count(*) AS times, max(settled_at) AS last FROM launch_attempts
                 WHERE deployment IN (SELECT id FROM deployments ORDER BY created_at DESC, id DESC LIMIT $1)
                 GROUP BY deployment HAVING bool_and(state = 'refused') ORDER BY deployment",
            );
            Ok(query.bind(i64::from(limit)).fetch_all(&self.pool).await?)
        })
        .await
    }

    /// Writes the intent to ask for a launch config. Ask only after this returned.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] while another attempt of the deployment is open or has been claimed, and for a job that was
    /// asked for before (unless the validator refused); [`Error::AlreadyEnded`] for a deployment that is over, and
    /// [`Error::Invalid`] for one that is to be stopped or lacks a claim on one of its GPUs.
    pub async fn begin_launch(&self, epoch: Epoch, deployment: &DeploymentId) -> Result<LaunchAttempt, Error> {
        let id = uuid(deployment)?;
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            if deployments::lock(&mut tx, id).await? {
                return Err(Error::AlreadyEnded(deployment.clone()));
            }
            refuse_unwanted(&mut tx, id).await?;
            let attempt = sqlx::query_as(
                "INSERT INTO launch_attempts (deployment, attempt, epoch, state)
                 SELECT $1, 1 + coalesce(max(attempt), 0), $2, 'asked' FROM launch_attempts WHERE deployment = $1
                 RETURNING *",
            )
            .bind(id)
            .bind(epoch.0)
            .fetch_one(&mut *tx)
            .await
            .map_err(|error| match Error::from(error) {
                Error::AlreadyExists(_) => {
                    Error::AlreadyExists(format!("an open or claimed launch attempt of deployment {deployment}; settle it first"))
                }
                error => error,
            })?;
            tx.commit().await?;
            Ok(attempt)
        })
        .await
    }

    /// Writes the config an attempt got. The same config again is fine.
    pub async fn record_config(&self, attempt: i64, config: &ConfigId) -> Result<(), Error> {
        self.within(async {
            let done = sqlx::query(
                "UPDATE launch_attempts
                 SET state = 'received', config_id = $2, received_at = greatest(clock_timestamp(), intent_at)
                 WHERE id = $1 AND state = 'asked'",
            )
            .bind(attempt)
            .bind(config.as_str())
            .execute(&self.pool)
            .await?;
            if done.rows_affected() == 1 {
                return Ok(());
            }
            let found = one(&mut *self.pool.acquire().await?, attempt).await?;
            if found.config_id.as_ref() == Some(config) {
                return Ok(());
            }
            let state = found.state.as_str();
            Err(Error::Invalid(format!("launch attempt {attempt} is {state} and cannot receive a config")))
        })
        .await
    }

    /// Settles the attempt that received `config`; returns false where it was settled so before.
    ///
    /// An instance found later corrects `expired` and `abandoned` to `claimed`: the validator knows better.
    pub async fn settle(&self, config: &ConfigId, how: Settled) -> Result<bool, Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            let found: Option<LaunchAttempt> = sqlx::query_as("SELECT * FROM launch_attempts WHERE config_id = $1 FOR UPDATE")
                .bind(config.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let found = found.ok_or_else(|| Error::NotFound(format!("a launch attempt with config {config}")))?;
            let changed = write_settled(&mut tx, &found, how, None).await?;
            tx.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Settles an attempt by its number, for those without a config: refused by the validator, or given up after a crash.
    pub async fn settle_attempt(&self, attempt: i64, how: Settled, error: &str) -> Result<bool, Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            let found = one(&mut tx, attempt).await?;
            let changed = write_settled(&mut tx, &found, how, Some(error)).await?;
            tx.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Attempts that are not settled, oldest first.
    pub async fn open_attempts(&self) -> Result<Vec<LaunchAttempt>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM launch_attempts WHERE settled_at IS NULL ORDER BY id");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }

    /// All attempts of a deployment, oldest first.
    pub async fn attempts(&self, deployment: &DeploymentId) -> Result<Vec<LaunchAttempt>, Error> {
        let id = uuid(deployment)?;
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM launch_attempts WHERE deployment = $1 ORDER BY id");
            Ok(query.bind(id).fetch_all(&self.pool).await?)
        })
        .await
    }

    /// Gives up what earlier leaders asked for without writing down an answer; returns those attempts.
    ///
    /// Done when a leader resumes: the answer went with the process that waited for it. Its own askings are left alone.
    pub async fn abandon_unanswered(&self, epoch: Epoch) -> Result<Vec<LaunchAttempt>, Error> {
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let given_up = sqlx::query_as(
                "UPDATE launch_attempts SET state = 'abandoned', settled_at = greatest(clock_timestamp(), intent_at),
                        error = 'the leader that asked ended before it noted an answer'
                 WHERE state = 'asked' AND epoch < $1 RETURNING *",
            )
            .bind(epoch.0)
            .fetch_all(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(given_up)
        })
        .await
    }
}

/// Gives up what is open when the deployment ends.
pub(crate) async fn abandon_open(connection: &mut PgConnection, deployment: Uuid, why: &str) -> Result<(), Error> {
    sqlx::query(
        "UPDATE launch_attempts SET state = 'abandoned', settled_at = greatest(clock_timestamp(), intent_at), error = $2
         WHERE deployment = $1 AND settled_at IS NULL",
    )
    .bind(deployment)
    .bind(why)
    .execute(connection)
    .await?;
    Ok(())
}

/// Refuses what should ask for nothing (any more). The caller has locked the deployment.
async fn refuse_unwanted(connection: &mut PgConnection, deployment: Uuid) -> Result<(), Error> {
    // Two deployments of one job, each locked by itself, must still not both ask.
    sqlx::query("SELECT pg_advisory_xact_lock(20742, hashtext(job_id)) FROM deployments WHERE id = $1 AND job_id IS NOT NULL")
        .bind(deployment)
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query(
        "SELECT EXISTS (SELECT FROM decisions WHERE action_key = 'stop/' || d.id::text) AS stopping,
                EXISTS (SELECT FROM launch_attempts a JOIN deployments other ON other.id = a.deployment
                        WHERE other.job_id = d.job_id AND a.state <> 'refused') AS asked_for_job,
                (SELECT count(*) FROM gpu_claims c WHERE c.deployment = d.id AND c.freed_at IS NULL) < cardinality(d.gpus) AS unheld
         FROM deployments d WHERE d.id = $1",
    )
    .bind(deployment)
    .fetch_one(connection)
    .await?;
    if row.try_get("stopping")? {
        return Err(Error::Invalid(format!("deployment {deployment} is to be stopped and launches nothing any more")));
    }
    if row.try_get("asked_for_job")? {
        return Err(Error::AlreadyExists(format!("a launch attempt for the job of deployment {deployment}; a job is asked for once")));
    }
    if row.try_get("unheld")? {
        return Err(Error::Invalid(format!("deployment {deployment} does not hold all its GPUs and must not launch on them")));
    }
    Ok(())
}

async fn one(connection: &mut PgConnection, attempt: i64) -> Result<LaunchAttempt, Error> {
    let query = sqlx::query_as("SELECT * FROM launch_attempts WHERE id = $1 FOR UPDATE");
    let found: Option<LaunchAttempt> = query.bind(attempt).fetch_optional(connection).await?;
    found.ok_or_else(|| Error::NotFound(format!("launch attempt {attempt}")))
}

async fn write_settled(connection: &mut PgConnection, found: &LaunchAttempt, how: Settled, error: Option<&str>) -> Result<bool, Error> {
    use AttemptState as S;
    let allowed = match (found.state, how) {
        (S::Settled(before), how) if before == how => return Ok(false),
        (S::Asked, Settled::Refused | Settled::Abandoned) => true,
        (S::Received, Settled::Claimed | Settled::Expired | Settled::Abandoned) => true,
        (S::Settled(Settled::Expired | Settled::Abandoned), Settled::Claimed) => found.config_id.is_some(),
        _ => false,
    };
    if !allowed {
        let (id, state, how) = (found.id, found.state.as_str(), how.as_str());
        return Err(Error::Invalid(format!("launch attempt {id} is {state} and cannot become {how}")));
    }
    sqlx::query("UPDATE launch_attempts SET state = $2, settled_at = greatest(clock_timestamp(), intent_at), error = $3 WHERE id = $1")
        .bind(found.id)
        .bind(how.as_str())
        .bind(error)
        .execute(connection)
        .await?;
    Ok(true)
}
