use serde_json::json;
use store::{Error, StepState};

use crate::fixture::led;

#[tokio::test]
async fn a_saga_goes_on_where_it_stopped() {
    let Some((store, epoch)) = led().await else { return };
    let begin = async |step: &str| store.begin_step(epoch, "advertise", "alpha", step, &json!({ "try": 1 })).await.unwrap();
    assert_eq!(begin("prove").await.state, StepState::Started);
    assert_eq!(begin("prove").await.state, StepState::Started, "a crash in between: do it again");
    store.finish_step("advertise", "alpha", "prove", &json!({ "task": "t1" })).await.unwrap();
    let prove = begin("prove").await;
    assert_eq!(prove.state, StepState::Done, "skip it");
    assert_eq!(prove.detail, json!({ "task": "t1" }));
    begin("register").await;

    let steps: Vec<_> = store.steps("alpha").await.unwrap().into_iter().map(|step| (step.step, step.state)).collect();
    assert_eq!(steps, [("prove".to_owned(), StepState::Done), ("register".to_owned(), StepState::Started)]);
    assert_eq!(store.steps("beta").await.unwrap(), []);
}

#[tokio::test]
async fn an_undone_step_begins_anew() {
    let Some((store, epoch)) = led().await else { return };
    store.begin_step(epoch, "advertise", "alpha", "prove", &json!({ "try": 1 })).await.unwrap();
    store.undo_step("advertise", "alpha", "prove").await.unwrap();
    assert_eq!(store.steps("alpha").await.unwrap()[0].state, StepState::Undone);
    let again = store.begin_step(epoch, "advertise", "alpha", "prove", &json!({ "try": 2 })).await.unwrap();
    assert_eq!((again.state, again.detail), (StepState::Started, json!({ "try": 2 })));
}

#[tokio::test]
async fn a_closed_saga_is_history() {
    let Some((store, epoch)) = led().await else { return };
    store.begin_step(epoch, "advertise", "alpha", "prove", &json!({})).await.unwrap();
    store.finish_step("advertise", "alpha", "prove", &json!({})).await.unwrap();
    store.close_saga(epoch, "advertise", "alpha").await.unwrap();
    assert_eq!(store.steps("alpha").await.unwrap(), []);
    assert!(matches!(store.finish_step("advertise", "alpha", "prove", &json!({})).await, Err(Error::NotFound(_))));
    let next = store.begin_step(epoch, "advertise", "alpha", "prove", &json!({})).await.unwrap();
    assert_eq!(next.state, StepState::Started);
}
