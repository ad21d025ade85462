//! The proxy in front of a real Postgres: what passes, what is told of a commit, and on which side of it a connection breaks.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test; nothing here runs on an async runtime")]

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::faults::{Action, Matcher, PgProxy, Rule, Then};
use testkit::postgres::{NEEDS, Postgres, url};

fn psql(url: &str, statements: &[&str]) -> Output {
    let mut command = Command::new("psql");
    command.args([url, "-XAtq"]);
    for statement in statements {
        command.args(["-c", statement]);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_commit_is_told_by_its_tables_and_breaks_before_or_after_it_happened() {
    if !testkit::level::require(2, Postgres::available(), NEEDS) {
        return;
    }
    let postgres = Postgres::start().unwrap();
    let direct = postgres.fresh_database().unwrap();
    let database = direct.rsplit('/').next().unwrap();
    let proxy = PgProxy::start("test", ([127, 0, 0, 1], postgres.port()).into()).unwrap();
    let through = url(proxy.port(), database);
    let count = || text(&psql(&direct, &["select count(*) from a"]));

    assert!(psql(&through, &["create table a (x int)", "insert into a values (1)"]).status.success());
    let in_one = ["begin", "insert into a values (2)", "delete from a where x = 1", "commit"];
    assert!(psql(&through, &in_one).status.success());
    assert_eq!(text(&psql(&through, &["begin", "insert into a values (3)", "rollback", "select count(*) from a"])), "1");
    let commits: Vec<String> = proxy.seen_of(&Matcher::any()).into_iter().map(|seen| seen.path).collect();
    assert_eq!(commits, ["/insert a", "/delete a+insert a"], "{}", proxy.transcript());

    let before = proxy.plan(Rule::once(Matcher::writes(), Action::before(|_| Then::Drop)));
    assert!(!psql(&through, &["insert into a values (4)"]).status.success());
    assert_eq!((before.fired(), count().as_str()), (1, "1"), "it never came to Postgres");

    let met = Arc::new(AtomicU64::new(0));
    let hook = Arc::clone(&met);
    let after = proxy.plan(Rule::once(
        Matcher::writes(),
        Action::after(move |_| {
            hook.fetch_add(1, Ordering::Relaxed);
            Then::Drop
        }),
    ));
    assert!(!psql(&through, &["insert into a values (5)"]).status.success());
    assert_eq!((after.fired(), met.load(Ordering::Relaxed), count().as_str()), (1, 1, "2"), "it happened, and nobody heard");
    assert!(psql(&through, &["insert into a values (6)"]).status.success(), "rules are for once");
}
