//! `subnets` as people and scripts use it: on two real snapshots, on made ones that carry all, and on broken ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../crates/chain/tests/support/finney.rs"]
mod finney;

use chain::tracker::snapshot::{Parameters, Snapshot, Subnet};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chutes-miner"));
    let output = command
        .current_dir(folder)
        .arg("subnets")
        .args(args)
        .env("COLUMNS", "80")
        .env_remove("TAO_USD")
        .env_remove("GPU_USD")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{args:?}: {errors}");
    output
}

/// What a command that succeeds prints.
fn text(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same, which has to fit.
fn table(folder: &Path, args: &[&str]) -> String {
    let text = text(folder, args);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{args:?} is too wide:\n{text}");
    text
}

fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&text(folder, &[args, &["-o", "json"]].concat())).unwrap()
}

/// Both real snapshots in `snapshots`, where they are looked for.
fn real() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("snapshots")).unwrap();
    finney::write(&folder.path().join("snapshots"));
    folder
}

#[test]
fn two_real_snapshots_have_the_known_totals_in_every_form() {
    let folder = real();
    let at = folder.path();
    let analysis = json(at, &["analyze"]);
    let total = |key: &str| analysis["total"][key].as_u64().unwrap();
    assert_eq!((total("replacements"), total("deregistrations"), total("new_registrations")), (2165, 249, 133));
    let top = |by: &str| json(at, &["analyze", "--sort-by", by])["subnets"][0]["netuid"].as_u64().unwrap();
    assert_eq!(["replacements", "percentage", "deregistrations", "changes"].map(top), [1, 1, 38, 38]);
    let ranking = table(at, &["analyze", "--sort-by", "percentage", "--limit", "3"]);
    assert!(ranking.contains("2165 replacements, 249 deregistrations,\n133 new registrations"), "{ranking}");
    assert!(
        ranking.lines().nth(1).unwrap().split_whitespace().eq(["1", "1", "60.2", "0.0", "23.50", "246", "0", "0", "168", "256", "4.09"])
    );
    let csv = text(at, &["analyze", "-o", "csv"]);
    let sum: u64 = csv.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((csv.lines().count(), sum), (130, 2165));
    text(at, &["analyze", "-o", "parquet", "--file", "a.parquet", "--plot", "a.html"]);
    assert_eq!(&std::fs::read(at.join("a.parquet")).unwrap()[..4], b"PAR1");
    assert!(std::fs::read_to_string(at.join("a.html")).unwrap().contains("<svg"));
    let elsewhere = json(at, &["analyze", "--data-dir", "./snapshots"]);
    assert_eq!(elsewhere, analysis, "the existing tracker's name for the flag");
}

#[test]
fn empty_and_broken_snapshots_are_named_and_change_nothing() {
    let folder = real();
    let at = folder.path();
    let clean = json(at, &["analyze"]);
    let put = |name: &str, text: &str| std::fs::write(at.join("snapshots").join(name), text).unwrap();
    for time in ["16-43-49.519553", "16-50-26.735863", "16-50-50.597792"] {
        put(&format!("snapshot_2026-01-07T{time}.json"), r#"{"timestamp":"t","network":"finney","subnets":{}}"#);
    }
    put("snapshot_2026-01-09.json", "{");
    let output = run(at, &["analyze", "-o", "json"]);
    let noted = String::from_utf8_lossy(&output.stderr);
    assert_eq!(noted.matches("empty: taking it failed").count(), 3, "{noted}");
    assert!(noted.contains("snapshot_2026-01-09.json: not a snapshot"), "{noted}");
    let dirty: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&dirty["total"], &dirty["subnets"]), (&clean["total"], &clean["subnets"]));
    assert_eq!(dirty["ignored"].as_array().unwrap().len(), 4);
    let before = json(at, &["analyze", "--as-before", "--sort-by", "percentage"]);
    let first = &before["subnets"].as_array().unwrap().iter().find(|one| one["netuid"] == 1).unwrap()["replaced_percent"];
    assert!((first.as_f64().unwrap() - 48.05).abs() < 0.005, "the published number: {first}");
    // Its own columns, and no rates by periods that have no length: 246 replacements and a "period" in which all was new.
    let one = before["subnets"].as_array().unwrap().iter().find(|one| one["netuid"] == 1).unwrap();
    assert_eq!((&one["replacements_per_period"], &one["periods"], &one["replacements"]), (&123.0.into(), &2.into(), &246.into()));
    assert!(one.get("replacements_per_day").is_none() && one.get("days").is_none(), "{one}");
    let ranking = table(at, &["analyze", "--as-before", "--limit", "3"]);
    let rows: Vec<Vec<&str>> = ranking.lines().map(|line| line.split_whitespace().collect()).collect();
    let first = rows.iter().find(|row| row.first() == Some(&"1")).unwrap();
    assert_eq!(*first, ["1", "1", "123.0", "0.0", "48.05", "246", "0", "256.0", "2"], "{ranking}");
    let top = |by: &str| json(at, &["analyze", "--as-before", "--sort-by", by])["subnets"][0]["netuid"].as_u64().unwrap();
    assert_eq!(["replacements", "percentage", "deregistrations"].map(top), [1, 1, 38]);
    let csv = text(at, &["analyze", "--as-before", "-o", "csv", "--plot", "b.svg"]);
    assert!(csv.starts_with("netuid,replacements_per_period,") && csv.contains("\n1,123,0,"), "{csv}");
}

