//! One request through the proxy: rules before, the upstream, rules after.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use super::action::{Action, Hook, Then, When};
use super::body::{OutBody, Recorder, Relay, whole};
use super::book::{Outcome, RuleId};
use super::line::Tap;
use super::lists::Key;
use super::proxy::Shared;
use super::pump::{Counts, pump};
use super::refusal::expired_event;
use super::seen::Seen;
use super::upstream::{UpBody, strip_hops};

/// The largest body of a request that is gathered before it is forwarded.
const LARGEST_REQUEST_BYTES: usize = 64 << 20;

/// What the client gets.
pub(super) enum Reply {
    Answer(Response<OutBody>),
    /// Nothing, for as long as it waits.
    Silence,
    /// A closed connection.
    Close,
}

/// The connection to the upstream that belongs to one of the client's.
pub(super) type Slot = Arc<Mutex<Option<SendRequest<UpBody>>>>;

/// How the request goes on after a phase of rules.
enum Phase {
    On,
    Ends(Reply, Outcome),
}

/// Serves one request from its head to the head of its answer.
pub(super) async fn exchange(shared: Arc<Shared>, slot: Slot, mut tap: Tap, mut request: Request<Incoming>) -> Reply {
    let client_upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let Ok((body, text)) = gather(body).await else { return Reply::Close };
    let mut seen = Seen::classify(head.method.clone(), head.uri.path(), head.uri.query().unwrap_or_default(), &text);
    seen.is_write |= shared.also_writes.iter().any(|matcher| matcher.holds(&seen));
    seen.at = Instant::now();
    let key = Key::of(&seen, &head.headers);
    let recorded = key.as_ref().and_then(|key| shared.lists.get(key));
    let (seen, actions) = shared.book.admit(seen, |action| match action {
        Action::StaleList => recorded.is_some(),
        Action::Gone410 => seen_is_watch(&head.method, head.uri.path(), head.uri.query()),
        _ => true,
    });
    let call = Exchange { shared: &shared, seen: &seen, actions: &actions };
    for (rule, action) in call.of(When::Before) {
        let stale = || recorded.as_ref().map(|answer| respond(answer.status, answer.headers.clone(), answer.body.clone()));
        if let Phase::Ends(reply, outcome) = call.before(*rule, action, stale).await {
            shared.book.close(seen.n, outcome);
            return reply;
        }
    }
    if !tap.up().await {
        shared.book.close(seen.n, Outcome::DroppedBefore);
        return Reply::Close;
    }
    let forwarded = match shared.upstream.readdress(Request::from_parts(head, body)) {
        Ok(request) => shared.upstream.send(&mut *slot.lock().await, request).await,
        Err(error) => Err(error),
    };
    let response = match forwarded {
        Ok(response) => response,
        Err(error) => {
            shared.book.close(seen.n, Outcome::Unreachable(error.to_string()));
            return Reply::Close;
        }
    };
    let status = response.status().as_u16();
    let mut cut = None;
    for (rule, action) in call.of(When::After) {
        if let Phase::Ends(reply, outcome) = call.after(*rule, action, status, &mut cut).await {
            shared.book.close(seen.n, outcome);
            return reply;
        }
    }
    if !tap.down().await {
        shared.book.close(seen.n, Outcome::DroppedAfter(status));
        return Reply::Close;
    }
    shared.book.close(seen.n, Outcome::Answered(status));
    Reply::Answer(match client_upgrade {
        Some(client) if response.status() == StatusCode::SWITCHING_PROTOCOLS => tunnel(client, response, tap, cut),
        _ => relay(&shared, &seen, key, response, tap, cut),
    })
}

fn seen_is_watch(method: &Method, path: &str, query: Option<&str>) -> bool {
    Seen::classify(method.clone(), path, query.unwrap_or_default(), b"").is_watch
}

/// A body of known length as a whole, so that a client that dies meanwhile does not cut it; any other as it comes.
async fn gather(body: Incoming) -> Result<(UpBody, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    if body.size_hint().exact().is_none() {
        return Ok((Either::Right(body), Bytes::new()));
    }
    let bytes = Limited::new(body, LARGEST_REQUEST_BYTES).collect().await?.to_bytes();
    Ok((Either::Left(Full::new(bytes.clone())), bytes))
}

