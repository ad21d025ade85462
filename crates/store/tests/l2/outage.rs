use std::time::Duration;

use store::{Options, Store};
use testkit::level;
use testkit::postgres::{NEEDS, Postgres};

use crate::fixture::{eventually, wanted};

#[tokio::test]
async fn without_postgres_every_call_says_so_and_afterwards_works_again() {
    if !level::require(2, Postgres::available(), NEEDS) {
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.fresh_database().unwrap();
    let options = Options { acquire_timeout: Duration::from_millis(500), ..Options::default() };
    let store = Store::connect(&url, &options).unwrap();
    store.migrate().await.unwrap();
    let epoch = store.acquire_epoch("leader").await.unwrap();
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();

    postgres.halt();
    for problem in [
        store.ping().await.unwrap_err(),
        store.grant_launch(epoch, &wanted(2, &[2])).await.unwrap_err(),
        store.remember_nonce(&[1; 32], jiff::Timestamp::now()).await.unwrap_err(),
        store.open_claims().await.unwrap_err(),
        store.migrate().await.unwrap_err(),
    ] {
        assert!(problem.is_unavailable(), "{problem:?}");
    }

    postgres.resume().unwrap();
    eventually("Postgres is back", async || store.ping().await.is_ok()).await;
    // The leader goes on: what it was granted is there, what it was refused can be asked for again.
    assert!(!store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap().fresh);
    assert!(store.grant_launch(epoch, &wanted(2, &[2])).await.unwrap().fresh);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cut_off() {
    let Some(url) = crate::fixture::database() else { return };
    let options = Options { statement_timeout: Duration::from_millis(200), ..Options::default() };
    let store = Store::connect(&url, &options).unwrap();
    store.migrate().await.unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let mut blocking = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE gpu_claims").execute(&mut *blocking).await.unwrap();
    assert!(store.open_claims().await.unwrap_err().is_unavailable());
    blocking.rollback().await.unwrap();
    assert_eq!(store.open_claims().await.unwrap(), []);
}

#[tokio::test]
async fn nothing_prints_the_password() {
    let options = Options { acquire_timeout: Duration::from_millis(100), ..Options::default() };
    let store = Store::connect("postgres://fleet:hunter2@127.0.0.1:1/ledger", &options).unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
    let problem = store.ping().await.unwrap_err();
    assert!(problem.is_unavailable());
    assert!(!format!("{problem:?} {problem}").contains("hunter2"));
    let bad = Store::connect("postgres://fleet:hunter2@[not-a-host/ledger", &Options::default()).unwrap_err();
    assert!(!format!("{bad:?} {bad}").contains("hunter2"));
}
