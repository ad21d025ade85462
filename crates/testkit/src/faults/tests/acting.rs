//! What each action does to the client, and what it leaves upstream.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::world::{Client, JOBS, LIMIT, World, line};
use crate::faults::{Action, Matcher, Method, Outcome, Point, Refusal, Rule, Then, When, every_write, kill9};

#[test]
fn an_answer_dropped_after_its_effect_leaves_the_effect() {
    let world = World::start();
    let proxy = world.proxy();
    let rule = proxy.plan(Rule::once(Matcher::writes(), Action::DropAfter));
    let client = Client::of(&proxy);
    assert!(client.post("a").is_err());
    assert_eq!(world.jobs(), ["a"]);
    assert_eq!(rule.fired(), 1);
    assert_eq!(proxy.outcomes(&Matcher::writes())[0].1, Some(Outcome::DroppedAfter(201)));
    assert_eq!(client.post("b").unwrap().0, 201);
}

#[test]
fn a_request_dropped_before_has_no_effect() {
    let world = World::start();
    let proxy = world.proxy();
    proxy.plan(Rule::once(Matcher::nth_write(2), Action::DropBefore));
    let client = Client::of(&proxy);
    assert_eq!(client.post("a").unwrap().0, 201);
    assert!(client.post("b").is_err());
    assert_eq!(client.post("c").unwrap().0, 201);
    assert_eq!(world.jobs(), ["a", "c"]);
}

