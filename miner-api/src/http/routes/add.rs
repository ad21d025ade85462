//! `POST /servers/`: checks, enrols, creates the resource, then shows how the operator gets on.
//!
//! Creating is all that happens here; provisioning is the operator's, so a client that hangs up harms nothing. Everything that
//! can be checked here is checked before the agent hears of it: enrolling an agent under another name would cut off the
//! server it serves already.

use super::{name_of, re_enrol, refusal, synced};
use crate::{
    app::App,
    enrol::{AddServer, Driver, Facts, Progress, ReEnrol, build},
    http::{
        auth::{Effect, admit_body},
        body,
        error::ApiError,
        sse,
    },
    ports::{
        agents::{AgentStatus, EnrolError, EnrolOrder, EnrolReply},
        fleet::View,
    },
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use bytes::Bytes;
use crd::GpuServer;
use protocol::sign::fingerprint;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

/// The name of the Secret that keeps a remote server's kubeconfig.
const KUBECONFIG_SECRET: &str = "kubeconfig";
/// Looks again even if no change was announced.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Adds a server, or enrols the agent of a known one again (`"re_enrol": true`), and streams the progress.
///
/// # Errors
/// 400, 401, 409, 422, 500, 502, 503 before the stream begins.
pub async fn add(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let body = body::read(&headers, body).await?;
    let signers = [app.hotkey().clone()];
    admit_body(&app, &headers, &body.raw, &signers, Effect::Change).await?;
    let fields = body.object()?;
    if ReEnrol::is_meant(fields)? {
        return re_enrol::again(app, ReEnrol::read(fields)?).await;
    }
    let add = AddServer::read(fields)?;
    let view = synced(&app)?;
    not_there_yet(&view, &add)?;
    supported(&app, &view, &add).await?;

    let name = add.name.as_str();
    let server = match &add.driver {
        Driver::Agent { api } => {
            let look = app.agents.look(api).await.map_err(|error| no_agent(api, &error))?;
            let reply = tell(&app, name, api, &look).await?;
            build(&add, &Facts::Agent(reply))?
        }
        Driver::Remote { .. } => build(&add, &Facts::Remote { secret: KUBECONFIG_SECRET.to_owned() })?,
    };
    let created = app.fleet.create_server(&server).await.map_err(|error| refusal(error, name))?;
    // After the server, whose name nobody else can take now: a kubeconfig must not outlive a creation that was refused, nor
    // replace that of a server which somebody else added meanwhile. The operator waits for it.
    if let Driver::Remote { kubeconfig, .. } = &add.driver {
        keep(&app, &created, kubeconfig).await?;
    }
    let how = match &server.spec.driver.agent {
        Some(agent) => {
            // Of the key that is pinned, not of what the agent says: whoever sits between could say anything.
            let fingerprint = fingerprint(&agent.node_key);
            format!("with node key {} (fingerprint {fingerprint}, compare it with the agent's log)", agent.node_key)
        }
        None => "driven over its kubeconfig".to_owned(),
    };
    app.ledger
        .event("ServerAdded", name, &format!("added by a signed request, {} x {}, {how}", server.spec.gpu_count, server.spec.gpu_ref))
        .await;

    let first = vec![
        format!("attempting to add node {name} to inventory, {how}..."),
        format!("server {name} now tracked in database, provisioning verification resources..."),
    ];
    Ok(stream(app, name.to_owned(), created.metadata.uid, first, Progress::default()))
}

/// Tells the agent that was just looked at whom to work for.
pub(super) async fn tell(app: &App, server: &str, api: &str, look: &AgentStatus) -> Result<EnrolReply, ApiError> {
    let order = EnrolOrder {
        server: server.to_owned(),
        control_url: app.enrol.control_url.clone(),
        ca_pem: app.enrol.ca_pem.clone(),
        miner: app.hotkey().to_string(),
        node_key: look.node_key.clone(),
    };
    let reply = app.agents.enrol(api, &order).await.map_err(|error| no_agent(api, &error))?;
    if reply.node_key != look.node_key {
        return Err(ApiError::bad_gateway(format!("the agent at {api} named two different node keys; nothing was pinned, try again")));
    }
    Ok(reply)
}

/// Keeps the kubeconfig of a server just created; where that fails, the server is taken back.
async fn keep(app: &App, created: &GpuServer, kubeconfig: &str) -> Result<(), ApiError> {
    let name = name_of(created);
    let kept = async {
        app.fleet.ensure_namespace(name).await?;
        app.fleet.keep_kubeconfig(name, kubeconfig).await
    };
    let Err(error) = kept.await else { return Ok(()) };
    let mut answer = refusal(error, name);
    if let Err(undo) = app.fleet.delete_server(created, false).await {
        tracing::warn!(server = name, error = %undo, "a server without its kubeconfig could not be taken back");
        if let serde_json::Value::String(detail) = &mut answer.detail {
            detail.push_str(&format!(
                "; the server stays without its kubeconfig: remove it with chutes-miner delete-node --name {name}, then add it again"
            ));
        }
    }
    Err(answer)
}

fn not_there_yet(view: &View, add: &AddServer) -> Result<(), ApiError> {
    let name = add.name.as_str();
    if let Some(server) = view.servers.iter().find(|server| name_of(server) == name) {
        let mut text = format!("Server with name={name} is already provisioned!");
        if server.spec.driver.agent.is_some() && matches!(add.driver, Driver::Agent { .. }) {
            text += &format!(
                " If its agent lost its state, and with it the node key, enrol it again; its chutes run on: chutes-miner add-node --name {name} --re-enrol"
            );
        }
        return Err(ApiError::conflict(text));
    }
    let Driver::Agent { api } = &add.driver else { return Ok(()) };
    let taken = view.servers.iter().find(|server| server.spec.driver.agent.as_ref().and_then(|agent| agent.api.as_ref()) == Some(api));
    taken.map_or(Ok(()), |server| {
        Err(ApiError::conflict(format!(
            "the agent at {api} serves server {} already: delete that first, or correct agent_api",
            name_of(server)
        )))
    })
}

async fn supported(app: &App, view: &View, add: &AddServer) -> Result<(), ApiError> {
    if !view.validators.iter().any(|validator| validator.spec.hotkey == add.validator) {
        return Err(ApiError::bad_request(format!(
            "validator {} is not known here: create a Validator resource for it first",
            add.validator
        )));
    }
    // 500 as the existing miner answers, whose scripts know it.
    let gpus = app.validators.supported_gpus(&add.validator).await.map_err(|cause| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("Error fetching validator's supported GPUs to check short ref: {cause}"))
    })?;
    if gpus.contains(add.gpu_short_ref.as_str()) {
        return Ok(());
    }
    let known = gpus.into_iter().collect::<Vec<_>>().join(", ");
    Err(ApiError::bad_request(format!("{} is not supported by validator {}: {{{known}}}", add.gpu_short_ref, add.validator)))
}

