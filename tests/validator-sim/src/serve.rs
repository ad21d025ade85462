//! Connections: accepted one by one, so that a fault can close one without an answer.

use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::http::{Hangup, Peer};

/// Why a connection closes early.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault of the test")]
struct Dropped;

/// Pause after a failed accept, so that a lack of descriptors does not spin.
const BREATHER: Duration = Duration::from_millis(50);

/// Serves `router` until `stop`.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BREATHER).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let answer = hyper::service::Service::call(&service, request.map(Body::new));
            async move {
                let response: Result<Response, Infallible> = answer.await;
                match response {
                    Ok(response) if response.extensions().get::<Hangup>().is_some() => Err(Dropped),
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                }
            }
        });
        let stop = stop.clone();
        connections.spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
            // A client that goes away and a fault that hangs up both end here; neither is news.
            tokio::select! {
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
    connections.close();
    connections.wait().await;
}
