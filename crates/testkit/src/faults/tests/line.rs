//! The line between the clients and the upstream, cut, frozen and healed.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::world::{Client, JOBS, LIMIT, World, line};
use crate::child::wait_until;
use crate::faults::{Action, Matcher, Rule, TcpGate, Then};

#[test]
fn a_partition_closes_what_is_open_and_admits_nothing_until_it_ends() {
    let world = World::start();
    let proxy = world.proxy();
    let client = Client::of(&proxy);
    let mut watch = client.watch();
    proxy.partition(true);
    assert!(line(&mut watch).is_err());
    assert!(client.post("a").is_err());
    assert!(proxy.seen_of(&Matcher::writes()).is_empty());
    assert!(world.jobs().is_empty());
    proxy.partition(false);
    assert_eq!(client.post("b").unwrap().0, 201);
    assert_eq!(world.jobs(), ["b"]);
}

#[test]
fn a_partition_begun_by_a_hook_stops_the_request_that_stands_in_it() {
    let world = World::start();
    let proxy = world.proxy();
    let own = proxy.clone();
    let cut = move |_: &_| {
        own.partition(true);
        Then::Go
    };
    proxy.plan(Rule::once(Matcher::writes(), Action::before(cut)));
    assert!(Client::of(&proxy).post("a").is_err());
    proxy.partition(false);
    assert_eq!(Client::of(&proxy).post("b").unwrap().0, 201);
    assert_eq!(world.jobs(), ["b"]);
    proxy.clear_rules();
}

#[test]
fn a_frozen_line_holds_everything_back_and_then_delivers_it() {
    let world = World::start();
    let proxy = world.proxy();
    let mut watch = Client::of(&proxy).watch();
    proxy.freeze(true);
    world.add("past the proxy");
    std::thread::scope(|scope| {
        let client = Client::of(&proxy);
        let posted = scope.spawn(move || client.post("held").unwrap().0);
        assert!(proxy.wait_seen(&Matcher::writes(), 1, LIMIT));
        assert_eq!(world.jobs(), ["past the proxy"]);
        proxy.freeze(false);
        assert_eq!(posted.join().unwrap(), 201);
    });
    assert!(line(&mut watch).unwrap().contains("past the proxy"));
    assert!(line(&mut watch).unwrap().contains("held"));
}

#[test]
fn a_reset_forgets_rules_and_journal_and_opens_the_line() {
    let world = World::start();
    let proxy = world.proxy();
    proxy.plan(Rule::always(Matcher::any(), Action::DropBefore));
    let client = Client::of(&proxy);
    assert!(client.get(JOBS).is_err());
    proxy.partition(true);
    proxy.reset();
    assert!(proxy.seen().is_empty());
    assert_eq!(client.get(JOBS).unwrap().0, 200);
    assert_eq!(proxy.seen()[0].n, 2);
}

/// Answers each byte with the same byte, for any number of connections.
fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            std::thread::spawn(move || {
                let mut reader = client.try_clone().unwrap();
                let _ = std::io::copy(&mut reader, &mut client);
            });
        }
    });
    address
}

fn connect(gate: &TcpGate) -> TcpStream {
    let client = TcpStream::connect(gate.address()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

fn ask(client: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    client.write_all(&[byte])?;
    hear(client)
}

fn hear(client: &mut TcpStream) -> std::io::Result<u8> {
    let mut byte = [0];
    client.read_exact(&mut byte).map(|()| byte[0])
}

/// Bytes are counted when they were written, and may be heard before they are counted.
fn passed(gate: &TcpGate, bytes: (u64, u64)) -> bool {
    wait_until(LIMIT, || gate.bytes() == bytes)
}

#[test]
fn a_gate_passes_bytes_and_counts_them() {
    let gate = TcpGate::start("echo", echo()).unwrap();
    let (mut one, mut two) = (connect(&gate), connect(&gate));
    assert_eq!((ask(&mut one, 1).unwrap(), ask(&mut two, 2).unwrap()), (1, 2));
    assert_eq!((gate.accepted(), gate.open()), (2, 2));
    assert!(passed(&gate, (2, 2)));
    drop(one);
    assert!(wait_until(LIMIT, || gate.open() == 1));
}

#[test]
fn a_cut_gate_refuses_until_it_is_healed() {
    let gate = TcpGate::start("echo", echo()).unwrap();
    let mut client = connect(&gate);
    assert_eq!(ask(&mut client, 1).unwrap(), 1);
    gate.cut();
    assert!(hear(&mut client).is_err());
    assert!(ask(&mut connect(&gate), 2).is_err());
    gate.heal();
    assert_eq!(ask(&mut connect(&gate), 3).unwrap(), 3);
}

#[test]
fn a_frozen_gate_keeps_the_connection_and_delivers_later() {
    let gate = TcpGate::start("echo", echo()).unwrap();
    let mut client = connect(&gate);
    assert_eq!(ask(&mut client, 1).unwrap(), 1);
    gate.freeze();
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(ask(&mut client, 2).is_err());
    assert!(passed(&gate, (1, 1)));
    gate.heal();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(hear(&mut client).unwrap(), 2);
}

#[test]
fn a_mute_gate_lets_the_effect_happen_and_loses_the_answer() {
    let gate = TcpGate::start("echo", echo()).unwrap();
    let mut client = connect(&gate);
    assert_eq!(ask(&mut client, 1).unwrap(), 1);
    gate.mute();
    client.write_all(&[2]).unwrap();
    assert!(wait_until(LIMIT, || gate.bytes().0 == 2));
    gate.drop_connections();
    assert!(hear(&mut client).is_err());
    assert!(passed(&gate, (2, 1)));
}
