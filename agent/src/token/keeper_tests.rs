use super::*;
use crate::token::testing::{MinerApi, TOKEN, answer};
use service::readiness::Readiness;

/// An agent's keeper, and what it publishes.
struct Kept {
    identity: Identity,
    state: StateDir,
    orders: watch::Sender<Option<Enrolment>>,
    access: watch::Receiver<Option<Arc<Control>>>,
    readiness: Readiness,
    refused: Arc<Notify>,
    keeper: Option<Keeper>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        service::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let identity = state.identity().unwrap();
        let (orders, enrolment) = watch::channel(None);
        let (published, access) = watch::channel(None);
        let readiness = Readiness::new();
        let refused = Arc::new(Notify::new());
        let keeper = Keeper {
            identity: identity.clone(),
            state: state.clone(),
            enrolment,
            access: published,
            enrolled: readiness.gate("enrolled"),
            control: readiness.gate("control"),
            refused: refused.clone(),
            metrics: Metrics::default(),
        };
        let stop = CancellationToken::new();
        Self { identity, state, orders, access, readiness, refused, keeper: Some(keeper), stop, _folder: folder }
    }

    fn start(&mut self) {
        tokio::spawn(self.keeper.take().unwrap().run(self.stop.clone()));
    }

    fn grant(&self, enrolment: &Enrolment, bought_at: Timestamp) -> Grant {
        let value: serde_json::Value = serde_json::from_str(&answer("chutes-node-gpu-0", bought_at)).unwrap();
        Grant {
            server: enrolment.server.to_string(),
            control_url: enrolment.control_url.clone(),
            bought_at,
            expires_at: bought_at + jiff::SignedDuration::from_hours(1),
            api_server: value["api_server"].as_str().unwrap().to_owned(),
            ca_pem: value["ca_pem"].as_str().unwrap().to_owned(),
            namespace: "chutes-node-gpu-0".to_owned(),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_refusal_is_told_and_tried_again_until_it_is_served() {
    let mut kept = Kept::new();
    let api = MinerApi::start(&kept.identity).await;
    api.refuse(1);
    kept.orders.send_replace(Some(api.enrolment()));
    kept.start();
    let control = kept.access.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert_eq!(control.namespace, "chutes-node-gpu-0");
    assert_eq!(api.requests(), 2);
    assert_eq!(std::fs::read_to_string(kept.state.token_file()).unwrap(), TOKEN);
    assert_eq!(kept.readiness.closed()[0].reason, "the control plane refused a token (403): the server was deleted");
}

#[tokio::test]
async fn a_restart_without_a_control_plane_goes_on_with_the_token_it_has() {
    let mut kept = Kept::new();
    let gone = crate::token::testing::enrolment(&crate::enrolment::tests::ca_pem(), 1);
    let grant = kept.grant(&gone, Timestamp::now() - jiff::SignedDuration::from_mins(55));
    kept.state.save_grant(&grant, TOKEN).unwrap();
    kept.orders.send_replace(Some(gone));
    kept.start();
    kept.access.wait_for(Option::is_some).await.unwrap();
    assert_eq!(kept.state.grant(), Some(grant));
}

#[tokio::test]
async fn a_token_of_another_control_plane_is_not_used() {
    let mut kept = Kept::new();
    let api = MinerApi::start(&kept.identity).await;
    let other = crate::token::testing::enrolment(&crate::enrolment::tests::ca_pem(), 1);
    kept.state.save_grant(&kept.grant(&other, Timestamp::now()), "another").unwrap();
    kept.orders.send_replace(Some(api.enrolment()));
    kept.start();
    kept.access.wait_for(Option::is_some).await.unwrap();
    assert_eq!(std::fs::read_to_string(kept.state.token_file()).unwrap(), TOKEN);
}

#[tokio::test]
async fn a_server_that_is_added_again_buys_again() {
    let mut kept = Kept::new();
    let api = MinerApi::start(&kept.identity).await;
    kept.orders.send_replace(Some(api.enrolment()));
    kept.start();
    kept.access.wait_for(Option::is_some).await.unwrap();
    kept.orders.send_replace(Some(api.enrolment()));
    kept.access.wait_for(Option::is_none).await.unwrap();
    kept.access.wait_for(Option::is_some).await.unwrap();
    assert_eq!(api.requests(), 2);
}

#[tokio::test]
async fn a_token_that_the_cluster_refuses_is_replaced_before_its_end() {
    let mut kept = Kept::new();
    let api = MinerApi::start(&kept.identity).await;
    let grant = kept.grant(&api.enrolment(), Timestamp::now() - jiff::SignedDuration::from_mins(5));
    kept.state.save_grant(&grant, "revoked").unwrap();
    kept.orders.send_replace(Some(api.enrolment()));
    kept.start();
    kept.access.wait_for(Option::is_some).await.unwrap();
    kept.access.mark_unchanged();
    assert_eq!(api.requests(), 0);
    kept.refused.notify_one();
    kept.access.changed().await.unwrap();
    assert_eq!(std::fs::read_to_string(kept.state.token_file()).unwrap(), TOKEN);
}

#[tokio::test]
async fn an_agent_whose_key_was_replaced_lets_go_of_the_server_until_its_key_is_pinned_again() {
    let mut kept = Kept::new();
    let api = MinerApi::start(&kept.identity).await;
    let grant = kept.grant(&api.enrolment(), Timestamp::now() - jiff::SignedDuration::from_mins(5));
    kept.state.save_grant(&grant, "revoked").unwrap();
    kept.orders.send_replace(Some(api.enrolment()));
    kept.start();
    kept.access.wait_for(Option::is_some).await.unwrap();
    api.replace(true);
    // Its token is dead; only the miner API can say why.
    kept.refused.notify_one();
    kept.access.wait_for(Option::is_none).await.unwrap();
    assert!(!kept.state.has_token() && kept.state.grant().is_none(), "what it held is dead");
    let closed = kept.readiness.closed();
    assert!(closed.iter().any(|one| one.reason.contains("another node key is pinned")), "{closed:?}");
    api.replace(false);
    kept.access.wait_for(Option::is_some).await.unwrap();
}

#[tokio::test]
async fn a_refusal_without_that_code_takes_nothing_from_an_agent() {
    let mut kept = Kept::new();
    let api = MinerApi::start(&kept.identity).await;
    let grant = kept.grant(&api.enrolment(), Timestamp::now() - jiff::SignedDuration::from_mins(55));
    kept.state.save_grant(&grant, TOKEN).unwrap();
    api.refuse(2);
    kept.orders.send_replace(Some(api.enrolment()));
    kept.start();
    kept.access.wait_for(Option::is_some).await.unwrap();
    while api.requests() < 3 {
        assert!(kept.access.borrow().is_some());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(kept.access.borrow().is_some());
}

#[tokio::test]
async fn a_grant_follows_only_one_that_leads_to_the_same_place() {
    let kept = Kept::new();
    let enrolment = crate::token::testing::enrolment("", 1);
    let one = kept.grant(&enrolment, Timestamp::UNIX_EPOCH);
    assert!(is_of(&one, &enrolment));
    assert!(same_place(&one, &one.clone()));
    assert!(!same_place(&one, &Grant { api_server: "https://b".into(), ..one.clone() }));
    assert!(!is_of(&one, &Enrolment { server: "gpu-1".parse().unwrap(), ..enrolment }));
}