#[test]
fn refusals_look_like_the_servers_own() {
    let world = World::start();
    let proxy = world.proxy();
    proxy.plan(Rule::once(Matcher::any(), Action::Refuse(Refusal::conflict())));
    proxy.plan(Rule::once(Matcher::any().nth(2), Action::Refuse(Refusal::too_many(3))));
    proxy.plan(Rule::once(Matcher::any().nth(3), Action::Refuse(Refusal::detail(423, "try later"))));
    let client = Client::of(&proxy);
    let (status, body) = client.post("a").unwrap();
    assert_eq!(status, 409);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((body["kind"].as_str(), body["reason"].as_str(), body["code"].as_u64()), (Some("Status"), Some("Conflict"), Some(409)));
    let (status, body) = client.post("a").unwrap();
    assert!(status == 429 && body.contains(r#""retryAfterSeconds":3"#));
    assert_eq!(client.post("a").unwrap(), (423, r#"{"detail":"try later"}"#.to_owned()));
    assert!(world.jobs().is_empty());
}

#[test]
fn a_rule_holds_for_so_many_requests_or_until_it_is_cancelled() {
    let world = World::start();
    let proxy = world.proxy();
    let twice = proxy.plan(Rule::times(Matcher::lists(), Action::Refuse(Refusal::kube(503)), 2));
    let always = proxy.plan(Rule::always(Matcher::writes().resource("jobs").name("bad"), Action::Refuse(Refusal::kube(422))));
    let client = Client::of(&proxy);
    assert_eq!([(); 3].map(|()| client.get(JOBS).unwrap().0), [503, 503, 200]);
    assert_eq!([(); 3].map(|()| client.post("bad").unwrap().0), [422, 422, 422]);
    assert_eq!(client.post("good").unwrap().0, 201);
    always.cancel();
    assert_eq!(client.post("bad").unwrap().0, 201);
    assert_eq!((twice.fired(), always.fired()), (2, 3));
}

#[test]
fn hooks_run_before_and_after_the_effect_and_before_the_client_hears() {
    let world = Arc::new(World::start());
    let proxy = world.proxy();
    let notes = Arc::new(Mutex::new(Vec::new()));
    for when in [When::After, When::Before] {
        let (world, notes) = (Arc::clone(&world), Arc::clone(&notes));
        let note = move |_: &_| {
            notes.lock().unwrap().push(format!("{when:?} with {} jobs", world.jobs().len()));
            Then::Go
        };
        proxy.plan(Rule::once(Matcher::writes(), Action::call(when, note)));
    }
    assert_eq!(Client::of(&proxy).post("a").unwrap().0, 201);
    notes.lock().unwrap().push("heard".to_owned());
    assert_eq!(*notes.lock().unwrap(), ["Before with 0 jobs", "After with 1 jobs", "heard"]);
}

#[test]
fn a_hook_that_panics_drops_its_request() {
    let world = World::start();
    let proxy = world.proxy();
    proxy.plan(Rule::once(Matcher::writes(), Action::before(|_| panic!("a hook of a test"))));
    let client = Client::of(&proxy);
    assert!(client.post("a").is_err());
    assert_eq!(client.post("b").unwrap().0, 201);
    assert_eq!(world.jobs(), ["b"]);
}

#[test]
fn a_write_outlives_the_client_that_is_killed_while_it_stands() {
    let world = World::start();
    let proxy = world.proxy();
    let (pid, pids) = mpsc::sync_channel(1);
    let pids = Mutex::new(pids);
    let kill = move |_: &_| {
        kill9(pids.lock().unwrap().recv().unwrap());
        Then::Go
    };
    proxy.plan(Rule::once(Matcher::writes(), Action::before(kill)));
    // A shell's own sockets: nothing to install.
    let request = r#"POST $1 HTTP/1.1\r\nhost: x\r\ncontent-length: 25\r\n\r\n{"metadata":{"name":"a"}}"#;
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/$0; printf '{}' >&3; cat <&3", request.replace("$1", JOBS));
    let port = proxy.url().rsplit(':').next().unwrap().to_owned();
    let mut child = Command::new("bash").args(["-c", &script, &port]).stdout(Stdio::null()).spawn().unwrap();
    pid.send(child.id()).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(crate::child::wait_until(LIMIT, || world.jobs() == ["a"]), "{}", proxy.transcript(&Matcher::any()));
}

#[test]
fn every_write_of_a_run_is_struck_before_and_after() {
    let mut effects = Vec::new();
    let writes = every_write(10, |point: Point| {
        let world = World::start();
        let proxy = world.proxy();
        let crash = point.plan(&proxy, |_| Then::Drop);
        let client = Client::of(&proxy);
        let _ = ["a", "b"].iter().try_for_each(|name| client.post(name).map(drop));
        effects.push(world.jobs().len());
        crash.fired() == 1
    });
    assert_eq!((writes, effects), (2, vec![0, 1, 1, 2, 2]));
}

#[test]
fn a_stale_list_is_an_earlier_answer() {
    let world = World::start();
    let proxy = world.proxy();
    let client = Client::of(&proxy);
    let stale = proxy.plan(Rule::once(Matcher::lists(), Action::StaleList));
    // Nothing was answered before: the rule waits.
    assert_eq!(client.get(JOBS).unwrap().1, r#"{"items":[]}"#);
    world.add("a");
    assert_eq!(client.get(&format!("{JOBS}?resourceVersion=0")).unwrap().1, r#"{"items":[]}"#);
    assert_eq!(stale.fired(), 1);
    assert_eq!(client.get(JOBS).unwrap().1, r#"{"items":["a"]}"#);

    proxy.pin_lists(true);
    world.add("b");
    assert_eq!(client.get(JOBS).unwrap().1, r#"{"items":["a","b"]}"#);
    proxy.plan(Rule::once(Matcher::lists(), Action::StaleList));
    assert_eq!(client.get(JOBS).unwrap().1, r#"{"items":["a"]}"#);
    assert_eq!(proxy.outcomes(&Matcher::any()).last().unwrap().1, Some(Outcome::Stale));
}

#[test]
fn a_new_watch_and_an_open_one_expire() {
    let world = World::start();
    let proxy = world.proxy();
    let client = Client::of(&proxy);
    // A list is no watch: the rule waits for one.
    proxy.plan(Rule::once(Matcher::any(), Action::Gone410));
    assert_eq!(client.get(JOBS).unwrap().0, 200);
    let mut refused = client.watch();
    let event: serde_json::Value = serde_json::from_str(&line(&mut refused).unwrap()).unwrap();
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert_eq!(line(&mut refused).unwrap(), "");

    let mut open = client.watch();
    world.add("a");
    assert!(line(&mut open).unwrap().contains("ADDED"));
    proxy.expire_watches();
    assert!(line(&mut open).unwrap().contains("410"));
    assert_eq!(line(&mut open).unwrap(), "");
}

#[test]
fn a_cut_body_ends_in_an_error_and_not_in_an_end() {
    let world = World::start();
    let proxy = world.proxy();
    proxy.plan(Rule::times(Matcher::any().method(Method::GET), Action::CutBody(4), 2));
    let client = Client::of(&proxy);
    assert!(client.get(JOBS).is_err());
    let mut watch = client.watch();
    world.add("a");
    let mut start = [0; 4];
    std::io::Read::read_exact(&mut watch, &mut start).unwrap();
    // The first field's name depends on whether the build keeps the order of a map.
    assert!(start.starts_with(br#"{""#), "the body begins with {start:?}");
    assert!(line(&mut watch).is_err());
    assert_eq!(client.get(JOBS).unwrap().1, r#"{"items":["a"]}"#);
}

#[test]
fn delayed_requests_arrive_and_hanging_ones_do_not() {
    let world = World::start();
    let proxy = world.proxy();
    let by = Duration::from_millis(30);
    proxy.plan(Rule::once(Matcher::nth_write(1), Action::Delay(by)));
    proxy.plan(Rule::once(Matcher::nth_write(1), Action::DelayAnswer(by)));
    let start = Instant::now();
    assert_eq!(Client::of(&proxy).post("a").unwrap().0, 201);
    assert!(start.elapsed() >= 2 * by);

    let hung = proxy.plan(Rule::once(Matcher::writes().name("b"), Action::Hang));
    let unheard = proxy.plan(Rule::once(Matcher::writes().name("c"), Action::HangAfter));
    let impatient = Client::patient(&proxy, Duration::from_millis(300));
    assert!(impatient.post("b").is_err());
    assert!(impatient.post("c").is_err());
    assert!(hung.wait(1, LIMIT) && unheard.wait(1, LIMIT));
    assert_eq!(world.jobs(), ["a", "c"]);
}
