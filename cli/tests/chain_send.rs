//! Commands that send, on a node that stands in for a real one. What counts is what the node was sent.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that cannot go on has failed; nothing else runs on its thread")]

use chain::read::Neuron;
use chain::wallet::{Form, Password, key_from_uri, public_json, seal, store};
use chain_sim::Fate;
use sending::{BLOCK, CHARLIE, Lab, PASSWORD, PRICE, TAO, exchange, id, json};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

#[path = "lab/sending.rs"]
mod sending;
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_all_and_sends_nothing_and_yes_sends() {
    let lab = Lab::new().await;
    lab.registers();
    let tried = json(&lab.run("register 64 --dry-run --tao-usd 400 -o json"));
    assert_eq!(lab.sent().len(), 0);
    assert_eq!((&tried["result"], &tried["error"], &tried["dry_run"]), (&"would_succeed".into(), &Value::Null, &"succeeds".into()));
    assert_eq!((&tried["signer"], &tried["block"]["number"]), (&id("//Alice").to_string().into(), &BLOCK.into()));
    assert_eq!((&tried["quote"]["price_rao"], &tried["limit_rao"], &tried["price_usd"]), (&PRICE.into(), &PRICE.into(), &200.0.into()));
    assert_eq!(
        (&tried["quote"]["uids"], &tried["quote"]["max_uids"], &tried["quote"]["place"]["state"]),
        (&200.into(), &256.into(), &"free".into())
    );
    assert_eq!((&tried["fee_rao"], &tried["balance_after_rao"]), (&12_000.into(), &(10 * TAO - PRICE - 12_000).into()));
    assert_eq!((&tried["warnings"][0]["warning"], &tried["nonce"]), (&"limit_not_held".into(), &7.into()));
    assert_eq!(tried["call"]["arguments"]["hotkey"], id("//Bob").to_string());
    assert!(tried["outcome"].is_null() && tried["registered"].is_null(), "{tried}");
    let shown = lab.done("register 64 --dry-run");
    for words in ["0.500000000 TAO", "200 of 256", "10.000000000 TAO", "it would succeed", "this runtime does not hold it", "1.0 days"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains('$'), "nobody gave a price in dollars: {shown}");

    let output = lab.run("register 64 --limit 0.6TAO --yes -o json");
    let done = json(&output);
    assert_eq!((output.status.code(), &done["result"], lab.sent().len()), (Some(0), &"done".into(), 1), "{done}");
    assert_eq!((&done["outcome"]["block"]["number"], &done["outcome"]["index"]), (&(BLOCK + 1).into(), &1.into()));
    assert_eq!((&done["registered"]["uid"], &done["registered"]["block"]), (&200.into(), &(BLOCK + 1).into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("waiting for a block to take it, up to 6852814"), "{output:?}");
    // What is there now needs no password and no fee.
    lab.refuses("register 64 --limit 1 --yes", 1, "registered on subnet 64 already, as UID 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_place_on_a_full_subnet_is_told() {
    let lab = Lab::new().await;
    lab.registers();
    for item in ["SubnetworkN", "MaxAllowedUids"] {
        lab.set(0, lab.runtime.storage_key("SubtensorModule", item, (64_u16,)).unwrap(), vec![0, 4]);
    }
    // An estimate that cannot be made keeps nobody from registering.
    let unknown = json(&lab.run("register 64 --dry-run -o json"));
    assert_eq!((&unknown["result"], &unknown["quote"]["place"]["state"]), (&"would_succeed".into(), &"unknown".into()));
    assert!(unknown["quote"]["place"]["why"].is_string() && unknown["quote"]["place"]["uid"].is_null(), "{unknown}");

    // Subnet 1 as it was recorded, under the number 64.
    let hex = |value: &Value| hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap();
    for call in ["SubnetInfoRuntimeApi_get_selective_mechagraph", "NeuronInfoRuntimeApi_get_neurons_lite"] {
        let (_, params, answer) = exchange("metagraph", call);
        let arguments = [&[64, 0], &hex(&params[1])[2..]].concat();
        lab.sim.change(|world| world.set_call(0, call, arguments, hex(&answer["result"])));
    }
    let told = json(&lab.run("register 64 --dry-run -o json"));
    let graph = json(&lab.run("metagraph 64 -o json"));
    let number = |value: &Value| value.as_u64().unwrap();
    let (block, immunity) = (number(&graph["block"]["number"]), number(&graph["immunity_period"]));
    let exposed = graph["neurons"].as_array().unwrap().iter().filter(|one| number(&one["registered_at"]) + immunity <= block);
    let owner = &graph["owner_hotkey"];
    let weakest = exposed.filter(|one| one["hotkey"] != *owner).min_by_key(|one| {
        let keys = ["emission", "registered_at", "uid"];
        keys.map(|key| number(&one[key]))
    });
    let weakest = weakest.unwrap();
    assert_eq!((&told["quote"]["place"]["uid"], &told["quote"]["place"]["hotkey"]), (&weakest["uid"], &weakest["hotkey"]));
    let words = format!("1024 of 1024 are taken; it takes that of UID {}", weakest["uid"]);
    let shown = lab.done("register 64 --dry-run").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(&words), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_opened_or_asked_where_nobody_can_say_yes() {
    let lab = Lab::new().await;
    lab.registers();
    for args in ["register 64", "register 64 --limit 1", &format!("transfer --to {CHARLIE} --amount 1")] {
        lab.refuses(args, 2, "no terminal");
    }
    lab.refuses("register 64 --yes", 2, "--limit TAO");
    assert_eq!(lab.sim.requests(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_types_yes_or_nothing_is_sent() {
    let lab = Lab::new().await;
    lab.registers();
    for answer in ["no\n", "y\n", "\n", "\x04"] {
        let screen = lab.on_a_terminal("register 64", &[("Type yes: ", answer)]);
        assert!(screen.contains("code 6") && screen.contains("nothing was sent"), "{answer:?}: {screen}");
        assert_eq!(lab.sent().len(), 0, "{answer:?}");
    }
    let screen = lab.on_a_terminal("register 64", &[("Type yes: ", "\x03")]);
    // The shell that would tell the code is interrupted, too.
    assert!(screen.contains("interrupted; nothing was sent"), "{screen}");
    assert_eq!(lab.sent().len(), 0);
    let screen = lab.on_a_terminal("register 64", &[("Type yes: ", "yes\n")]);
    assert!(screen.contains("code 0") && screen.contains("UID 200 on subnet 64, since block 6852691"), "{screen}");
    assert_eq!(lab.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_or_would_fail_is_not_sent() {
    let lab = Lab::new().await;
    lab.registers();
    lab.refuses("register 64 --limit 0.499999999 --yes", 1, "costs 0.500000000 TAO, more than the limit of 0.499999999");
    lab.refuses("register 64 --limit 0.4 --dry-run", 1, "--limit TAO");
    lab.refuses("register 64 --limit cheap --yes", 2, "no amount of TAO");
    lab.refuses("register 65 --limit 1 --yes", 3, "65");
    lab.fund(PRICE - 1);
    lab.refuses("register 64 --limit 1 --yes", 1, "the coldkey has 0.499999999");
    lab.fund(TAO);
    lab.dry_run(&[0, 1, 3, 7, 1, 0, 0, 0]);
    lab.refuses("register 64 --limit 1 --yes", 1, "SubtensorModule.InvalidIpType: The user is trying to serve");
    lab.refuses("register 64 --limit 1 --dry-run", 1, "nothing was sent");
    lab.dry_run(&[1, 0, 1]);
    let output = lab.run("register 64 --limit 1 --yes -o json");
    let told = json(&output);
    assert_eq!((output.status.code(), &told["result"], lab.sent().len()), (Some(1), &"would_fail".into(), 0));
    assert_eq!(told["dry_run"]["refused"]["meaning"], "the account cannot pay the fee");
    let owner = lab.runtime.storage_key("SubtensorModule", "Owner", (id("//Bob").0,)).unwrap();
    lab.set(0, owner, vec![9; 32]);
    lab.refuses("register 64 --limit 1 --yes", 1, "belongs to the coldkey");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_it_is_told_with_a_code_that_is_not_0() {
    let lab = Lab::new().await;
    lab.fate(Fate::failure(7, 1));
    for args in ["register 64 --limit 1 --yes -o json", "--compat-exit register 64 --limit 1 --yes -o json"] {
        let output = lab.run(args);
        let told = json(&output);
        assert_eq!((output.status.code(), &told["result"]), (Some(5), &"failed".into()), "{told}");
        assert_eq!(told["outcome"]["failure"]["name"], "SubtensorModule.InvalidIpType");
        assert!(told["error"].as_str().unwrap().contains("The user is trying to serve an axon"), "{told}");
    }
    assert_eq!(lab.sent().len(), 2);

    lab.fate(Fate::Refused("Invalid Transaction: Custom error: 2".to_owned()));
    let output = lab.run("register 64 --limit 1 --yes -o json");
    assert_eq!((output.status.code(), &json(&output)["result"]), (Some(1), &"refused".into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the balance is too low"), "{output:?}");

    lab.fate(Fate::Forgotten(140));
    let output = lab.run("register 64 --limit 1 --yes -o json");
    assert_eq!((output.status.code(), &json(&output)["result"]), (Some(1), &"expired".into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("that is safe now"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_on_its_way_already_is_not_sent_again() {
    let lab = Lab::new().await;
    lab.registers();
    lab.sim.change(|world| world.extrinsics.nonce = 9);
    let pay = format!("transfer --to {CHARLIE} --amount 1");
    lab.refuses(&format!("{pay} --yes"), 6, "2 extrinsic(s) of this key were sent and are in no block yet");
    assert_eq!(json(&lab.run(&format!("{pay} --dry-run -o json")))["waiting"], 2);
    lab.done(&format!("{pay} --yes --accept-warnings"));
    assert_eq!(lab.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_hurt_a_chutes_miner_needs_more_than_a_yes() {
    let lab = Lab::new().await;
    lab.fate(Fate::success());
    let serve = "serve-axon 64 --ip 203.0.113.7 --port 8091";
    // Elsewhere subnet 64 is one like any other.
    lab.done(&format!("{serve} --yes"));
    assert_eq!(lab.sent().len(), 1);
    lab.is_finney();
    lab.refuses(&format!("{serve} --yes"), 6, "--accept-warnings beside --yes");
    let output = lab.run(&format!("{serve} --dry-run -o json"));
    assert_eq!((output.status.code(), &json(&output)["warnings"][0]["warning"], lab.sent().len()), (Some(0), &"axon".into(), 1));
    lab.done(&format!("{serve} --yes --accept-warnings"));
    assert_eq!(lab.sent().len(), 2);
    lab.refuses("serve-axon 64 --ip 10.0.0.1 --port 8091 --yes", 2, "cannot be reached from outside");

    // A coldkey that has a UID already, while only its best is paid: the clock of this chain says 1970.
    let (_, _, answer) = exchange("metagraph", "NeuronInfoRuntimeApi_get_neurons_lite");
    let neurons = hex::decode(answer["result"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    lab.sim.change(|world| world.set_call(0, "NeuronInfoRuntimeApi_get_neurons_lite", vec![64, 0], neurons.clone()));
    let decoded: Vec<Neuron> = lab.runtime.call_answer("NeuronInfoRuntimeApi", "get_neurons_lite", &neurons).unwrap();
    let first = decoded[0].coldkey;
    std::fs::remove_file(lab.path("wallets/default/coldkey")).unwrap();
    store::write(&lab.path("wallets/default/coldkeypub.txt"), &public_json(&first.ss58()), false).unwrap();
    lab.set(0, lab.runtime.storage_key("System", "Account", (first.0,)).unwrap(), [vec![0; 16], vec![9; 6], vec![0; 34]].concat());
    lab.refuses("register 64 --limit 1 --yes", 6, "chutes pays only the best hotkey");
    // The guard rail was asked before the key, which is not there.
    lab.refuses("register 64 --limit 1 --yes --accept-warnings", 3, "coldkey");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_is_opened_with_its_password_only() {
    let lab = Lab::new().await;
    lab.registers();
    let alice = key_from_uri("//Alice").unwrap();
    let sealed = seal(&alice.to_json(), Form::Ansible, &Password::new(PASSWORD)).unwrap();
    store::write(&lab.path("wallets/default/coldkey"), &sealed, true).unwrap();
    store::write(&lab.path("wallets/default/coldkeypub.txt"), &public_json(alice.address()), false).unwrap();
    for (name, password) in [("wrong", "another"), ("right", PASSWORD)] {
        std::fs::write(lab.path(name), password).unwrap();
        std::fs::set_permissions(lab.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    lab.refuses("register 64 --limit 1 --yes --password-file wrong", 4, "the password is wrong");
    lab.refuses("register 64 --limit 1 --yes", 2, "no terminal on which to ask for a password");
    // What needs no key needs no password.
    lab.refuses("register 64 --limit 0.1 --yes --password-file wrong", 1, "more than the limit");
    lab.done("register 64 --limit 1 --yes --password-file right");
    assert_eq!(lab.sent().len(), 1);
    let pay = format!("transfer --to {CHARLIE} --amount 1");
    let answers = [("Password of ", "testpass123!\n"), ("Type yes: ", "yes\n")];
    let screen = lab.on_a_terminal(&pay, &answers);
    assert!(screen.contains("code 0") && !screen.contains(PASSWORD), "{screen}");
    assert_eq!(lab.sent().len(), 2);
    let screen = lab.on_a_terminal(&pay, &[("Password of ", "\x03")]);
    assert!(screen.contains("interrupted; nothing was sent") && screen.contains("code 130"), "{screen}");
    assert_eq!(lab.sent().len(), 2);
    // Shown as one, signed as another: no.
    store::write(&lab.path("wallets/default/coldkeypub.txt"), &public_json(&id("//Eve").ss58()), true).unwrap();
    lab.account("//Eve", 10 * TAO);
    lab.refuses(&format!("{pay} --yes --password-file right"), 1, "public half");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_on_the_command_line_of_the_node_can_be_sent() {
    let lab = Lab::new().await;
    let alice = id("//Alice").to_string();
    let (account, rao) = chain_sim::balance(&format!("{alice}=2.5")).unwrap();
    lab.sim.change(|world| {
        world.set_balance(account, rao);
        world.extrinsics.nonce = 0;
        world.extrinsics.fate = Fate::success();
    });
    let tried = json(&lab.run(&format!("transfer --to {CHARLIE} --amount 1 --dry-run -o json")));
    assert_eq!((&tried["result"], &tried["waiting"]), (&"would_succeed".into(), &0.into()), "{tried}");
    assert_eq!(tried["balance_after_rao"], 5 * TAO / 2 - TAO - 12_000);
    lab.done(&format!("transfer --to {CHARLIE} --amount 1 --yes"));
    for wrong in
        [alice.clone(), format!("{alice}="), format!("{alice}=-1"), format!("{alice}=1.0000000001"), format!("{alice}=99999999999")]
    {
        assert!(chain_sim::balance(&wrong).is_err(), "{wrong}");
    }
    let typo = alice.replacen('w', "v", 1);
    for wrong in [format!("{typo}=1"), "=1".to_owned(), "14E5nqKAp3oAJcmzgZhUD2RcptBeUBScxKHgJKU4HPNcKVf3=1".to_owned()] {
        assert!(chain_sim::balance(&wrong).unwrap_err().contains("no SS58 address"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tao_goes_where_it_shall_and_no_further() {
    let lab = Lab::new().await;
    lab.fate(Fate::success());
    let to = |rest: &str| format!("transfer --to {CHARLIE} {rest}");
    lab.refuses(&format!("transfer --to {} --amount 1 --yes", id("//Alice")), 2, "sender's own address");
    // The same key with the prefix of another chain.
    lab.refuses("transfer --to 14E5nqKAp3oAJcmzgZhUD2RcptBeUBScxKHgJKU4HPNcKVf3 --amount 1 --yes", 2, "--to");
    lab.refuses(&to("--amount 0 --yes"), 2, "nothing is no amount");
    lab.refuses(&to("--yes"), 2, "<--amount <TAO>|--all>");
    lab.refuses(&to("--amount 1 --all --yes"), 2, "cannot be used with");
    lab.refuses(&to("--amount -1TAO --yes"), 2, "\"-1TAO\" is no amount of TAO");
    lab.refuses(&to("--amount 1 --tao-usd -1 --yes"), 2, "--tao-usd is a price above 0");
    lab.refuses("register 64 --limit -1 --yes", 2, "\"-1\" is no amount of TAO");
    lab.refuses(&to("--amount 10 --yes"), 1, "9.999999500 TAO can be sent at most");
    let output = lab.run(&to("--amount 9.9999 --dry-run -o json"));
    let tried = json(&output);
    assert_eq!((&tried["call"]["arguments"]["value"], &tried["balance_after_rao"]), (&9_999_900_000_u64.into(), &88_000.into()));
    assert_eq!(tried["call"]["name"], "Balances.transfer_keep_alive");
    assert!(lab.done(&to("--amount 9.999988 --allow-death --dry-run")).contains("an account lives on"));

    let output = lab.run(&to("--all --yes -o json"));
    let done = json(&output);
    assert_eq!((output.status.code(), &done["balance_after_rao"]), (Some(0), &500.into()), "{done}");
    assert_eq!(done["call"]["arguments"]["value"], 10 * TAO - 500 - 12_000);
    let emptied = json(&lab.run(&to("--all --allow-death --yes -o json")));
    assert_eq!((&emptied["call"]["name"], &emptied["balance_after_rao"]), (&"Balances.transfer_allow_death".into(), &0.into()));
    assert_eq!(lab.sent().len(), 2);
    let charlie = id("//Charlie").0;
    assert!(lab.sent().iter().all(|sent| sent.windows(32).any(|window| window == charlie)));
}
