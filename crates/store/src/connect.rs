//! The connection pool, its deadlines, and the migrations.

use std::fmt;
use std::future::Future;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction};
use tokio::sync::Notify;

use crate::{Epoch, Error, epoch};

/// How a [`Store`] uses its Postgres.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
    /// Most connections at a time.
    pub max_connections: u32,
    /// How long a call waits for a free connection.
    pub acquire_timeout: Duration,
    /// How long Postgres works on one statement before it gives up.
    pub statement_timeout: Duration,
    /// How long a whole call may take, connection and all statements.
    pub deadline: Duration,
    /// How long the migrations may take, the wait for another replica's included.
    pub migration_deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            application_name: "gepetto-fleet".to_owned(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            migration_deadline: Duration::from_secs(120),
        }
    }
}

/// The ledger. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
    /// Told after each commit that left something in the outbox.
    pub(crate) announced: Arc<Notify>,
    plain: PgConnectOptions,
    acquire_timeout: Duration,
    deadline: Duration,
    migration_deadline: Duration,
}

impl fmt::Debug for Store {
    // By hand: connection options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("host", &self.plain.get_host())
            .field("database", &self.plain.get_database())
            .field("connections", &self.pool.size())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Prepares a pool for `url` (`postgres://user:password@host/database`); connections are made when first needed, so a
    /// Postgres that is down now fails the calls and not the program.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the URL cannot be read.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn connect(url: &str, options: &Options) -> Result<Self, Error> {
        let plain = PgConnectOptions::from_str(url)
            .map_err(|error| Error::Invalid(format!("the database URL cannot be read: {error}")))?
            .application_name(&options.application_name);
        let millis = |duration: Duration| duration.as_millis().to_string();
        let bounded = plain.clone().options([
            ("statement_timeout", millis(options.statement_timeout)),
            // Below the statement's own: whoever waits for a lock should hear that it was one.
            ("lock_timeout", millis(options.statement_timeout.mul_f32(0.8))),
            ("idle_in_transaction_session_timeout", millis(options.deadline)),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(bounded);
        Ok(Self {
            pool,
            announced: Arc::new(Notify::new()),
            plain,
            acquire_timeout: options.acquire_timeout,
            deadline: options.deadline,
            migration_deadline: options.migration_deadline,
        })
    }

    /// Brings the schema up to date, under an advisory lock: any number of replicas may ask at once, one does it.
    pub async fn migrate(&self) -> Result<(), Error> {
        // A connection of its own: waiting for another replica takes longer than any statement may.
        let work = async {
            let single = PgPoolOptions::new().max_connections(1).acquire_timeout(self.acquire_timeout);
            let single = single.connect_with(self.plain.clone()).await?;
            let mut migrator = sqlx::migrate!("../../migrations");
            // Migrations only add: in the middle of an upgrade a replica of the last release starts on the newer schema.
            migrator.set_ignore_missing(true);
            let migrated = migrator.run(&single).await;
            // Closing it gives the lock back whatever happened.
            single.close().await;
            migrated.map_err(|error| match error {
                MigrateError::Execute(error) => Error::from(error),
                error => Error::Corrupt(error.to_string()),
            })
        };
        bounded(self.migration_deadline, work).await
    }

    /// Asks Postgres for a sign of life.
    pub async fn ping(&self) -> Result<(), Error> {
        self.within(async {
            sqlx::query("SELECT 1").execute(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// The name of the database, for logs and status.
    #[must_use]
    pub fn database(&self) -> &str {
        self.plain.get_database().unwrap_or_default()
    }

    /// Waits for running calls and closes all connections.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(self.deadline, self.pool.close()).await;
    }

    /// Gives `work` the time a call may take: a peer that vanished without a word answers no statement timeout either.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        bounded(self.deadline, work).await
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        Ok(self.pool.begin().await?)
    }

    /// A transaction that commits only while `epoch` is the leader's.
    pub(crate) async fn begin_as(&self, epoch: Epoch) -> Result<Transaction<'static, Postgres>, Error> {
        let mut tx = self.begin().await?;
        epoch::hold(&mut tx, epoch).await?;
        Ok(tx)
    }

    /// Commits what may have left something in the outbox.
    pub(crate) async fn commit(&self, tx: Transaction<'static, Postgres>) -> Result<(), Error> {
        tx.commit().await?;
        self.announced.notify_one();
        Ok(())
    }
}

async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Unavailable(format!("no answer within {} s", limit.as_secs_f32()))),
    }
}