#[test]
fn a_comparison_shows_subnets_or_the_uids_of_one() {
    let folder = real();
    let files = ["snapshots/snapshot_2026-01-07T16-51-25.035280.json", "snapshots/snapshot_2026-01-11T19-02-25.537423.json"];
    let args = ["compare", "--snapshot1", files[0], "--snapshot2", files[1]];
    let all = table(folder.path(), &args);
    assert!(all.contains("2165 replacements, 249 deregistrations, 133 new registrations"), "{all}");
    assert!(all.lines().any(|line| line.split_whitespace().take(5).eq(["38", "7", "0", "249", "256>7"])), "{all}");
    let one = [&args[..], &["--netuid", "64"]].concat();
    let uids = table(folder.path(), &one);
    assert_eq!(uids.lines().filter(|line| line.contains("replaced or swapped") && line.contains("..")).count(), 13, "{uids}");
    let csv = text(folder.path(), &[&one[..], &["-o", "csv"]].concat());
    assert!(csv.lines().count() == 14 && csv.starts_with("netuid,uid,class,old_hotkey"), "{csv}");
    assert_eq!(json(folder.path(), &args)["counts"]["replacements"], 2165);
    let names = files.map(|file| file.trim_start_matches("snapshots/"));
    let by_name = table(folder.path(), &["compare", "--dir", "snapshots", "--snapshot1", names[0], "--snapshot2", names[1]]);
    assert_eq!(by_name, all, "names without a folder are those of --dir");
    let backwards = run(folder.path(), &["compare", "--snapshot1", files[1], "--snapshot2", files[0]]);
    assert_eq!(backwards.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&backwards.stderr).contains("--snapshot1 is the older"));
}

#[test]
fn what_the_files_do_not_carry_is_not_guessed() {
    let folder = real();
    let at = folder.path();
    assert!(table(at, &["survival"]).contains("129 subnets: not enough data"));
    assert!(table(at, &["survival", "--netuid", "1"]).contains("Not enough data"));
    let stayed = table(at, &["survival", "--netuid", "1", "--from", "first-seen"]);
    assert!(stayed.lines().any(|line| line.split_whitespace().take(4).eq(["4.09", "256", "246", "0.039"])), "{stayed}");
    assert!(stayed.contains("Half live at most 4.1 d") && !stayed.contains("Ends a day"), "{stayed}");
    let answer = table(at, &["recommend", "--gpu", "8xh200", "--budget", "2TAO", "--days", "30", "--tao-usd", "400"]);
    assert!(answer.contains("128 of 128 subnets: not enough data"), "{answer}");
    let unpriced = table(at, &["recommend", "--gpu", "8xh200", "--budget", "2TAO", "--days", "30"]);
    assert_eq!(unpriced, answer, "nor without a price of TAO");
    let why = table(at, &["recommend", "--gpu", "8xh200", "--tao-usd", "400", "--explain", "64"]);
    assert!(why.contains("not enough data: income of 0 miners, 10 wanted"), "{why}");
    for (args, missing) in [
        (&["eviction", "--netuid", "64"][..], "registration blocks"),
        (&["cost"], "no prices"),
        (&["forecast", "--netuid", "64"], "the lowest price is missing"),
    ] {
        let output = run(at, args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && errors.contains("not enough data") && errors.contains(missing), "{args:?}: {errors}");
    }
}

