//! Watches the miner's own hotkey on the chain, in a task of its own: nothing here waits for an endpoint, and nothing is decided by it.

use crate::metrics::Metrics;
use anyhow::{Context as _, Result};
use chain::{
    read::{Chain, ChainConfig, Network},
    survey::{Watched, watch},
};
use protocol::ids::Ss58;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

/// What is known of the hotkey; `None` without endpoints: nothing is watched then.
pub type Known = Option<Receiver<Watched>>;

/// Begins to watch, if there are endpoints: addresses of nodes in order of preference, or the name of one network.
///
/// # Errors
/// An endpoint that is neither. One that cannot be reached is no error, now or later.
pub fn start(
    endpoints: &[String],
    netuid: u16,
    hotkey: &Ss58,
    every: Duration,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<Known> {
    let endpoints: Vec<&str> = endpoints.iter().map(|one| one.trim()).filter(|one| !one.is_empty()).collect();
    if endpoints.is_empty() {
        return Ok(None);
    }
    let mut config = ChainConfig::parse(&endpoints.join(",")).context("--chain-endpoint")?;
    if netuid == 64 && endpoints.iter().all(|one| one.starts_with("wss://")) {
        // Somebody else's machine: a proxy in front of another chain would say that the hotkey is not registered.
        config.genesis = ChainConfig::of(Network::Finney).genesis;
    }
    let (known, work) = watch(Chain::new(config), netuid, hotkey.into(), every);
    let mut news = known.clone();
    let follow = async move {
        while news.changed().await.is_ok() {
            metrics.chain(netuid, &news.borrow_and_update());
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            () = work => {}
            () = follow => {}
            () = shutdown.cancelled() => {}
        }
    });
    Ok(Some(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain_sim::{METADATA_V15, Recording, Sim, World, unpack};
    use prometheus_text::text;
    use serde_json::Value;

    /// The UID that earns most on the recorded subnet.
    const BEST: &str = "5HCFWvRqzSHWRPecN7q8J6c7aKQnrCZTMHstPv39xL1wgDHh";

    mod prometheus_text {
        use crate::metrics::Metrics;
        use service::readiness::Readiness;

        /// What a scrape of the metrics gives.
        pub(super) async fn text(metrics: &Metrics) -> String {
            let mut registry = service::Registry::default();
            metrics.register(&mut registry);
            let shutdown = tokio_util::sync::CancellationToken::new();
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            let admin = service::admin::serve(address, registry, Readiness::new(), shutdown.clone()).await.unwrap();
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let text = http.get(format!("http://{}/metrics", admin.address)).send().await.unwrap().text().await.unwrap();
            shutdown.cancel();
            text
        }
    }

    fn bytes(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap().trim_start_matches("0x");
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// A node on which subnet 64 is as subnet 1 was recorded.
    async fn node() -> Sim {
        let mut world = World::new(6_852_690, 343, unpack(METADATA_V15).unwrap());
        for (_, params, answer) in Recording::shipped().unwrap().exchanges("metagraph").unwrap() {
            if params[0] == "SubnetInfoRuntimeApi_get_selective_mechagraph" {
                let mut arguments = bytes(&params[1]);
                arguments[..2].copy_from_slice(&64u16.to_le_bytes());
                world.set_call(0, params[0].as_str().unwrap(), arguments, bytes(&answer["result"]));
            }
        }
        Sim::start(world).await.unwrap()
    }

    fn begin(endpoints: &[String], hotkey: &str, metrics: &Metrics) -> Known {
        let every = Duration::from_millis(50);
        start(endpoints, 64, &hotkey.parse().unwrap(), every, metrics.clone(), CancellationToken::new()).unwrap()
    }

    /// Waits until the metrics say this.
    async fn until(metrics: &Metrics, wanted: &str) -> String {
        for _ in 0..200 {
            let text = text(metrics).await;
            if text.contains(wanted) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{wanted} did not come:\n{}", text(metrics).await);
    }

    #[tokio::test]
    async fn a_registered_hotkey_is_measured_and_one_that_is_gone_has_no_place() {
        service::tls::install_provider();
        let sim = node().await;
        let metrics = Metrics::default();
        // The first endpoint is dead: the second answers.
        let _known = begin(&["ws://127.0.0.1:1".to_owned(), sim.url()], BEST, &metrics).unwrap();
        let text = until(&metrics, "miner_api_chain_registered{netuid=\"64\"} 1").await;
        assert!(
            text.contains("miner_api_chain_uid{netuid=\"64\"} 395") && text.contains("miner_api_chain_rank{netuid=\"64\"} 1"),
            "{text}"
        );

        let metrics = Metrics::default();
        let _known = begin(&[sim.url()], "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj", &metrics).unwrap();
        let text = until(&metrics, "miner_api_chain_registered{netuid=\"64\"} 0").await;
        assert!(!text.contains("miner_api_chain_uid{"), "{text}");
    }

    #[tokio::test]
    async fn nothing_is_watched_without_endpoints_and_a_dead_one_holds_up_nothing() {
        service::tls::install_provider();
        let metrics = Metrics::default();
        assert!(begin(&[String::new()], BEST, &metrics).is_none());
        assert!(!text(&metrics).await.contains("miner_api_chain_registered{"));
        let begun = std::time::Instant::now();
        let known = begin(&["ws://127.0.0.1:1".to_owned()], BEST, &metrics).unwrap();
        assert!(begun.elapsed() < Duration::from_millis(500));
        until(&metrics, "miner_api_chain_looks_total{result=\"error\"}").await;
        assert!(known.borrow().standing.is_none() && known.borrow().error.as_ref().unwrap().contains("127.0.0.1:1"));
        let wrong = start(&["nonsense".to_owned()], 64, &BEST.parse().unwrap(), Duration::from_secs(1), metrics, CancellationToken::new());
        assert!(format!("{:#}", wrong.unwrap_err()).contains("--chain-endpoint"));
    }
}