pub(super) fn no_agent(api: &str, error: &EnrolError) -> ApiError {
    let advice = match error {
        EnrolError::Unreachable(_) => "is the agent running there, and the port open to this address?",
        EnrolError::Refused { status: 401, .. } => "was the agent installed for another hotkey, or is its clock off by more than 30 s?",
        EnrolError::Refused { .. } => "the agent's log says more",
    };
    ApiError::bad_gateway(format!("Failed to enrol the agent at {api}:\n{error}; {advice}"))
}

/// The stream: known lines first, then what the conditions say, until the end.
pub(super) fn stream(app: Arc<App>, name: String, uid: Option<String>, first: Vec<String>, mut progress: Progress) -> Response {
    let (lines, receiver) = mpsc::channel::<String>(64);
    let clock = app.clock.clone();
    tokio::spawn(async move {
        let started = Instant::now();
        let mut changes = app.fleet.server_changes();
        let mut seen = false;
        for line in first {
            if lines.send(line).await.is_err() {
                return;
            }
        }
        loop {
            let view = app.fleet.view();
            let server = view.servers.iter().find(|server| name_of(server) == name && (uid.is_none() || server.metadata.uid == uid));
            seen |= server.is_some();
            // The cache may not hold yet what was just created.
            if seen || started.elapsed() > Duration::from_secs(30) {
                let step = progress.step(server.map(AsRef::as_ref), started.elapsed());
                for line in step.lines {
                    if lines.send(line).await.is_err() {
                        return;
                    }
                }
                if step.done {
                    return;
                }
            }
            tokio::select! {
                () = lines.closed() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    });
    let events = ReceiverStream::new(receiver).map(move |line| Ok::<Bytes, Infallible>(sse::event(clock.now(), &line)));
    // A bare response: the existing miner sends no content type here.
    Response::new(Body::from_stream(events))
}