#[test]
fn wrong_use_says_what_to_do() {
    let folder = real();
    let empty = tempfile::tempdir().unwrap();
    for (at, args, code, words) in [
        (empty.path(), &["analyze"][..], 3, "--dir DIR"),
        (empty.path(), &["analyze", "--dir", "."], 3, "no snapshots"),
        (folder.path(), &["analyze", "--network", "test"], 3, "--network"),
        (folder.path(), &["analyze", "--sort-by", "luck"], 2, "possible values"),
        (folder.path(), &["compare", "--snapshot1", "a"], 2, "--snapshot2"),
        (folder.path(), &["compare", "--snapshot1", "a", "--snapshot2", "b"], 3, "a: cannot be read"),
        (folder.path(), &["survival", "--network", "test"], 3, "--network"),
        (folder.path(), &["survival", "--netuid", "9999"], 3, "no snapshot shows subnet 9999"),
        (folder.path(), &["survival", "--bin-days", "0"], 2, "--bin-days"),
        (folder.path(), &["survival", "--bin-days", "NaN"], 2, "--bin-days"),
        (folder.path(), &["recommend", "--gpu", "h200", "--tao-usd", "1"], 2, "8xh200"),
        (folder.path(), &["recommend", "--gpu", "8xtoaster", "--tao-usd", "1"], 2, "--gpu-usd"),
        (folder.path(), &["recommend", "--gpu", "8xh200", "--tao-usd", "-1"], 2, "--tao-usd"),
        (folder.path(), &["recommend", "--gpu", "8xh200", "--tao-usd", "1", "--budget", "lots"], 2, "no amount of TAO"),
        (folder.path(), &["recommend", "--gpu", "8xh200", "--days", "nan"], 2, "--days"),
        (folder.path(), &["recommend", "--gpu", "8xh200", "--days", "1000"], 2, "--days must be more than 0 and at most 365"),
        (folder.path(), &["recommend", "--gpu", "8xh200", "--days", "-1"], 2, "--days must be more than 0 and at most 365"),
        (folder.path(), &["recommend", "--gpu", "8xh200", "--budget", "-1TAO"], 2, "\"-1TAO\" is no amount of TAO"),
        (folder.path(), &["survival", "--bin-days", "-1"], 2, "--bin-days must be more than zero"),
        (folder.path(), &["cost", "--tao-usd", "nan"], 2, "--tao-usd"),
        (folder.path(), &["forecast", "--price", "1", "--endpoint", "ws://127.0.0.1:1"], 2, "--netuid"),
        (folder.path(), &["forecast"], 2, "--netuid"),
        (folder.path(), &["forecast", "--price", "1"], 2, "--registrations-per-day"),
        (folder.path(), &["forecast", "--price", "1", "--registrations-per-day", "nan"], 2, "rate"),
        (folder.path(), &["forecast", "--price", "1", "--registrations-per-day", "nan"], 2, "the rate of registrations cannot be NaN"),
        (folder.path(), &["forecast", "--price", "1", "--registrations-per-day", "-3"], 2, "the rate of registrations cannot be -3"),
        (folder.path(), &["forecast", "--price", "-1TAO", "--registrations-per-day", "3"], 2, "\"-1TAO\" is no amount of TAO"),
        (folder.path(), &["forecast", "--price", "1", "--days", "-1"], 2, "--days must be more than 0 and at most 365"),
        (folder.path(), &["forecast", "--price", "1", "--days", "1e9"], 2, "--days"),
        (folder.path(), &["analyze", "--plot", "a.png"], 2, ".svg or .html"),
        (folder.path(), &["analyze", "-o", "csv", "--file", "none/a.csv"], 1, "none/a.csv"),
    ] {
        let output = run(at, args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && errors.contains(words), "{args:?}: {:?} {errors}", output.status.code());
    }
}

