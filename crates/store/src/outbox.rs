//! The outbox: wake-ups written with what they announce, published to Redis after the commit.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::AsyncCommands as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::{Error, Store};

/// How often a publisher looks without having been told: other processes write too, and Redis comes back.
const LOOK: Duration = Duration::from_secs(1);
/// A wake-up older than this wakes nobody: whoever polls has seen the change.
const KEPT: Duration = Duration::from_secs(60);
const REDIS_LIMIT: Duration = Duration::from_secs(1);
const BATCH: i64 = 1000;

/// What changed. Each is a Redis channel; the messages on it are empty of meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Which chutes exist, or what is known of them.
    Chutes,
    /// Servers, their GPUs, their holds.
    Servers,
    /// Deployments and claims.
    Deployments,
    /// What the validator says about our instances.
    Instances,
    /// Jobs.
    Jobs,
    /// Policy, bounties, anything else that makes a plan worth another look.
    Plan,
}

impl Topic {
    /// The name of its channel.
    #[must_use]
    pub fn channel(self) -> &'static str {
        match self {
            Self::Chutes => "gepetto.fleet/chutes",
            Self::Servers => "gepetto.fleet/servers",
            Self::Deployments => "gepetto.fleet/deployments",
            Self::Instances => "gepetto.fleet/instances",
            Self::Jobs => "gepetto.fleet/jobs",
            Self::Plan => "gepetto.fleet/plan",
        }
    }
}

/// Leaves a wake-up in the outbox of the transaction at hand.
pub(crate) async fn announce(connection: &mut PgConnection, topic: Topic) -> Result<(), Error> {
    sqlx::query("INSERT INTO outbox (topic) VALUES ($1)").bind(topic.channel()).execute(connection).await?;
    Ok(())
}

impl Store {
    /// Wakes whoever waits on a topic, for changes that this crate did not write.
    pub async fn announce(&self, topic: Topic) -> Result<(), Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            announce(&mut tx, topic).await?;
            self.commit(tx).await
        })
        .await
    }

    /// How many wake-ups wait for Redis.
    pub async fn outbox_waiting(&self) -> Result<u64, Error> {
        self.within(async {
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL").fetch_one(&self.pool).await?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}

/// Publishes the outbox. Every replica may run one; rows are shared out by the database.
pub struct Publisher {
    store: Store,
    redis: ConnectionManager,
    kept: Duration,
}

impl Publisher {
    /// A publisher to the Redis at `url`, which need not be up.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL cannot be read.
    pub fn new(store: Store, url: &str) -> Result<Self, Error> {
        let invalid = |error: redis::RedisError| Error::Invalid(format!("the Redis URL cannot be read: {error}"));
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_LIMIT))
            .set_response_timeout(Some(REDIS_LIMIT))
            .set_number_of_retries(0);
        let client = redis::Client::open(url).map_err(invalid)?;
        let redis = ConnectionManager::new_lazy_with_config(client, config).map_err(invalid)?;
        Ok(Self { store, redis, kept: KEPT })
    }

    /// Keeps unpublished rows for `kept` instead of a minute.
    #[must_use]
    pub fn keeping(mut self, kept: Duration) -> Self {
        self.kept = kept;
        self
    }

    /// Publishes for ever, after each commit of this process and once a second. Never fails: with Redis or Postgres gone it
    /// waits. Drop the future to stop.
    pub async fn run(mut self) {
        let mut was_well = true;
        loop {
            let result = self.publish_waiting().await;
            if result.is_ok() != was_well {
                was_well = result.is_ok();
                match &result {
                    Ok(_) => tracing::info!("wake-ups are published again"),
                    Err(problem) => tracing::warn!(%problem, "wake-ups are not published; everybody polls"),
                }
            }
            if let Err(problem) = self.drop_old().await {
                tracing::debug!(%problem, "the outbox was not tidied");
            }
            // After a failure the pace is the clock's, however much is announced meanwhile.
            if was_well {
                let _ = tokio::time::timeout(LOOK, self.store.announced.notified()).await;
            } else {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Publishes what waits now, one message per topic; returns how many rows that were.
    pub async fn publish_waiting(&mut self) -> Result<u64, Error> {
        let Self { store, redis, .. } = self;
        store
            .within(async {
                let mut tx = store.begin().await?;
                let rows =
                    sqlx::query("SELECT id, topic FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED")
                        .bind(BATCH)
                        .fetch_all(&mut *tx)
                        .await?;
                if rows.is_empty() {
                    return Ok(0);
                }
                let mut ids = Vec::with_capacity(rows.len());
                let mut topics = BTreeSet::new();
                for row in &rows {
                    ids.push(row.try_get::<i64, _>("id")?);
                    topics.insert(row.try_get::<String, _>("topic")?);
                }
                for topic in topics {
                    let sent = redis.publish::<_, _, ()>(&topic, "");
                    // Bounded here too: the rows stay locked meanwhile.
                    match tokio::time::timeout(2 * REDIS_LIMIT, sent).await {
                        Ok(Ok(())) => {}
                        Ok(Err(problem)) => return Err(Error::Unavailable(format!("Redis: {problem}"))),
                        Err(_) => return Err(Error::Unavailable("Redis: no answer in time".to_owned())),
                    }
                }
                sqlx::query("UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY($1)").bind(&ids).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(rows.len() as u64)
            })
            .await
    }

    /// Removes what is too old to matter, published or not; returns how many rows that were.
    pub async fn drop_old(&self) -> Result<u64, Error> {
        self.store
            .within(async {
                let done = sqlx::query("DELETE FROM outbox WHERE created_at < clock_timestamp() - make_interval(secs => $1)")
                    .bind(self.kept.as_secs_f64())
                    .execute(&self.store.pool)
                    .await?;
                Ok(done.rows_affected())
            })
            .await
    }
}

impl std::fmt::Debug for Publisher {
    // By hand: the connection holds the URL's password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("store", &self.store).finish_non_exhaustive()
    }
}
