//! `POST /servers/` with `"re_enrol": true`: the agent of a known server lost its state and made a new node key, which is pinned in
//! place of the old one.
//!
//! Nothing else of the server changes, and nothing is asked of its deployments: the chutes ran on all the time. The old key is
//! refused from the moment the new one is pinned: requests by the token route, tokens by the operator, which makes the agent's
//! account anew. Before the agent hears anything it is asked who it is, so that no other server's agent is called off its work.

use super::{
    add::{no_agent, stream, tell},
    name_of, refusal, synced,
};
use crate::{
    app::App,
    enrol::{Progress, ReEnrol, same_node},
    http::error::ApiError,
};
use axum::response::Response;
use crd::GpuServer;
use protocol::{ids::Ss58, sign::fingerprint};
use std::sync::Arc;

/// Enrols again and streams the progress. The request was let in as the hotkey's, for this one time.
///
/// # Errors
/// 400, 404, 409, 502, 503 before the stream begins; then nothing was pinned.
pub(super) async fn again(app: Arc<App>, wish: ReEnrol) -> Result<Response, ApiError> {
    let name = wish.name.as_str();
    let server = app.fleet.server(name).await.map_err(|error| refusal(error, name))?;
    let (old, known_api) = may_be(&server, &wish)?;
    let api = wish.agent_api.clone().or(known_api).ok_or_else(|| {
        ApiError::bad_request(format!("agent_api is required: nobody noted where the agent of server {name} is; add --agent-api URL"))
    })?;
    nobody_elses(&app, name, &api)?;

    let look = app.agents.look(&api).await.map_err(|error| no_agent(&api, &error))?;
    same_node(&server, &look.node_name, look.node_uid.as_deref())?;
    if let Some(other) = look.server.as_deref().filter(|other| *other != name) {
        return Err(ApiError::conflict(format!("the agent at {api} serves server {other} already: correct agent_api")));
    }
    let reply = tell(&app, name, &api, &look).await?;
    same_node(&server, &reply.node_name, reply.node_uid.as_deref())?;
    let new: Ss58 =
        reply.node_key.parse().map_err(|error| ApiError::bad_gateway(format!("the agent answered without a usable node key: {error}")))?;

    let pinned = app.fleet.pin(&server, &new, &api).await.map_err(|error| refusal(error, name))?;
    let what = if new == old {
        format!("its node key is the one pinned already, {new} (fingerprint {}); it was told again whom to work for", fingerprint(&new))
    } else {
        format!(
            "node key {new} (fingerprint {}, compare it with the agent's log) is pinned in place of {} (fingerprint {}), which is refused \
             from now on",
            fingerprint(&new),
            old,
            fingerprint(&old)
        )
    };
    app.ledger.event("ServerReEnrolled", name, &format!("enrolled again by a signed request: {what}")).await;
    let first = vec![format!("enrolling the agent of server {name} again: {what}; chutes that run there are not touched")];
    Ok(stream(Arc::clone(&app), name.to_owned(), pinned.metadata.uid.clone(), first, Progress::of_known(&pinned, new)))
}

/// Whether this server's agent may be enrolled again at all. Returns the key that is pinned and where the agent was.
fn may_be(server: &GpuServer, wish: &ReEnrol) -> Result<(Ss58, Option<String>), ApiError> {
    let name = name_of(server);
    if server.metadata.deletion_timestamp.is_some() {
        return Err(ApiError::conflict(format!("server {name} is being deleted: its agent is not enrolled again")));
    }
    let agent = server.spec.driver.agent.as_ref().ok_or_else(|| {
        ApiError::bad_request(format!("server {name} is driven over its kubeconfig: it has no agent that could be enrolled again"))
    })?;
    wish.fits(server)?;
    Ok((agent.node_key.clone(), agent.api.clone()))
}

fn nobody_elses(app: &App, name: &str, api: &str) -> Result<(), ApiError> {
    let view = synced(app)?;
    let is_at = |server: &GpuServer| server.spec.driver.agent.as_ref().and_then(|agent| agent.api.as_deref()) == Some(api);
    let taken = view.servers.iter().find(|server| name_of(server) != name && is_at(server));
    taken.map_or(Ok(()), |server| {
        Err(ApiError::conflict(format!("the agent at {api} is that of server {}: correct agent_api", name_of(server))))
    })
}