#[test]
fn json_is_named_only_where_there_is_one() {
    let folder = real();
    let at = folder.path();
    let files = ["snapshots/snapshot_2026-01-07T16-51-25.035280.json", "snapshots/snapshot_2026-01-11T19-02-25.537423.json"];
    let told = |args: &[&str]| {
        let output = run(at, args);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    // In the wrong order nothing can be compared.
    let (done, errors) = told(&["compare", "--snapshot1", files[1], "--snapshot2", files[0]]);
    assert!(!done && errors.contains("more subnets are not compared\n") && !errors.contains("names them"), "{errors}");

    for (dir, all) in [("snapshots", true), ("broken", false)] {
        std::fs::create_dir_all(at.join(dir)).unwrap();
        for day in 10..17 {
            std::fs::write(at.join(dir).join(format!("snapshot_2026-02-{day}.json")), "{").unwrap();
        }
        let (done, errors) = told(&["analyze", "--dir", dir]);
        let words = if all { "2 more snapshots; -o json of analyze names them" } else { "2 more snapshots\n" };
        assert!(done == all && errors.contains(words), "{errors}");
    }
}

#[test]
fn a_subnet_that_neither_snapshot_has_is_named() {
    let folder = real();
    let snapshots = folder.path().join("snapshots");
    let mut names: Vec<String> =
        std::fs::read_dir(snapshots).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let output = run(folder.path(), &["compare", "--snapshot1", &names[0], "--snapshot2", &names[1], "--netuid", "9999"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && errors.contains("no subnet 9999"), "{errors}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_a_full_disk_cuts_short_is_no_success() {
    let folder = real();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chutes-miner"));
    let output = command.current_dir(folder.path()).args(["subnets", "analyze", "-o", "csv"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not be written"));
}

/// An address of the right shape for a number.
fn hotkey(number: u64) -> String {
    let tail: String = (0..8).map(|digit| char::from(b'A' + u8::try_from((number >> (3 * digit)) % 8).unwrap())).collect();
    format!("5{}{tail}", "x".repeat(39))
}

/// Thirty days of a subnet of 64 UIDs, of which each day the two weakest are replaced: UIDs take turns, each lives 26 days.
fn made(folder: &Path) {
    let mut subnet = Subnet {
        n_neurons: 64,
        validators: (0..12).collect(),
        owner_uids: [0].into(),
        network_registered_at: Some(1),
        parameters: Parameters {
            max_uids: Some(64),
            immunity_period: Some(7200),
            min_non_immune_uids: Some(10),
            tempo: Some(359),
            registration_allowed: Some(true),
            difficulty: Some(u64::MAX),
            burn_rao: Some(500_000_000),
            min_burn_rao: Some(500_000),
            max_burn_rao: Some(100_000_000_000),
            burn_half_life: Some(360),
            burn_increase_mult: Some(1.26),
            tao_in_rao: Some(20_000_000_000_000),
            alpha_in_rao: Some(200_000_000_000_000),
        },
        ..Subnet::default()
    };
    for uid in 0..64_u16 {
        subnet.uid_hotkey_map.insert(uid, hotkey(uid.into()).parse().unwrap());
        // As if it had gone on like this before.
        let age = if uid < 12 { 200_000 } else { (64 - u64::from(uid)).div_ceil(2) * 7200 };
        subnet.registration_blocks.insert(uid, 1_000_000 - age);
        subnet.emission_rao.insert(uid, u64::from(uid) * 1_000_000_000);
    }
    for day in 0..30_u64 {
        subnet.block = 1_000_000 + day * 7200;
        subnet.parameters.burn_rao = Some(if day == 3 { 700_000_000 } else { 500_000_000 });
        if day > 0 {
            for turn in 0..2 {
                let uid = u16::try_from(12 + ((day - 1) * 2 + turn) % 52).unwrap();
                subnet.uid_hotkey_map.insert(uid, hotkey(1000 + day * 2 + turn).parse().unwrap());
                subnet.registration_blocks.insert(uid, subnet.block - 600 * (turn + 1));
            }
        }
        let subnets = [(64, subnet.clone())].into();
        let timestamp = format!("2026-03-{:02}T12:00:00.000000", day + 1);
        Snapshot { timestamp, network: "finney".to_owned(), subnets }.write(folder).unwrap();
    }
}

#[test]
fn snapshots_that_carry_all_are_answered_in_full() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("snapshots")).unwrap();
    made(&folder.path().join("snapshots"));
    let at = folder.path();

    let analysis = json(at, &["analyze"]);
    assert_eq!(analysis["classes"]["replaced"], 58, "told apart: {}", analysis["classes"]);
    assert!((analysis["subnets"][0]["replacements_per_day"].as_f64().unwrap() - 2.0).abs() < 1e-9);

    let survival = json(at, &["survival", "--netuid", "64"]);
    assert_eq!((&survival["enough_data"], &survival["undated_ends"]), (&true.into(), &0.into()));
    let median = survival["median_days"].as_f64().unwrap();
    assert!((25.0..27.5).contains(&median), "each lives 26 days: {median}");
    assert!(table(at, &["survival", "--netuid", "64", "--plot", "s.svg"]).contains("half live 2"));
    assert!(std::fs::read_to_string(at.join("s.svg")).unwrap().starts_with("<svg"));
    assert!(table(at, &["survival"]).lines().nth(1).unwrap().contains("100.0 %"));
    // Newcomers are first seen some blocks after their registration: the curve says of whom it tells.
    let from = json(at, &["survival"])["subnets"][0]["from_days"].as_f64().unwrap();
    assert!(from > 0.0 && from < 0.2, "{from}");
    let one = table(at, &["survival", "--netuid", "64", "--bin-days", "0.5"]);
    assert!(one.contains(&format!("Of those that reach {from:.2} days, half live 2")), "{one}");
    assert!(one.contains("more ages up to") && one.contains("-o json has them"), "{one}");
    assert!(table(at, &["survival"]).contains(&format!("Of those that reach {from:.2} days")));

    let eviction = json(at, &["eviction", "--netuid", "64"]);
    let next = &eviction["uids"][0];
    assert_eq!((&next["uid"], &next["registrations"]), (&1.into(), &1.into()), "the lowest emission that is not the owner's");
    assert_eq!(next["days_5_50_95"].as_array().unwrap().len(), 3);
    let own = table(at, &["eviction", "--netuid", "64", "--hotkey", &hotkey(0)]);
    assert!(own.contains("never") && own.contains("owner"), "{own}");
    table(at, &["eviction", "--netuid", "64"]);
    assert_eq!(run(at, &["eviction", "--netuid", "64", "--uid", "64"]).status.code(), Some(3));
    assert_eq!(run(at, &["eviction", "--netuid", "64", "--hotkey", "x"]).status.code(), Some(2));

    let cost = table(at, &["cost", "--tao-usd", "400"]);
    let row: Vec<&str> = cost.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["64", "0.500000", "200.00", "64/64", "yes", "24.0", "2.0", "3.12", "off"], "{cost}");
    assert_eq!(
        text(at, &["cost", "--netuid", "64", "-o", "csv"]),
        "netuid,burn_cost_tao,current_neurons,max_neurons,occupancy_pct,is_full,difficulty\n64,0.5,64,64,100,true,18446744073709551615\n"
    );

    let priced = text(at, &["cost", "--tao-usd", "400", "-o", "csv"]);
    assert!(priced.starts_with("netuid,burn_cost_tao,") && priced.ends_with(",18446744073709551615,200\n"), "{priced}");
    assert_eq!(priced.lines().next().unwrap().rsplit(',').next(), Some("burn_cost_usd"));
    let noted = run(at, &["cost", "--netuid", "64,9"]).stderr;
    assert!(String::from_utf8_lossy(&noted).contains("no snapshot shows subnet 9"));
    assert!(table(at, &["cost", "--plot", "c.svg"]).contains("0 cost less than 0.005 TAO"));
    assert!(std::fs::read_to_string(at.join("c.svg")).unwrap().contains("<circle"), "price beside competition");
    let both = text(at, &["analyze", "-o", "csv"]);
    let (names, values): (Vec<&str>, Vec<&str>) =
        (both.lines().next().unwrap().split(',').collect(), both.lines().nth(1).unwrap().split(',').collect());
    let column = |name: &str| values[names.iter().position(|one| *one == name).unwrap()];
    assert_eq!(["replaced", "swapped", "trimmed", "burn_cost_tao"].map(column), ["58", "0", "0", "0.5"]);

    let history = json(at, &["cost", "--history", "--netuid", "64"]);
    let prices: Vec<u64> = history["prices"].as_array().unwrap().iter().map(|one| one["burn_rao"].as_u64().unwrap()).collect();
    assert_eq!(prices, [500_000_000, 700_000_000, 500_000_000], "where it changed");
    assert!(table(at, &["cost", "--history", "--netuid", "64", "--plot", "h.svg"]).contains("highest 0.700000 TAO"));
    assert_eq!(run(at, &["cost", "--history", "--netuid", "1,64"]).status.code(), Some(2));

    let forecast = json(at, &["forecast", "--netuid", "64", "--below", "0.25"]);
    assert_eq!((&forecast["points"][0]["median_rao"], &forecast["blocks_until_below"]), (&500_000_000.into(), &360.into()));
    assert!((forecast["registrations_per_day"].as_f64().unwrap() - 2.0).abs() < 0.3, "{}", forecast["registrations_per_day"]);
    table(at, &["forecast", "--netuid", "64", "--below", "0.25", "--plot", "f.svg"]);
    table(at, &["forecast", "--price", "2TAO", "--registrations-per-day", "60"]);

    let args = ["recommend", "--gpu", "8xh200", "--gpu-usd", "2", "--budget", "2TAO", "--days", "20", "--tao-usd", "400"];
    let answer = &json(at, &args)[0];
    assert_eq!((&answer["netuid"], &answer["verdict"]), (&64.into(), &"estimate".into()));
    let middle = answer["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["percentile"] == 50).unwrap();
    let number = |key: &str| middle[key].as_f64().unwrap();
    // UIDs 12 to 63 earn 37.5 alpha an epoch in the middle, 20 epochs a day; at 0.1 TAO less slippage.
    let tao = 20_000.0 * 750.0 / 200_750.0;
    let net = tao * 400.0 - 384.0;
    assert!((number("alpha_per_day") - 750.0).abs() < 1e-6 && (number("net_usd_per_day") - net).abs() < 1e-6);
    assert!((number("profit_usd") - (net * 20.0 - 200.0)).abs() < 1.0, "all live twenty days: {middle}");
    let ranking = table(at, &args);
    assert!(ranking.lines().nth(1).unwrap().trim_start().starts_with("64"), "{ranking}");
    let opened = table(at, &[&args[..], &["--explain", "64"]].concat());
    assert!(opened.contains("days a place lives") && opened.contains("8 x 2 USD (as given) x 24 h"), "{opened}");
    assert!(opened.contains("alpha in the pool") && opened.contains("200000.0000"), "{opened}");
    assert_eq!(opened.matches("registration forecast").count(), 4, "{opened}");
    assert_eq!(answer["price_forecast"].as_array().unwrap().len(), 5);
    // Without a price of TAO it is the same income, and the price from which it pays.
    let unpriced = ["recommend", "--gpu", "8xh200", "--budget", "2TAO", "--days", "20"];
    let bare = &json(at, &unpriced)[0];
    let middle = bare["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["percentile"] == 50).unwrap();
    let number = |key: &str| middle[key].as_f64().unwrap();
    assert_eq!((&bare["verdict"], &middle["profit_usd"], &middle["net_usd_per_day"]), (&"estimate".into(), &Value::Null, &Value::Null));
    let lived = number("income_tao") / tao;
    assert!((lived - 20.0).abs() < 0.01 && (number("after_registration_tao") - (tao * lived - 0.5)).abs() < 1e-9, "{middle}");
    let gpus = 8.0 * 2.75 * 24.0;
    assert!((number("gpus_paid_from_tao_usd") - gpus / tao).abs() < 1e-9, "{middle}");
    assert!((number("all_paid_from_tao_usd") - gpus * lived / (tao * lived - 0.5)).abs() < 1e-9, "{middle}");
    let ranking = table(at, &unpriced);
    assert!(ranking.contains("GPUs are not") && ranking.lines().nth(1).unwrap().trim_start().starts_with("64"), "{ranking}");
    let opened = table(at, &[&unpriced[..], &["--explain", "64"]].concat());
    assert!(opened.contains("not given") && opened.contains("All from") && !opened.contains("Profit"), "{opened}");
    let rows = text(at, &[&unpriced[..], &["-o", "csv"]].concat());
    let columns = "netuid,verdict,percentile,alpha_per_day,tao_per_day,slippage_percent,net_usd_per_day,profit_usd,break_even_days,\
                   break_even_chance,income_tao,after_registration_tao,registration_days,registration_chance,gpus_paid_from_tao_usd,\
                   all_paid_from_tao_usd,registration_tao,days_a_place_lives";
    assert_eq!((rows.lines().count(), rows.lines().next()), (5, Some(columns)), "new columns come last");
    text(at, &[&unpriced[..], &["-o", "parquet", "--file", "r.parquet"]].concat());
    let poor = json(at, &["recommend", "--gpu", "8xh200", "--budget", "0.1", "--tao-usd", "400"]);
    assert_eq!(poor[0]["verdict"], "over_budget");
    assert!(text(at, &[&args[..], &["-o", "csv"]].concat()).lines().count() == 5);
}
