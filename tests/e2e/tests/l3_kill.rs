//! dry run
use e2e::kill::Lines;
use e2e::stage::Stage;
use testkit::faults::Matcher;
use std::time::Instant;

#[test]
fn dry() {
    let lines = Lines::default();
    let stage = Stage::new(|options| {
        options.between = lines.between();
        options.env.insert("operator".to_owned(), vec![("LEASE".to_owned(), "2s".to_owned()), ("LEASE_RENEW".to_owned(), "500ms".to_owned())]);
    });
    let fleet = &stage.fleet;
    let validator = fleet.validator().unwrap();
    fleet.add_server().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(5));
    for n in 0..3 {
        lines.reset();
        let name = format!("c{n}");
        let t = Instant::now();
        validator.offer(&stage.chute(&name, 8, 1)).unwrap();
        fleet.await_one(&name).unwrap();
        println!("active after {:?}", t.elapsed());
        let t = Instant::now();
        fleet.audit(0).unwrap();
        println!("audit {:?}", t.elapsed());
        for p in ["operator", "miner-api", "agent", "node", "validator"] {
            println!("{}", lines.of(p).transcript(&Matcher::writes()));
        }
        lines.reset();
        let t = Instant::now();
        validator.withdraw(&name).unwrap();
        fleet.await_no_residue().unwrap();
        println!("gone after {:?}", t.elapsed());
        for p in ["operator", "miner-api", "agent", "node", "validator"] {
            println!("{}", lines.of(p).transcript(&Matcher::writes()));
        }
    }
}
