//! Small answers: one chute, the inventory, demand, the registry.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    App,
    auth::{Signed, text},
    refusal::Refusal,
};
use crate::{Profile, clock::iso};

type Answer = Result<Json<Value>, Refusal>;

pub(super) async fn chute(State(app): State<App>, headers: HeaderMap, Path((chute_id, version)): Path<(String, String)>) -> Answer {
    app.miner(&headers, Signed::Purpose("miner"))?;
    let world = app.world();
    let chute = world.chutes.get(&chute_id).filter(|chute| chute.version == version);
    let chute = chute.ok_or_else(|| Refusal::not_found(format!("chute_id='{chute_id}' not found")))?;
    Ok(Json(chute.row(world.rules.profile)))
}

/// In October 2025 the hotkey's header alone was enough; a signature, when there is one, must still be right.
pub(super) async fn inventory(State(app): State<App>, headers: HeaderMap) -> Answer {
    let unsigned = app.world().rules.profile == Profile::Oct25 && text(&headers, "x-chutes-signature").is_none();
    let hotkey = match text(&headers, "x-chutes-hotkey") {
        Some(hotkey) if unsigned => hotkey.to_owned(),
        _ => app.miner(&headers, Signed::Purpose("miner"))?,
    };
    Ok(Json(json!(app.world().inventory(&hotkey))))
}

/// The body of success is `null`.
pub(super) async fn release_job(State(app): State<App>, headers: HeaderMap, Path(job_id): Path<String>) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("miner"))?;
    app.world().release_job(&hotkey, &job_id)?;
    Ok(Json(Value::Null))
}

/// Demand of every chute, from its target alone. In October 2025 all instances counted, since then the active ones.
pub(super) async fn utilization(State(app): State<App>) -> Json<Value> {
    let world = app.world();
    let now = iso(world.now());
    let row = |chute: &crate::world::chutes::Chute| {
        let of_chute = || world.instances.values().filter(|i| i.chute_id == chute.chute_id);
        let (total, active) = (of_chute().count() as u32, of_chute().filter(|i| i.activated_at.is_some()).count() as u32);
        let target = chute.spec.target;
        let oct25 = world.rules.profile == Profile::Oct25;
        let counted = if oct25 { total } else { active };
        let mut row = json!({
            "chute_id": chute.chute_id, "name": chute.spec.name, "timestamp": now, "utilization_current": 0.0,
            "instance_count": active, "total_instance_count": total, "active_instance_count": active, "target_count": target,
            "action_taken": "no_action", "scalable": counted < target, "scale_allowance": target.saturating_sub(counted),
        });
        if oct25 {
            row["update_in_progress"] = json!(false);
        } else {
            row["effective_multiplier"] = json!(chute.multiplier(world.rules.profile));
        }
        row
    };
    Json(json!(world.chutes.values().map(row).collect::<Vec<_>>()))
}

/// Open bounties, oldest first.
pub(super) async fn bounties(State(app): State<App>) -> Json<Value> {
    Json(json!(app.world().bounty_rows()))
}

/// An empty list.
pub(super) async fn nothing() -> Json<Value> {
    Json(json!([]))
}

/// The header really carries the repr of Python bytes.
pub(super) async fn registry(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    app.miner(&headers, Signed::Purpose("registry"))?;
    Ok(([(header::AUTHORIZATION, "Basic b'OnJlZ2lzdHJ5LXNlY3JldA=='")], Json(json!({"authenticated": true}))).into_response())
}
