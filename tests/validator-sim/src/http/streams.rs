//! The six inventory streams: validator-protocol 1.6.1. `data: {json}` and a blank line, no content type,
//! no end mark but the one that an empty `instances` may ask for.

use std::collections::HashMap;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{App, auth::Signed, entry::Frames, refusal::Refusal};
use crate::{clock::iso, world::World};

/// The streams, and the two listings that share their shape of path.
pub(super) const KINDS: [&str; 8] = ["chutes", "images", "nodes", "instances", "jobs", "metrics", "servers", "active_instances"];

pub(super) async fn stream(
    State(app): State<App>,
    headers: HeaderMap,
    Path(kind): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Refusal> {
    if !KINDS.contains(&kind.as_str()) {
        return Err(Refusal::unknown_route(StatusCode::NOT_FOUND, "Not Found"));
    }
    let hotkey = app.miner(&headers, Signed::Purpose("miner"))?;
    let world = app.world();
    let rows = match kind.as_str() {
        "servers" => return Ok(Json(world.server_listing(&hotkey)).into_response()),
        "active_instances" => return Ok(Json(active(&world)).into_response()),
        "chutes" => world.chutes.values().map(|chute| chute.row(world.rules.profile)).collect(),
        "images" => images(&world),
        "nodes" => world.nodes.values().filter(|node| node.miner_hotkey == hotkey).map(|node| node.row()).collect(),
        "instances" => {
            let mine = world.instances.values().filter(|i| i.miner_hotkey == hotkey);
            mine.map(|i| i.row(world.rules.profile)).collect()
        }
        "metrics" => metrics(&world),
        _ => world.job_rows(&hotkey),
    };
    let explicit = kind == "instances" && query.get("explicit_null").is_some_and(|value| truthy(value));
    let mut frames: Vec<Bytes> = rows.iter().map(|row| Bytes::from(format!("data: {row}\n\n"))).collect();
    if frames.is_empty() && explicit {
        frames.push(Bytes::from_static(b"data: NO_ITEMS"));
    }
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Frames(frames));
    Ok(response)
}

fn truthy(value: &str) -> bool {
    ["true", "1", "on", "yes", "t", "y"].contains(&value.to_lowercase().as_str())
}

fn images(world: &World) -> Vec<Value> {
    let mut seen = std::collections::BTreeMap::new();
    for chute in world.chutes.values() {
        let row = chute.row(world.rules.profile);
        let (name, tag) = chute.spec.image.split_once(':').unwrap_or((&chute.spec.image, "latest"));
        let image = json!({
            "image_id": row["image_id"], "user_id": row["user_id"], "name": name, "tag": tag, "readme": "", "logo_id": null,
            "public": true, "status": "built and pushed", "created_at": row["created_at"], "chutes_version": row["chutes_version"],
            "patch_version": "initial", "build_started_at": row["created_at"], "build_completed_at": row["created_at"],
            "username": chute.spec.username,
        });
        seen.insert(row["image_id"].to_string(), image);
    }
    seen.into_values().collect()
}

fn metrics(world: &World) -> Vec<Value> {
    let now = iso(world.now());
    let row = |chute: &crate::world::chutes::Chute| {
        let instances = world.instances.values().filter(|i| i.chute_id == chute.chute_id && i.activated_at.is_some()).count();
        json!({
            "chute_id": chute.chute_id, "start_date": now, "end_date": now, "compute_multiplier": chute.multiplier(world.rules.profile),
            "total_invocations": 0, "total_compute_time": 0.0, "error_count": 0, "rate_limit_count": 0,
            "instance_count": instances, "per_second_price_usd": 0.0, "total_usage_usd": 0.0,
        })
    };
    world.chutes.values().map(row).collect()
}

fn active(world: &World) -> Value {
    let rows: Vec<Value> = world
        .instances
        .values()
        .filter_map(|i| {
            let at = i.activated_at?;
            Some(json!({
                "instance_id": i.instance_id, "miner_hotkey": i.miner_hotkey, "chute_id": i.chute_id,
                "activated_at": iso(at), "compute_multiplier": i.multiplier,
            }))
        })
        .collect();
    json!(rows)
}
