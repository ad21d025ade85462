//! What is not disturbed passes as if the proxy were not there.

use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::world::{Client, JOBS, LIMIT, World, line};
use crate::faults::{Action, FaultError, FaultProxy, FaultProxyConfig, Identity, Matcher, Method, Outcome, Rule};

#[test]
fn reads_and_writes_pass_and_are_written_down() {
    let world = World::start();
    let proxy = world.proxy();
    let client = Client::of(&proxy);
    assert_eq!(client.post("a").unwrap().0, 201);
    assert_eq!(client.get(JOBS).unwrap(), (200, r#"{"items":["a"]}"#.to_owned()));
    assert_eq!(client.get("/nowhere").unwrap().0, 404);
    assert_eq!(world.authorizations(), ["Bearer t"]);

    let seen = proxy.seen();
    assert_eq!(seen.iter().map(|seen| seen.n).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(seen[0].resource.as_ref().unwrap().name.as_deref(), Some("a"));
    assert!(seen[0].is_write && !seen[1].is_write);
    assert_eq!(proxy.writes(), 1);
    assert_eq!(
        proxy.transcript(&Matcher::any()),
        format!("world:\n  #1 POST {JOBS} (a) -> 201\n  #2 GET {JOBS} -> 200\n  #3 GET /nowhere -> 404\n")
    );
}

#[test]
fn a_thousand_requests_of_many_clients_pass() {
    let world = World::start();
    let proxy = world.proxy();
    std::thread::scope(|scope| {
        for thread in 0..10 {
            let client = Client::of(&proxy);
            scope.spawn(move || {
                for request in 0..100 {
                    assert_eq!(client.post(&format!("{thread}-{request}")).unwrap().0, 201);
                }
            });
        }
    });
    assert_eq!(proxy.writes(), 1000);
    assert_eq!(world.jobs().len(), 1000);
    assert!(proxy.outcomes(&Matcher::any()).iter().all(|(_, outcome)| *outcome == Some(Outcome::Answered(201))));
}

#[test]
fn a_watch_hears_each_event_when_it_happens() {
    let world = World::start();
    let proxy = world.proxy();
    let mut watch = Client::of(&proxy).watch();
    for name in ["a", "b", "c"] {
        // Each is read before the next is there to be read.
        world.add(name);
        assert!(line(&mut watch).unwrap().contains(&format!(r#""name":"{name}""#)));
    }
    assert!(proxy.seen()[0].is_watch);
}

#[test]
fn a_watch_that_its_client_leaves_ends_upstream_too() {
    let world = World::start();
    let proxy = world.proxy();
    let mut watch = Client::of(&proxy).watch();
    assert_eq!(world.watchers(), 1);
    world.add("a");
    line(&mut watch).unwrap();
    drop(watch);
    assert!(crate::child::wait_until(LIMIT, || world.watchers() == 0));
}

#[test]
fn a_websocket_passes_both_ways() {
    let world = World::start();
    let proxy = world.proxy();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let echoed = runtime.block_on(async {
        let (mut socket, _) = tokio_tungstenite::connect_async(proxy.url().replace("http:", "ws:") + "/socket").await.unwrap();
        let mut echoed = Vec::new();
        for text in ["one", "two"] {
            socket.send(Message::text(text)).await.unwrap();
            echoed.push(socket.next().await.unwrap().unwrap().into_text().unwrap().to_string());
        }
        proxy.drop_connections();
        assert!(socket.next().await.is_none_or(|end| end.is_err()));
        echoed
    });
    assert_eq!(echoed, ["one", "two"]);
    assert_eq!(proxy.outcomes(&Matcher::any())[0].1, Some(Outcome::Answered(101)));
}

#[test]
fn an_upstream_behind_tls_is_reached_with_its_ca_and_not_with_another() {
    let (world, ca) = World::start_tls();
    let config = FaultProxyConfig::new("tls", format!("https://{}", world.address()).parse().unwrap());
    let proxy = FaultProxy::start(config.clone().ca(ca)).unwrap();
    let client = Client::of(&proxy);
    assert_eq!(client.post("a").unwrap().0, 201);
    assert_eq!(client.get(JOBS).unwrap().1, r#"{"items":["a"]}"#);

    let (_other, wrong) = World::start_tls();
    let misled = FaultProxy::start(config.clone().ca(wrong)).unwrap();
    assert!(Client::of(&misled).get(JOBS).is_err());
    assert!(matches!(&misled.outcomes(&Matcher::any())[0].1, Some(Outcome::Unreachable(_))));
    assert!(matches!(FaultProxy::start(config), Err(FaultError::Upstream { problem, .. }) if problem.contains("CA")));
}

#[test]
fn an_upstream_below_a_path_is_asked_below_it() {
    let world = World::start();
    let config = FaultProxyConfig::new("validator", format!("http://{}/validator", world.address()).parse().unwrap());
    let proxy = FaultProxy::start(config).unwrap();
    assert_eq!(Client::of(&proxy).get("/inventory?x=1").unwrap(), (200, r#"{"items":[]}"#.to_owned()));
    assert_eq!((proxy.seen()[0].path.as_str(), proxy.seen()[0].query.as_str()), ("/inventory", "x=1"));
}

#[test]
fn a_read_with_an_effect_counts_as_a_write_where_the_test_says_so() {
    let world = World::start();
    let url = format!("http://{}", world.address()).parse().unwrap();
    let launches = Matcher::any().method(Method::GET).path("/validator/inventory");
    let proxy = FaultProxy::start(FaultProxyConfig::new("validator", url).also_write(launches)).unwrap();
    let crash = proxy.plan(Rule::once(Matcher::nth_write(1), Action::DropAfter));
    let client = Client::of(&proxy);
    assert!(client.get(JOBS).is_ok());
    assert!(client.get("/validator/inventory").is_err());
    assert_eq!((proxy.writes(), crash.fired()), (1, 1));
}

#[test]
fn the_proxys_own_token_is_for_clients_without_one_and_is_not_shown() {
    let world = World::start();
    let config = FaultProxyConfig::new("world", format!("http://{}", world.address()).parse().unwrap());
    let config = config.identity(Identity::Bearer("own".to_owned()));
    assert!(!format!("{config:?}").contains("own"));
    let proxy = FaultProxy::start(config).unwrap();
    let client = Client::of(&proxy);
    assert_eq!(client.get(JOBS).unwrap().0, 200);
    drop(client.watch());
    assert_eq!(world.authorizations(), ["Bearer t", "Bearer own"]);
}

#[test]
fn an_upstream_that_is_not_there_is_a_closed_connection() {
    let url = format!("http://127.0.0.1:{}", crate::child::free_port().unwrap());
    let proxy = FaultProxy::start(FaultProxyConfig::new("nobody", url.parse().unwrap())).unwrap();
    assert!(Client::of(&proxy).get(JOBS).is_err());
    assert!(matches!(&proxy.outcomes(&Matcher::any())[0].1, Some(Outcome::Unreachable(_))));
}
