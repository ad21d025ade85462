//! A database for each test, and the things to put into it.

use std::time::Duration;

use jiff::Timestamp;
use protocol::ids::{DeploymentId, GpuUuid, ServerName, Ss58};
use store::{Epoch, FreedBy, LaunchAttempt, NewDeployment, Options, PodGone, Store, ValidatorClear};
use testkit::level;
use testkit::postgres::{NEEDS, Postgres};
use testkit::redis::{self, Redis};

pub(crate) const VALIDATOR: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";
/// Far beyond what anything here takes: only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The URL of an empty database; none where there is no Postgres here.
pub(crate) fn database() -> Option<String> {
    level::require(2, Postgres::available(), NEEDS).then(|| Postgres::shared().fresh_database().unwrap())
}

/// A migrated store of its own; none where there is no Postgres here.
pub(crate) async fn store() -> Option<Store> {
    let store = connect(&database()?);
    store.migrate().await.unwrap();
    Some(store)
}

/// A migrated store under a first leader.
pub(crate) async fn led() -> Option<(Store, Epoch)> {
    let store = store().await?;
    let epoch = store.acquire_epoch("first").await.unwrap();
    Some((store, epoch))
}

pub(crate) fn connect(url: &str) -> Store {
    Store::connect(url, &Options::default()).unwrap()
}

/// A pool beside the store's own, for statements that the store has no method for.
pub(crate) async fn raw(store: &Store) -> sqlx::PgPool {
    sqlx::PgPool::connect(&Postgres::shared().url(store.database())).await.unwrap()
}

/// A Redis of the test's own; none where there is none here.
pub(crate) fn redis() -> Option<Redis> {
    level::require(2, Redis::available(), redis::NEEDS).then(|| Redis::start().unwrap())
}

pub(crate) fn gpu(number: u32) -> GpuUuid {
    format!("{number:032x}").parse().unwrap()
}

pub(crate) fn id(number: u32) -> DeploymentId {
    format!("00000000-0000-4000-8000-{number:012x}").parse().unwrap()
}

pub(crate) fn server(name: &str) -> ServerName {
    name.parse().unwrap()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

/// Deployment `number` on the given GPUs of server `alpha`.
pub(crate) fn wanted(number: u32, gpus: &[u32]) -> NewDeployment {
    NewDeployment {
        id: id(number),
        chute_id: "chute-a".parse().unwrap(),
        version: "version-1".parse().unwrap(),
        server: server("alpha"),
        validator: VALIDATOR.parse::<Ss58>().unwrap(),
        gpus: gpus.iter().copied().map(gpu).collect(),
        node_namespace: "chutes-node-alpha".to_owned(),
        job_id: None,
        action_key: format!("launch/{number}"),
        reason_code: "BestValue".to_owned(),
        reason: "earns most here".to_owned(),
    }
}

/// Proof that never was there anything to free.
pub(crate) fn never_started() -> FreedBy {
    FreedBy { pod_gone: PodGone::NeverCreated, validator_clear: ValidatorClear::NothingAsked }
}

/// Proof after a life: the pod was seen to go, and a later list has no instance.
pub(crate) fn gone() -> FreedBy {
    FreedBy {
        pod_gone: PodGone::Gone { uids: vec!["pod-uid".to_owned()], at: at(100) },
        validator_clear: ValidatorClear::CompleteList { as_of: at(101) },
    }
}

pub(crate) async fn asked(store: &Store, epoch: Epoch, number: u32) -> LaunchAttempt {
    store.begin_launch(epoch, &id(number)).await.unwrap()
}

/// Asks until the answer is yes.
pub(crate) async fn eventually(what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !ready().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
