use validator_sim::{Config, Fault, FaultMode, LaunchState, Profile};

use crate::common::{Chute, DEPLOYMENT, GPU, applet, granted, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_chute_comes_up_answers_its_probe_and_stops_when_told() {
    let g = granted(Config::relaxed(), false).await;
    let chute = Chute::start(&g.token, &[]);
    until("it is active", || g.sim.snapshot().active("demo") == 1).await;
    let instance = g.sim.snapshot().instances[0].clone();
    assert_eq!((instance.host.as_str(), instance.port, instance.gpus), ("203.0.113.10", 31000, vec![GPU.to_owned()]));
    assert_eq!(instance.deployment.as_deref(), Some(DEPLOYMENT));

    for addr in &chute.listening {
        let probe = format!("curl -f http://{addr}/_alive || exit 1");
        let out = applet("/bin/sh").args(["-c", &probe]).output().expect("it runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let out = applet("curl").args(["-fs", &format!("http://{addr}/nothing")]).output().expect("it runs");
        assert_eq!(out.status.code(), Some(22));
    }
    let metrics = applet("curl").args(["-fs", &format!("http://{}/_metrics", chute.listening[0])]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&metrics.stdout).contains("\nfake_chute_state 3\n"));
    let logs = applet("curl").args(["-fs", &format!("http://{}/logs", chute.listening[1])]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&logs.stdout).contains("_chute.log"));

    chute.terminate();
    let (status, text) = chute.end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(!text.contains(&g.token), "the token is nobody's business");
    assert_eq!(g.sim.counters().unexpected, 0, "{:?}", g.sim.unexpected());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_alive_before_its_proof() {
    let g = granted(Config::relaxed(), false).await;
    let chute = Chute::start(&g.token, &[("FAKE_CHUTE_CLAIM_DELAY_MS", "600000")]);
    let probe = format!("curl -f -s http://{}/_alive || exit 1", chute.listening[1]);
    assert_eq!(applet("sh").args(["-c", &probe]).output().expect("it runs").status.code(), Some(1));
    let ping = applet("curl").args(["-fs", &format!("http://{}/_ping", chute.listening[0])]).output().expect("it runs");
    assert_eq!(ping.stdout, b"pong");
    chute.terminate();
    assert_eq!(chute.end().0.code(), Some(0));
    assert_eq!(g.sim.counters().launches.abandoned, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_be_made_to_fail() {
    for (at, state) in [
        ("start", LaunchState::Created),
        ("claim", LaunchState::Created),
        ("verify", LaunchState::Claimed),
        ("activate", LaunchState::Verified),
    ] {
        let g = granted(Config::relaxed(), false).await;
        let (status, text) = Chute::start(&g.token, &[("FAKE_CHUTE_FAIL_AT", at)]).end();
        assert_eq!(status.code(), Some(137), "{at}: {text}");
        assert!(text.contains("told to fail"), "{text}");
        assert_eq!(g.sim.snapshot().launches[0].state, state, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_the_token_is_not() {
    let g = granted(Config::relaxed(), false).await;
    let (status, text) = Chute::start(&g.token, &[("FAKE_CHUTE_GPU_MODEL", r#"{"name": "Tesla T4"}"#)]).end();
    assert_eq!(status.code(), Some(137));
    assert!(text.contains("claim was refused with 400") && text.contains("Tesla T4"), "{text}");
    assert!(!text.contains(&g.token));
    let (status, text) = Chute::start("rubbish", &[]).end();
    assert_eq!(status.code(), Some(137));
    assert!(text.contains("CHUTES_LAUNCH_JWT is no token") && !text.contains("rubbish"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_chute_with_the_same_token_ends() {
    let g = granted(Config::relaxed(), false).await;
    let _first = Chute::start(&g.token, &[]);
    until("it is active", || g.sim.snapshot().active("demo") == 1).await;
    let (status, text) = Chute::start(&g.token, &[]).end();
    assert_eq!(status.code(), Some(137));
    assert!(text.contains("has already been retrieved"), "{text}");
    assert_eq!(g.sim.snapshot().active("demo"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_and_activation_survive_lost_answers_and_423_ends_it() {
    let g = granted(Config::relaxed(), false).await;
    let path = format!("/instances/launch_config/{}", g.config_id);
    g.sim.fault(Fault::times(&path, FaultMode::DropAnswer, 1).on("PUT"));
    g.sim.fault(Fault::times(&format!("{path}/activate"), FaultMode::Status(503), 1));
    let chute = Chute::start(&g.token, &[]);
    until("it is active", || g.sim.snapshot().active("demo") == 1).await;
    assert_eq!(g.sim.counters().asked("PUT /instances/launch_config/{config_id}"), 2);
    assert_eq!(g.sim.counters().events["instance_verified"], 1);
    drop(chute);

    let g = granted(Config::relaxed(), false).await;
    g.sim.fault(Fault::forever(&format!("/instances/launch_config/{}/activate", g.config_id), FaultMode::Status(423)));
    let (status, text) = Chute::start(&g.token, &[]).end();
    assert_eq!(status.code(), Some(137));
    assert!(text.contains("at capacity"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_chute_claims_on_its_own_path() {
    let g = granted(Config { profile: Profile::Mar26, ..Config::relaxed() }, true).await;
    let chute = Chute::start(&g.token, &[]);
    until("it is active", || g.sim.snapshot().active("demo") == 1).await;
    assert_eq!(g.sim.counters().asked("POST /instances/launch_config/{config_id}/tee"), 1);
    drop(chute);
}
