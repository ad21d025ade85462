//! Several endpoints as one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::RpcOptions;
use super::connection::{Connection, Subscription};
use super::error::{RpcError, shown};

/// A connection that the node ends sooner than this counts as a failure.
const YOUNG: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Endpoint {
    url: Url,
    /// How often it failed since its last answer.
    failures: u32,
    /// Not tried before.
    rest_until: Option<Instant>,
    why: String,
}

impl Endpoint {
    fn rests(&self) -> bool {
        self.rest_until.is_some_and(|until| until > Instant::now())
    }
}

#[derive(Debug)]
struct State {
    endpoints: Vec<Endpoint>,
    /// Index of the endpoint to prefer.
    preferred: usize,
    connection: Option<Connection>,
}

/// Endpoints of one chain in order of preference. One at a time is used.
#[derive(Debug)]
pub struct Pool {
    options: Arc<RpcOptions>,
    /// Configured, or that of the first endpoint that was connected: pools of the same chain share it.
    genesis: Arc<OnceLock<String>>,
    /// Never held over anything that takes time.
    state: Mutex<State>,
    /// Held while connecting: callers wait for one connect instead of making one each.
    connecting: Mutex<()>,
}

impl Pool {
    /// A pool that connects when it is first asked. With a `genesis` hash, endpoints of other chains are not used; without one, none but
    /// those of the chain that was connected first.
    pub fn new(urls: Vec<Url>, genesis: Option<[u8; 32]>, options: RpcOptions) -> Self {
        let endpoints = urls.into_iter().map(|url| Endpoint { url, failures: 0, rest_until: None, why: String::new() }).collect();
        let pinned = OnceLock::new();
        if let Some(hash) = genesis {
            let _ = pinned.set(format!("0x{}", hex::encode(hash)));
        }
        Self {
            options: Arc::new(options),
            genesis: Arc::new(pinned),
            state: Mutex::new(State { endpoints, preferred: 0, connection: None }),
            connecting: Mutex::default(),
        }
    }

    /// Other endpoints of the same chain, whichever of both is connected first.
    #[must_use]
    pub(in crate::read) fn beside(&self, urls: Vec<Url>) -> Self {
        let mut pool = Self::new(urls, None, (*self.options).clone());
        pool.genesis = Arc::clone(&self.genesis);
        pool
    }

