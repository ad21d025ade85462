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
use url::{Host, Url};

/// What is known of the hotkey; `None` without endpoints: nothing is watched then.
pub type Known = Option<Receiver<Watched>>;

/// Begins to watch, if there are endpoints: addresses of nodes in order of preference, or the name of one network. Endpoints whose first
/// block is not `genesis` are not used.
///
/// # Errors
/// An endpoint that is neither. One that cannot be reached is no error, now or later.
pub fn start(
    endpoints: &[String],
    netuid: u16,
    genesis: Option<[u8; 32]>,
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
    config.genesis = genesis.or_else(|| usual_genesis(&config, netuid));
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

/// The first block that nodes must have where nobody says another. A node of another chain would say that the hotkey is not registered.
/// Subnet 64 is meant on the main network, unless all nodes are on this machine or the network was named.
fn usual_genesis(config: &ChainConfig, netuid: u16) -> Option<[u8; 32]> {
    let here = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let finney = netuid == 64 && config.network.parse::<Network>().is_err() && !config.endpoints.iter().all(here);
    if finney { ChainConfig::of(Network::Finney).genesis } else { config.genesis }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain_sim::{Faults, METADATA_V15, Recording, Sim, World, unpack};
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
        let runtime = chain::read::Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
        let hotkey: chain::read::AccountId = BEST.parse().unwrap();
        let entry = runtime.storage_key("SubtensorModule", "Uids", (64u16, hotkey.0)).unwrap();
        world.set_storage(0, entry, Some(395u16.to_le_bytes().to_vec()));
        Sim::start(world).await.unwrap()
    }

    fn begin(endpoints: &[String], hotkey: &str, metrics: &Metrics) -> Known {
        let every = Duration::from_millis(50);
        start(endpoints, 64, None, &hotkey.parse().unwrap(), every, metrics.clone(), CancellationToken::new()).unwrap()
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
        let (every, shutdown) = (Duration::from_secs(1), CancellationToken::new());
        let wrong = start(&["nonsense".to_owned()], 64, None, &BEST.parse().unwrap(), every, metrics, shutdown);
        assert!(format!("{:#}", wrong.unwrap_err()).contains("--chain-endpoint"));
    }

    #[tokio::test]
    async fn a_node_that_never_answers_does_not_hold_up_the_end() {
        service::tls::install_provider();
        let sim = node().await;
        sim.fail(Faults { silent: true, ..Faults::default() });
        let (shutdown, every) = (CancellationToken::new(), Duration::from_secs(120));
        let known = start(&[sim.url()], 64, None, &BEST.parse().unwrap(), every, Metrics::default(), shutdown.clone());
        let mut known = known.unwrap().unwrap();
        while sim.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(*known.borrow(), Watched::default(), "it waits for the answer");
        shutdown.cancel();
        let end = tokio::time::timeout(Duration::from_secs(5), known.changed()).await;
        assert!(end.expect("the watch ends").is_err());
    }

    #[tokio::test]
    async fn a_node_of_another_chain_is_not_believed() {
        service::tls::install_provider();
        let sim = node().await;
        let (shutdown, every) = (CancellationToken::new(), Duration::from_millis(50));
        let known = start(&[sim.url()], 64, Some([9; 32]), &BEST.parse().unwrap(), every, Metrics::default(), shutdown);
        let mut known = known.unwrap().unwrap();
        let seen = tokio::time::timeout(Duration::from_secs(20), known.wait_for(|known| known.error.is_some())).await;
        let seen = seen.unwrap().unwrap().clone();
        assert!(seen.standing.is_none() && seen.error.as_ref().unwrap().contains("another chain"), "{seen:?}");

        let finney = ChainConfig::of(Network::Finney).genesis;
        let usual = |endpoints: &str, netuid| usual_genesis(&ChainConfig::parse(endpoints).unwrap(), netuid);
        for elsewhere in ["wss://node.example", "ws://subtensor.chain.svc:9944", "ws://127.0.0.1:9944,wss://node.example", "finney"] {
            assert_eq!(usual(elsewhere, 64), finney, "{elsewhere}");
        }
        for here in ["ws://127.0.0.1:9944", "ws://localhost:1,ws://[::1]:2", "test", "local"] {
            assert_eq!(usual(here, 64), None, "{here}");
        }
        assert_eq!(usual("wss://node.example", 65), None);
    }

    #[tokio::test]
    async fn the_alerts_name_metrics_that_there_are() {
        let metrics = Metrics::default();
        let distance = chain::tracker::eviction::Distance {
            uid: 17,
            protected: false,
            immune_for_blocks: 600,
            free_uids: 0,
            weaker_non_immune: 0,
            registrations: Some(3),
            registrations_unprotected: Some(1),
        };
        let place = chain::survey::Place {
            uid: 17,
            registered_at: None,
            stake: Some(1),
            incentive: Some(0.5),
            emission: None,
            rank: Some(1),
            miners: Some(2),
            distance: Some(distance),
        };
        let standing = chain::survey::Standing { netuid: 64, block: 7, place: Some(place), burn_rao: None };
        let read = Some(tokio::time::Instant::now());
        metrics.chain(64, &Watched { standing: Some(standing), read, error: None, looks: (1, 0) });
        let (text, rules) = (text(&metrics).await, include_str!("../../docs/alerts/chain.yaml"));
        let names = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("miner_api_"));
        let names: std::collections::BTreeSet<&str> = names.collect();
        assert!(names.len() >= 6, "{names:?}");
        for name in names {
            assert!(text.contains(&format!("\n{name}{{")), "{name} is not among\n{text}");
        }
        // And with the labels that are asked for.
        assert!(rules.contains("{result=\"ok\"}") && text.contains("miner_api_chain_looks_total{result=\"ok\"} 1"), "{text}");
    }
}
