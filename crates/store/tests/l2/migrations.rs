use store::Error;

use crate::fixture::{connect, database};

#[tokio::test]
async fn four_replicas_migrate_one_database_once() {
    let Some(url) = database() else { return };
    let replicas: Vec<_> = (0..4)
        .map(|_| {
            let store = connect(&url);
            tokio::spawn(async move { store.migrate().await })
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap().unwrap();
    }
    let store = connect(&url);
    // A later start finds nothing to do and everything there.
    store.migrate().await.unwrap();
    assert_eq!(store.leader().await.unwrap().epoch.number(), 0);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let (applied, distinct): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT version) FROM _sqlx_migrations WHERE success").fetch_one(&pool).await.unwrap();
    assert!(applied > 0);
    assert_eq!(applied, distinct);
}

#[tokio::test]
async fn a_replica_of_the_last_release_starts_on_a_newer_schema() {
    let Some(url) = database() else { return };
    let store = connect(&url);
    store.migrate().await.unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    store.migrate().await.unwrap();
    // But a migration that was altered after it ran is no release of ours.
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1").execute(&pool).await.unwrap();
    assert!(matches!(store.migrate().await, Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn an_empty_database_says_that_it_was_not_migrated() {
    let Some(url) = database() else { return };
    match connect(&url).open_claims().await {
        Err(Error::Corrupt(why)) => assert!(why.contains("migrations"), "{why}"),
        other => panic!("{other:?}"),
    }
}
