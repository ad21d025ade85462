//! Adverts of GPUs: validator-protocol 1.3 and 1.4.

use std::collections::HashMap;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{App, auth::Signed, parse, refusal::Refusal};
use crate::{catalogue, world::nodes::NodeArgs};

type Answer = Result<Json<Value>, Refusal>;

pub(super) async fn supported(State(app): State<App>) -> Json<Value> {
    let profile = app.world().rules.profile;
    let rows = catalogue::catalogue(profile).into_iter().map(|gpu| (gpu.short_ref.to_owned(), gpu.row()));
    Json(Value::Object(rows.collect::<Map<_, _>>()))
}

/// `GET /nodes/`: counts for each GPU type.
pub(super) async fn census(State(app): State<App>) -> Json<Value> {
    let world = app.world();
    let mut counts: Map<String, Value> = Map::new();
    for node in world.nodes.values() {
        let row = counts.entry(node.args.gpu_identifier.clone()).or_insert_with(|| json!({"provisioned": 0, "idle": 0}));
        let key = if node.instance_id.is_some() { "provisioned" } else { "idle" };
        row[key] = json!(row[key].as_u64().unwrap_or(0) + 1);
    }
    Json(Value::Object(counts))
}

#[derive(Deserialize)]
struct Advert {
    server_id: String,
    nodes: Vec<NodeArgs>,
}

pub(super) async fn advertise(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<(StatusCode, Json<Value>), Refusal> {
    let hotkey = app.miner(&headers, Signed::Body(&body))?;
    let advert: Advert = parse(&body)?;
    let (nodes, task_id) = app.world().advertise(&hotkey, &advert.server_id, advert.nodes)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"nodes": nodes, "task_id": task_id}))))
}

pub(super) async fn status(State(app): State<App>, headers: HeaderMap, Query(query): Query<HashMap<String, String>>) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("graval"))?;
    let task = query.get("task_id").ok_or_else(|| Refusal::malformed("task_id is missing"))?;
    app.world().task_status(&hotkey, task).map(Json)
}

pub(super) async fn remove(State(app): State<App>, headers: HeaderMap, Path(uuid): Path<String>) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("nodes"))?;
    app.world().delete_node(&hotkey, &uuid)?;
    Ok(Json(json!({"node_id": uuid, "deleted": true})))
}
