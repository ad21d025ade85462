//! Events: what people want to read later, one line each.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::rows::Columns as _;
use crate::{Error, Store};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number; grows.
    pub id: i64,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// What kind of thing, for machines.
    pub kind: String,
    /// What it happened to.
    pub subject: String,
    /// What happened, for people.
    pub message: String,
}

impl Store {
    /// Writes an event and returns its number. No secrets in the message.
    pub async fn record_event(&self, kind: &str, subject: &str, message: &str) -> Result<i64, Error> {
        self.within(async {
            let query = sqlx::query_scalar("INSERT INTO events (kind, subject, message) VALUES ($1, $2, $3) RETURNING id");
            Ok(query.bind(kind).bind(subject).bind(message).fetch_one(&self.pool).await?)
        })
        .await
    }

    /// The latest events, newest first; of one subject where one is named.
    pub async fn events(&self, subject: Option<&str>, limit: u32) -> Result<Vec<Event>, Error> {
        self.within(async {
            let rows = sqlx::query("SELECT * FROM events WHERE $1::text IS NULL OR subject = $1 ORDER BY id DESC LIMIT $2")
                .bind(subject)
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(|row| event(row).map_err(Error::from)).collect()
        })
        .await
    }
}

fn event(row: &PgRow) -> sqlx::Result<Event> {
    Ok(Event {
        id: row.try_get("id")?,
        at: row.at("at")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject")?,
        message: row.try_get("message")?,
    })
}
