use super::*;
use crate::token::testing::{MinerApi, TOKEN, enrolment};

fn buyer() -> Buyer {
    service::tls::install_provider();
    Buyer::new(enrolment(&crate::enrolment::tests::ca_pem(), 1), Identity::generate().0).unwrap()
}

fn answer(namespace: &str) -> String {
    crate::token::testing::answer(namespace, "2030-01-01T00:00:00Z".parse().unwrap())
}

#[test]
fn a_good_answer_is_a_grant_for_our_own_namespace() {
    let now: Timestamp = "2029-12-31T23:00:00Z".parse().unwrap();
    let (grant, token) = buyer().grant(answer("chutes-node-gpu-0").as_bytes(), now).unwrap();
    assert_eq!(grant.bought_at, now);
    assert_eq!(token.expose(), TOKEN);
    assert!(!format!("{grant:?} {token:?}").contains(TOKEN));
}

#[test]
fn a_token_for_another_namespace_is_refused() {
    let error = buyer().grant(answer("chutes-node-gpu-1").as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.to_string().contains("chutes-node-gpu-0"), "{error}");
}

#[test]
fn a_broken_answer_is_not_quoted() {
    let broken = answer("x").replace('}', "");
    let error = buyer().grant(broken.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
}

#[test]
fn a_refusal_is_told_in_the_control_planes_words() {
    assert_eq!(complaint(br#"{"detail":"the server was deleted"}"#).detail, "the server was deleted");
    assert_eq!(complaint(b"Bad Gateway").detail, "Bad Gateway");
    assert_eq!(complaint("x".repeat(5000).as_bytes()).detail.len(), 500);
}

#[tokio::test]
async fn a_token_is_bought_from_the_pinned_control_plane_with_a_request_signed_by_the_node_key() {
    let identity = Identity::generate().0;
    let api = MinerApi::start(&identity).await;
    let (_, token) = Buyer::new(api.enrolment(), identity).unwrap().buy(Timestamp::now()).await.unwrap();
    assert_eq!(token.expose(), TOKEN);

    let stranger = Buyer::new(api.enrolment(), Identity::generate().0).unwrap();
    assert!(matches!(stranger.buy(Timestamp::now()).await, Err(BuyError::Refused { status: 401, .. })));
}

#[tokio::test]
async fn a_control_plane_with_another_authority_gets_no_request() {
    let identity = Identity::generate().0;
    let api = MinerApi::start(&identity).await;
    let pinned = Enrolment { ca_pem: crate::enrolment::tests::ca_pem(), ..api.enrolment() };
    let error = Buyer::new(pinned, identity).unwrap().buy(Timestamp::now()).await.unwrap_err();
    assert!(matches!(&error, BuyError::Transport { why, .. } if why.contains("certificate")), "{error}");
    assert_eq!(api.requests(), 0);
}
