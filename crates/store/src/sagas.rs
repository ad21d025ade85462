//! How far each saga over several stores has come.
//!
//! A step is `started` before its effect and `done` after it; after a crash a started step may or may not have had its
//! effect, which is why every step can be repeated and undone.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};

use crate::rows::Columns as _;
use crate::{Epoch, Error, Store};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Begun; its effect may have happened.
    Started,
    /// Its effect has happened.
    Done,
    /// Its effect has been taken back.
    Undone,
}

impl StepState {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "started" => Self::Started,
            "done" => Self::Done,
            "undone" => Self::Undone,
            _ => return None,
        })
    }
}

/// One step of a saga's current run.
#[derive(Debug, Clone, PartialEq)]
pub struct SagaStep {
    /// Which saga, such as `advertise`.
    pub saga: String,
    /// What it is about, such as a server's name.
    pub subject: String,
    /// Which step.
    pub step: String,
    /// Where it stands.
    pub state: StepState,
    /// When it came to stand there.
    pub at: Timestamp,
    /// What its undo or the next steps need; no secrets.
    pub detail: Value,
}

impl<'row> FromRow<'row, PgRow> for SagaStep {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        let state: String = row.try_get("state")?;
        Ok(Self {
            saga: row.try_get("saga")?,
            subject: row.try_get("subject")?,
            step: row.try_get("step")?,
            state: StepState::parse(&state).ok_or_else(|| sqlx::Error::Decode(format!("unknown step state `{state}`").into()))?,
            at: row.at("at")?,
            detail: row.try_get::<Json<_>, _>("detail")?.0,
        })
    }
}

impl Store {
    /// Begins a step, or finds where an earlier leader left it: `Started` means do it (again), `Done` means skip it. A step
    /// that had been undone begins anew.
    pub async fn begin_step(&self, epoch: Epoch, saga: &str, subject: &str, step: &str, detail: &Value) -> Result<SagaStep, Error> {
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let begun = sqlx::query_as(
                "INSERT INTO saga_steps AS known (saga, subject, step, state, epoch, detail) VALUES ($1, $2, $3, 'started', $4, $5)
                 ON CONFLICT (saga, subject, step) WHERE closed_at IS NULL DO UPDATE SET
                     state = CASE WHEN known.state = 'done' THEN 'done' ELSE 'started' END,
                     at = CASE WHEN known.state = 'undone' THEN clock_timestamp() ELSE known.at END,
                     detail = CASE WHEN known.state = 'undone' THEN excluded.detail ELSE known.detail END,
                     epoch = excluded.epoch
                 RETURNING *",
            )
            .bind(saga)
            .bind(subject)
            .bind(step)
            .bind(epoch.0)
            .bind(Json(detail))
            .fetch_one(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(begun)
        })
        .await
    }

    /// Notes that a step's effect has happened. Needs no epoch: it is a fact, whoever leads by now.
    pub async fn finish_step(&self, saga: &str, subject: &str, step: &str, detail: &Value) -> Result<(), Error> {
        self.move_step(saga, subject, step, "done", Some(detail)).await
    }

    /// Notes that a step's effect has been taken back.
    pub async fn undo_step(&self, saga: &str, subject: &str, step: &str) -> Result<(), Error> {
        self.move_step(saga, subject, step, "undone", None).await
    }

    async fn move_step(&self, saga: &str, subject: &str, step: &str, state: &str, detail: Option<&Value>) -> Result<(), Error> {
        self.within(async {
            let done = sqlx::query(
                "UPDATE saga_steps SET state = $4, at = CASE WHEN state = $4 THEN at ELSE clock_timestamp() END,
                        detail = coalesce($5, detail)
                 WHERE saga = $1 AND subject = $2 AND step = $3 AND closed_at IS NULL",
            )
            .bind(saga)
            .bind(subject)
            .bind(step)
            .bind(state)
            .bind(detail.map(Json))
            .execute(&self.pool)
            .await?;
            if done.rows_affected() == 0 {
                return Err(Error::NotFound(format!("step {step} of {saga} for {subject}; begin it first")));
            }
            Ok(())
        })
        .await
    }

    /// The steps of a subject's current runs, in the order in which they were first begun; undo goes backwards.
    pub async fn steps(&self, subject: &str) -> Result<Vec<SagaStep>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM saga_steps WHERE subject = $1 AND closed_at IS NULL ORDER BY id");
            Ok(query.bind(subject).fetch_all(&self.pool).await?)
        })
        .await
    }

    /// Ends the current run of a saga: its steps become history and the next run begins with none.
    pub async fn close_saga(&self, epoch: Epoch, saga: &str, subject: &str) -> Result<(), Error> {
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            sqlx::query("UPDATE saga_steps SET closed_at = clock_timestamp() WHERE saga = $1 AND subject = $2 AND closed_at IS NULL")
                .bind(saga)
                .bind(subject)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}
