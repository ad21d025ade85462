//! Asking the validator, list by list. A list that fails leaves what is known as it is; its age tells.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use store::{Topic, Wakeups};
use tokio::sync::watch;
use tokio::time::Instant;
use validator::{Listing, ValidatorClient, ValidatorError};

use super::View;
use crate::Timing;

/// A list of what we have there that takes longer is given up: it is short, and all that launches and stops hangs on it.
const LIMIT: Duration = Duration::from_secs(30);

/// Demand is public, one large answer for everybody: a burst of wake-ups asks for it once.
const DEMAND_APART: Duration = Duration::from_secs(5);

/// Polls for ever; abort the task to end it. What is offered comes as one large list for everybody, which may be slow: what we hold
/// does not wait for it.
pub(super) async fn run(client: ValidatorClient, redis_url: String, timing: Timing, out: watch::Sender<Arc<View>>) {
    tokio::join!(offers(&client, &timing, &out), holdings(&client, &redis_url, &timing, &out));
}

async fn offers(client: &ValidatorClient, timing: &Timing, out: &watch::Sender<Arc<View>>) {
    loop {
        let began = Instant::now();
        // The client limits these calls.
        if let Some(listing) = heard(client, "chutes", client.chutes().await) {
            tell(out, |view| view.chutes(listing));
        }
        // Only validators since 2026 have this list.
        if let Ok(listing) = client.servers().await {
            tell(out, |view| view.servers(listing));
        }
        tokio::time::sleep_until(began + timing.poll_chutes).await;
        // After a slow answer, too.
        tokio::time::sleep(Duration::from_secs(1).min(timing.poll)).await;
    }
}

async fn holdings(client: &ValidatorClient, redis_url: &str, timing: &Timing, out: &watch::Sender<Arc<View>>) {
    let mut wakeups = match Wakeups::subscribe(redis_url, &[Topic::Instances]) {
        Ok(wakeups) => Some(wakeups),
        Err(error) => {
            tracing::warn!(%error, "no wake-ups; polling only");
            None
        }
    };
    let mut demand_due = Instant::now();
    loop {
        let now = Instant::now();
        let demand = now >= demand_due;
        if demand {
            demand_due = now + DEMAND_APART.min(timing.poll);
        }
        round(client, demand, out).await;
        match &mut wakeups {
            Some(wakeups) => {
                wakeups.recv_or_tick(timing.poll).await;
                // Several events come together; one look serves them all.
                tokio::time::sleep(Duration::from_millis(100).min(timing.poll)).await;
            }
            None => tokio::time::sleep(timing.poll).await,
        }
    }
}

/// Each list is told as soon as it is there: one that does not come takes nothing from the others.
async fn round(client: &ValidatorClient, demand: bool, out: &watch::Sender<Arc<View>>) {
    // The inventory last: it is the second side of what the list of instances says.
    if let Some(listing) = in_time(client, "instances", client.instances()).await {
        tell(out, |view| view.instances(listing));
    }
    if let Some(listing) = in_time(client, "inventory", client.inventory()).await {
        tell(out, |view| view.inventory(listing));
    }
    if let Some(listing) = in_time(client, "nodes", client.nodes()).await {
        tell(out, |view| view.nodes(listing));
    }
    // After the instances: what of ours they show, the validator has counted.
    if demand && let Some(listing) = in_time(client, "utilization", client.utilization()).await {
        tell(out, |view| view.utilization(listing));
    }
}

fn tell(out: &watch::Sender<Arc<View>>, change: impl FnOnce(&mut View)) {
    out.send_modify(|view| change(Arc::make_mut(view)));
}

async fn in_time<T>(
    client: &ValidatorClient,
    list: &str,
    answer: impl Future<Output = Result<Listing<T>, ValidatorError>>,
) -> Option<Listing<T>> {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => heard(client, list, answer),
        Err(_) => {
            tracing::warn!(validator = %client.validator(), list, "no list within {} s", LIMIT.as_secs());
            None
        }
    }
}

fn heard<T>(client: &ValidatorClient, list: &str, answer: Result<Listing<T>, ValidatorError>) -> Option<Listing<T>> {
    match answer {
        Ok(listing) => {
            if !listing.completeness.is_complete() {
                tracing::info!(validator = %client.validator(), list, completeness = ?listing.completeness, "an incomplete list");
            }
            Some(listing)
        }
        Err(error) => {
            tracing::warn!(validator = %client.validator(), list, %error, "no list");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use protocol::key::Keypair;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use validator::ValidatorConfig;

    /// Lists that do not come: the connection stays open and silent.
    type Slow = Arc<Mutex<BTreeSet<&'static str>>>;

    async fn answer(mut stream: TcpStream, slow: Slow) {
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        if slow.lock().unwrap().iter().any(|list| line.contains(list)) {
            return std::future::pending().await;
        }
        let body = if line.contains("/miner/inventory") { "[]" } else { "data: NO_ITEMS" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all((head + body).as_bytes()).await;
    }

    /// A validator that holds nothing of ours, polled ten times a second.
    async fn polled(slow: &[&'static str]) -> (watch::Receiver<Arc<View>>, Slow, impl Drop + use<>) {
        let slow: Slow = Arc::new(Mutex::new(slow.iter().copied().collect()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api: url::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let lists = Arc::clone(&slow);
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&lists)));
            }
        };
        service::tls::install_provider();
        let key = Arc::new(Keypair::generate());
        let config = ValidatorConfig { hotkey: key.address().clone(), api: api.clone(), socket: api };
        let client = ValidatorClient::new(config, key).unwrap();
        let tick = Duration::from_millis(100);
        let timing = Timing { poll: tick, poll_chutes: tick, ..Timing::default() };
        let (out, view) = watch::channel(Arc::new(View::new(tick, tick)));
        let poll = async move {
            tokio::join!(serve, run(client, "redis://127.0.0.1:1".to_owned(), timing, out));
        };
        (view, slow, tokio_util::task::AbortOnDropHandle::new(tokio::spawn(poll)))
    }

    #[tokio::test]
    async fn a_list_of_chutes_that_never_comes_leaves_all_others_fresh() {
        let (mut view, slow, _polling) = polled(&["/miner/chutes"]).await;
        let mut last = None;
        for _ in 0..3 {
            let next = view.wait_for(|view| view.instances_source().as_of > last).await.unwrap().instances_source();
            assert!(next.complete);
            last = next.as_of;
        }
        assert!(!view.borrow().offers.came_empty());
        // What was in the way was the list alone.
        slow.lock().unwrap().clear();
        let (mut again, _slow, _polling) = polled(&[]).await;
        again.wait_for(|view| view.offers.came_empty()).await.unwrap();
    }

    #[tokio::test]
    async fn a_list_is_told_before_the_next_one_has_come() {
        let (mut view, _slow, _polling) = polled(&["/miner/nodes"]).await;
        let told = view.wait_for(|view| view.instances_source().complete).await.unwrap().nodes_heard();
        assert_eq!(told, None);
        // And the chutes, which nobody holds up.
        view.wait_for(|view| view.offers.came_empty()).await.unwrap();
    }
}
