//! Several endpoints as one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::RpcOptions;
use super::connection::{Connection, Subscription};
use super::error::{RpcError, shown};

#[derive(Debug)]
struct Endpoint {
    url: Url,
    failures: u32,
    /// Not tried before.
    rest_until: Option<Instant>,
    why: String,
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
    genesis: Option<String>,
    // Held while connecting: callers wait for one connect instead of making one each.
    state: Mutex<State>,
}

impl Pool {
    /// A pool that connects when it is first asked. With a `genesis` hash, endpoints of other chains are not used.
    pub fn new(urls: Vec<Url>, genesis: Option<[u8; 32]>, options: RpcOptions) -> Self {
        let endpoints = urls.into_iter().map(|url| Endpoint { url, failures: 0, rest_until: None, why: String::new() }).collect();
        Self {
            options: Arc::new(options),
            genesis: genesis.map(|hash| format!("0x{}", hex::encode(hash))),
            state: Mutex::new(State { endpoints, preferred: 0, connection: None }),
        }
    }

    /// Asks. When an endpoint fails, the others are asked in turn, and the only one once more over a new connection.
    ///
    /// # Errors
    ///
    /// The last endpoint's error; [`RpcError::Unreachable`] when none can be connected.
    pub async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (connection, count) = self.connection().await?;
            match connection.call(method, params.clone()).await {
                Err(error) if error.is_passing() => {
                    self.leave(&connection, &error).await;
                    if attempt > count {
                        return Err(error);
                    }
                }
                other => return other,
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

    /// Moves on to the next endpoint: the one in use answers, but wrongly.
    pub async fn distrust(&self, why: &str) {
        let mut state = self.state.lock().await;
        state.connection = None;
        self.rest(&mut state, why.to_owned());
    }

    /// Host and port of the endpoint in use; `None` while there is none.
    pub async fn endpoint(&self) -> Option<String> {
        let state = self.state.lock().await;
        state.connection.as_ref().filter(|connection| connection.is_open())?;
        state.endpoints.get(state.preferred).map(|endpoint| shown(&endpoint.url))
    }

    /// The open connection or a new one, and how many endpoints there are.
    async fn connection(&self) -> Result<(Connection, usize), RpcError> {
        let mut state = self.state.lock().await;
        let count = state.endpoints.len();
        if let Some(connection) = state.connection.clone().filter(Connection::is_open) {
            return Ok((connection, count));
        }
        for _ in 0..count {
            let now = Instant::now();
            let preferred = state.preferred;
            let Some(endpoint) = state.endpoints.get(preferred) else { break };
            if endpoint.rest_until.is_some_and(|until| until > now) {
                state.preferred = (preferred + 1) % count;
                continue;
            }
            match self.open(&endpoint.url.clone()).await {
                Ok(connection) => {
                    if let Some(endpoint) = state.endpoints.get_mut(preferred) {
                        endpoint.rest_until = None;
                    }
                    state.connection = Some(connection.clone());
                    return Ok((connection, count));
                }
                Err(error @ RpcError::NoTlsProvider) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "an endpoint of the chain cannot be used");
                    self.rest(&mut state, error.to_string());
                }
            }
        }
        Err(RpcError::Unreachable(if count == 0 {
            vec!["none is configured".to_owned()]
        } else {
            state.endpoints.iter().map(|endpoint| endpoint.why.clone()).collect()
        }))
    }

    async fn open(&self, url: &Url) -> Result<Connection, RpcError> {
        let connection = Connection::open(url, Arc::clone(&self.options)).await?;
        if let Some(wanted) = &self.genesis {
            let found = connection.call("chain_getBlockHash", json!([0])).await?;
            if found.as_str() != Some(wanted) {
                let found = found.as_str().unwrap_or("unknown").chars().take(80).collect();
                return Err(RpcError::WrongChain { endpoint: shown(url), found, wanted: wanted.clone() });
            }
        }
        Ok(connection)
    }

    /// After a failure on an open connection.
    async fn leave(&self, failed: &Connection, error: &RpcError) {
        let mut state = self.state.lock().await;
        // Somebody else may have moved on already.
        if state.connection.as_ref().is_some_and(|current| current.same_as(failed)) {
            tracing::debug!(%error, "leaving an endpoint of the chain");
            state.connection = None;
            self.rest(&mut state, error.to_string());
        }
    }

    /// Lets the preferred endpoint rest, and prefers the next one. The only one rests just after its second failure in a row, because a
    /// cut connection is no sign of a dead node.
    fn rest(&self, state: &mut State, why: String) {
        let (shortest, longest) = self.options.backoff;
        let count = state.endpoints.len();
        if let Some(endpoint) = state.endpoints.get_mut(state.preferred) {
            let connected_before = endpoint.rest_until.is_none();
            endpoint.failures = if connected_before { 0 } else { endpoint.failures.saturating_add(1) };
            let step = shortest.saturating_mul(1 << endpoint.failures.min(16)).min(longest);
            let wait = if connected_before && count == 1 { Duration::ZERO } else { step.mul_f64(0.5 + rand::random::<f64>() / 2.0) };
            endpoint.rest_until = Some(Instant::now() + wait);
            endpoint.why = why;
            state.preferred = (state.preferred + 1) % count.max(1);
        }
    }
}