    /// Asks. When an endpoint fails, the others are asked in turn, and the only one once more over a new connection.
    ///
    /// # Errors
    ///
    /// The last endpoint's error; [`RpcError::Unreachable`] when none can be connected; [`RpcError::Timeout`] when all of that takes
    /// longer than two connects and an answer may.
    pub async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        self.ask(method, params, false).await.map(|(value, _)| value)
    }

    /// As [`Pool::call`], with the connection that answered. With `something`, `null` is only an answer when no endpoint has a better one.
    pub(in crate::read) async fn ask(&self, method: &'static str, params: Value, something: bool) -> Result<(Value, Connection), RpcError> {
        let after = self.options.connect_timeout.saturating_mul(2).saturating_add(self.options.request_timeout);
        let late = || Err(RpcError::Timeout { endpoint: "the chain's endpoints".to_owned(), method, after });
        timeout(after, self.attempts(method, params, something)).await.unwrap_or_else(|_| late())
    }

    async fn attempts(&self, method: &'static str, params: Value, something: bool) -> Result<(Value, Connection), RpcError> {
        let (mut attempt, mut nothing) = (0, None);
        loop {
            attempt += 1;
            let (connection, count) = match (self.connection().await, nothing.take()) {
                (Ok(found), before) => {
                    nothing = before;
                    found
                }
                // Those that can be reached have been asked.
                (Err(_), Some(answer)) => return answer,
                (Err(error), None) => return Err(error),
            };
            match connection.call(method, params.clone()).await {
                Ok(Value::Null) if something && attempt < count => {
                    self.pass(&connection).await;
                    nothing = Some(Ok((Value::Null, connection)));
                }
                Err(error @ RpcError::UnknownBlock { .. }) if attempt < count => {
                    self.pass(&connection).await;
                    nothing = Some(Err(error));
                }
                Err(error) if error.is_overload() => {
                    self.spare(&connection, &error).await;
                    if attempt >= count {
                        return nothing.unwrap_or(Err(error));
                    }
                }
                Err(error) if error.is_passing() && !matches!(error, RpcError::UnknownBlock { .. }) => {
                    self.leave(&connection, &error).await;
                    if attempt > count {
                        return nothing.unwrap_or(Err(error));
                    }
                }
                other => return other.map(|value| (value, connection)),
            }
        }
    }

    /// Subscribes at the endpoint in use.
    ///
    /// # Errors
    ///
    /// As [`Pool::call`].
    pub async fn subscribe(&self, method: &'static str, params: Value) -> Result<Subscription, RpcError> {
        let (connection, _) = self.connection().await?;
        let result = connection.subscribe(method, params).await;
        if let Err(error) = &result
            && error.is_passing()
        {
            self.leave(&connection, error).await;
        }
        result
    }

    /// How many endpoints there are.
    pub(in crate::read) async fn count(&self) -> usize {
        self.state.lock().await.endpoints.len()
    }

    /// Moves on to the next endpoint: the one in use answers, but wrongly.
    pub async fn distrust(&self, why: &str) {
        let mut state = self.state.lock().await;
        state.connection = None;
        self.rest(&mut state, why.to_owned(), true);
    }

    /// As [`Pool::distrust`], but only if that connection still is the one in use.
    pub(in crate::read) async fn distrust_of(&self, wrong: &Connection, why: &str) {
        let mut state = self.state.lock().await;
        if state.connection.as_ref().is_some_and(|current| current.same_as(wrong)) {
            tracing::debug!(why, endpoint = wrong.endpoint(), "leaving an endpoint of the chain that answers wrongly");
            state.connection = None;
            self.rest(&mut state, why.to_owned(), wrong.has_answered());
        }
    }

    /// Host and port of the endpoint in use; `None` while there is none.
    pub async fn endpoint(&self) -> Option<String> {
        let state = self.state.lock().await;
        state.connection.as_ref().filter(|connection| connection.is_open())?;
        state.endpoints.get(state.preferred).map(|endpoint| shown(&endpoint.url))
    }

    /// The open connection or a new one, and how many endpoints there are.
    pub(in crate::read) async fn connection(&self) -> Result<(Connection, usize), RpcError> {
        if let Some(found) = self.current().await {
            return found;
        }
        let _one = self.connecting.lock().await;
        match self.current().await {
            // Somebody else connected meanwhile.
            Some(found) => found,
            None => self.connect().await,
        }
    }

    /// The open connection, or why there shall be none now; `None` when one is to be made.
    async fn current(&self) -> Option<Result<(Connection, usize), RpcError>> {
        let mut state = self.state.lock().await;
        let count = state.endpoints.len();
        let connection = state.connection.clone()?;
        let spared = state.endpoints.get(state.preferred).is_some_and(Endpoint::rests);
        match (connection.is_open(), spared) {
            (true, false) => Some(Ok((connection, count))),
            // The only endpoint, which asked for fewer requests: its connection is kept meanwhile.
            (true, true) => Some(Err(Self::unreachable(&state))),
            (false, _) => {
                state.connection = None;
                if connection.age() < YOUNG {
                    let why = format!("{}: the connection ended at once", connection.endpoint());
                    self.rest(&mut state, why, connection.has_answered());
                }
                None
            }
        }
    }

    /// Tries the endpoints in order of preference. One that is slow to connect does not hold up the next: that is begun, too, and the first
    /// that can be used is taken.
    async fn connect(&self) -> Result<(Connection, usize), RpcError> {
        let (urls, count) = {
            let state = self.state.lock().await;
            let count = state.endpoints.len();
            let order = (0..count).map(|step| (state.preferred + step) % count);
            let urls = order.filter_map(|index| Some((index, state.endpoints.get(index)?)));
            (urls.filter(|(_, endpoint)| !endpoint.rests()).map(|(index, one)| (index, one.url.clone())).collect::<Vec<_>>(), count)
        };
        let mut waiting = urls.into_iter();
        let mut begun = FuturesUnordered::new();
        loop {
            if begun.is_empty() || waiting.len() > 0 {
                match waiting.next() {
                    Some((index, url)) => begun.push(async move { (index, self.open(&url).await) }),
                    None => {
                        let state = self.state.lock().await;
                        return Err(Self::unreachable(&state));
                    }
                }
            }
            let ended = tokio::select! {
                ended = begun.next() => ended,
                () = sleep(self.options.connect_timeout / 4), if waiting.len() > 0 => None,
            };
            match ended {
                Some((index, Ok(connection))) => {
                    let mut state = self.state.lock().await;
                    state.preferred = index;
                    state.connection = Some(connection.clone());
                    return Ok((connection, count));
                }
                Some((_, Err(error @ (RpcError::NoTlsProvider | RpcError::Trust { .. })))) => return Err(error),
                Some((index, Err(error))) => {
                    tracing::debug!(%error, "an endpoint of the chain cannot be used");
                    let mut state = self.state.lock().await;
                    self.rest_at(&mut state, index, error.to_string(), false);
                }
                None => {}
            }
        }
    }

    fn unreachable(state: &State) -> RpcError {
        RpcError::Unreachable(if state.endpoints.is_empty() {
            vec!["none is configured".to_owned()]
        } else {
            state.endpoints.iter().map(|endpoint| endpoint.why.clone()).collect()
        })
    }

    /// A new connection to the right chain, in the time that a connect may take.
    async fn open(&self, url: &Url) -> Result<Connection, RpcError> {
        const METHOD: &str = "chain_getBlockHash";
        let after = self.options.connect_timeout;
        let opened = async {
            let connection = Connection::open(url, Arc::clone(&self.options)).await?;
            let found = connection.call(METHOD, json!([0])).await?;
            // What is no hash shall not be what others are compared with.
            let hash = found.as_str().filter(|text| text.len() == 66).unwrap_or("unknown").to_owned();
            if hash == "unknown" || *self.genesis.get_or_init(|| hash.clone()) != hash {
                let wanted = self.genesis.get().cloned().unwrap_or_else(|| "a hash".to_owned());
                return Err(RpcError::WrongChain { endpoint: shown(url), found: hash, wanted });
            }
            connection.forget_answers();
            Ok(connection)
        };
        let late = || Err(RpcError::Timeout { endpoint: shown(url), method: METHOD, after });
        timeout(after, opened).await.unwrap_or_else(|_| late())
    }

    /// After a failure on an open connection.
    pub(in crate::read) async fn leave(&self, failed: &Connection, error: &RpcError) {
        let mut state = self.state.lock().await;
        // Somebody else may have moved on already.
        if state.connection.as_ref().is_some_and(|current| current.same_as(failed)) {
            tracing::debug!(%error, "leaving an endpoint of the chain");
            state.connection = None;
            self.rest(&mut state, error.to_string(), failed.has_answered());
        }
    }

    /// After an answer that the endpoint has too much to do: others are asked; the only one keeps its connection, and its peace.
    pub(in crate::read) async fn spare(&self, busy: &Connection, error: &RpcError) {
        let mut state = self.state.lock().await;
        if state.connection.as_ref().is_some_and(|current| current.same_as(busy)) {
            let alone = state.endpoints.len() == 1;
            if !alone {
                state.connection = None;
            }
            let before = state.preferred;
            self.rest(&mut state, error.to_string(), busy.has_answered());
            busy.forget_answers();
            let wait = self.step(1);
            if let Some(endpoint) = state.endpoints.get_mut(before).filter(|_| alone) {
                endpoint.rest_until = endpoint.rest_until.max(Some(Instant::now() + wait));
            }
        }
    }

    /// Goes on to the next endpoint, without anything against this one: it only does not know what the next one may know.
    async fn pass(&self, connection: &Connection) {
        let mut state = self.state.lock().await;
        if state.connection.as_ref().is_some_and(|current| current.same_as(connection)) {
            state.connection = None;
            state.preferred = (state.preferred + 1) % state.endpoints.len().max(1);
        }
    }

    /// Lets the preferred endpoint rest, and prefers the next one. The only one rests just after its second failure without an answer
    /// in between, because a cut connection is no sign of a dead node.
    fn rest(&self, state: &mut State, why: String, answered: bool) {
        self.rest_at(state, state.preferred, why, answered);
    }

    fn rest_at(&self, state: &mut State, index: usize, why: String, answered: bool) {
        let count = state.endpoints.len();
        if let Some(endpoint) = state.endpoints.get_mut(index) {
            let before = if answered { 0 } else { endpoint.failures };
            endpoint.failures = before.saturating_add(1);
            let wait = if before == 0 && count == 1 { Duration::ZERO } else { self.step(before) };
            endpoint.rest_until = Some(Instant::now() + wait);
            endpoint.why = why;
            if index == state.preferred {
                state.preferred = (index + 1) % count.max(1);
            }
        }
    }

    /// The wait after so many failures, with chance in it, so that clients do not come back all at once.
    fn step(&self, failures: u32) -> Duration {
        let (shortest, longest) = self.options.backoff;
        shortest.saturating_mul(1 << failures.min(16)).min(longest).mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }
}