struct Exchange<'a> {
    shared: &'a Shared,
    seen: &'a Seen,
    actions: &'a [(RuleId, Action)],
}

impl Exchange<'_> {
    fn of(&self, when: When) -> impl Iterator<Item = &(RuleId, Action)> {
        self.actions.iter().filter(move |(_, action)| action.when() == when)
    }

    async fn before(&self, rule: RuleId, action: &Action, stale: impl FnOnce() -> Option<Response<OutBody>>) -> Phase {
        let dropped = |reply| Phase::Ends(reply, Outcome::DroppedBefore);
        let phase = match action {
            Action::Delay(by) => {
                tokio::time::sleep(*by).await;
                Phase::On
            }
            Action::Refuse(refusal) => {
                let answer = respond(refusal.status(), refusal.headers(), refusal.body());
                Phase::Ends(Reply::Answer(answer), Outcome::Refused(refusal.status().as_u16()))
            }
            Action::DropBefore => dropped(Reply::Close),
            Action::Hang => dropped(Reply::Silence),
            Action::StaleList => stale().map_or(Phase::On, |answer| Phase::Ends(Reply::Answer(answer), Outcome::Stale)),
            Action::Gone410 => {
                let json = HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"))]);
                Phase::Ends(Reply::Answer(respond(StatusCode::OK, json, expired_event())), Outcome::Refused(410))
            }
            Action::Call(_, hook) => match run(hook, self.seen).await {
                Then::Go => Phase::On,
                Then::Drop => dropped(Reply::Close),
            },
            Action::DropAfter | Action::DelayAnswer(_) | Action::HangAfter | Action::CutBody(_) => return Phase::On,
        };
        self.shared.book.fired(rule);
        phase
    }

    async fn after(&self, rule: RuleId, action: &Action, status: u16, cut: &mut Option<u64>) -> Phase {
        let dropped = |reply| Phase::Ends(reply, Outcome::DroppedAfter(status));
        let phase = match action {
            Action::DropAfter => dropped(Reply::Close),
            Action::HangAfter => dropped(Reply::Silence),
            Action::DelayAnswer(by) => {
                tokio::time::sleep(*by).await;
                Phase::On
            }
            Action::CutBody(bytes) => {
                *cut = Some(*bytes);
                Phase::On
            }
            Action::Call(_, hook) => match run(hook, self.seen).await {
                Then::Go => Phase::On,
                Then::Drop => dropped(Reply::Close),
            },
            Action::Refuse(_) | Action::DropBefore | Action::Delay(_) | Action::Hang | Action::StaleList | Action::Gone410 => {
                return Phase::On;
            }
        };
        self.shared.book.fired(rule);
        phase
    }
}

/// Runs a hook where it may block. One that panics has said so on its thread; its request is dropped.
pub(super) async fn run(hook: &Hook, seen: &Seen) -> Then {
    let (hook, seen) = (Arc::clone(hook), seen.clone());
    tokio::task::spawn_blocking(move || hook(&seen)).await.unwrap_or(Then::Drop)
}

fn respond(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Response<OutBody> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    strip_hops(response.headers_mut());
    response
}

fn relay(shared: &Shared, seen: &Seen, key: Option<Key>, response: Response<Incoming>, tap: Tap, cut: Option<u64>) -> Response<OutBody> {
    let (mut head, body) = response.into_parts();
    strip_hops(&mut head.headers);
    let recorder = key.filter(|_| head.status.is_success()).map(|key| Recorder::new(Arc::clone(&shared.lists), key, &head));
    let expiry = (seen.is_watch && head.status.is_success()).then(|| shared.expiry.subscribe());
    Response::from_parts(head, Relay::new(body, tap).cut(cut).expiry(expiry).record(recorder).into_body())
}

/// Joins the two connections once both ends have left HTTP behind.
fn tunnel(client: OnUpgrade, mut response: Response<Incoming>, mut tap: Tap, cut: Option<u64>) -> Response<OutBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    strip_hops(&mut head.headers);
    tokio::spawn(async move {
        let joined = tokio::select! {
            () = tap.severed() => return,
            joined = async { tokio::try_join!(client, upstream) } => joined,
        };
        if let Ok((client, upstream)) = joined {
            pump(TokioIo::new(client), TokioIo::new(upstream), tap, cut, &Counts::default()).await;
        }
    });
    Response::from_parts(head, whole(Bytes::new()))
}
