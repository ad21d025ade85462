//! The program as scripts see it: exit codes, and which stream says what.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";
const ADDRESS: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

/// A miner API that gives scripted answers by the beginning of the request line.
struct Api {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn start(answers: &[(&'static str, u16, &str)]) -> Self {
        Self::start_with(answers.iter().map(|(start, status, text)| (*start, *status, (*text).to_owned())).collect())
    }

    fn start_with(answers: Vec<(&'static str, u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut first, mut length, mut signed) = (String::new(), 0, false);
                reader.read_line(&mut first).unwrap();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let line = line.trim().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    signed |= line.starts_with("x-chutes-signature: ");
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                assert!(signed, "{first} is not signed");
                seen.lock().unwrap().push(first.trim_end_matches(" HTTP/1.1\r\n").to_owned());
                let answer = answers.iter().find(|(start, ..)| first.starts_with(start));
                let (status, text) = answer.map_or((404, r#"{"detail":"Not Found"}"#), |(_, status, text)| (*status, text));
                write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len()).unwrap();
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn run(api: &str, args: &[&str], stdin: &str, compat: bool) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let hotkey = folder.path().join("hotkey");
    std::fs::write(&hotkey, format!(r#"{{"ss58Address":"{ADDRESS}","secretSeed":"0x{SEED}"}}"#)).unwrap();
    std::fs::set_permissions(&hotkey, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chutes-miner"));
    command.args(args).env("HOTKEY", &hotkey).env("MINER_API", api).env("MINER_API_CA", "").env_remove("CHUTES_COMPAT");
    if compat {
        command.env("CHUTES_COMPAT", "0.7");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!all.contains(&SEED[..8]) && !all.contains("panicked"), "{all}");
    output
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

const ADD: &[&str] = &[
    "add-node",
    "--name",
    "gpu-1",
    "--validator",
    ADDRESS,
    "--hourly-cost",
    "2.5",
    "--gpu-short-ref",
    "h100",
    "--agent-api",
    "http://a:32000",
];

#[test]
fn add_node_succeeds_only_with_the_success_marker() {
    let good = Api::start(&[(
        "POST /servers/ ",
        200,
        "data: {\"timestamp\":\"T\",\"message\":\"completed server bootstrapping in 3 seconds!\"}\n\n",
    )]);
    let output = run(&good.url, ADD, "", false);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "T completed server bootstrapping in 3 seconds!\n"));

    let bad = Api::start(&[("POST /servers/ ", 200, "data: {\"timestamp\":\"T\",\"message\":\"failed: too slow\"}\n\n")]);
    assert_eq!(code(&run(&bad.url, ADD, "", false)), 5);
    assert_eq!(code(&run(&bad.url, ADD, "", true)), 0, "as the existing command line");

    for unfinished in [
        "data: {\"timestamp\":\"T\",\"message\":\"waiting: Verified (Pending)\"}\n\n",
        "data: {\"timestamp\":\"T\",\"message\":\"failed: it did not complete, time is up: Verified is False\"}\n\n",
        "",
    ] {
        let api = Api::start_with(vec![("POST /servers/ ", 200, unfinished.to_owned())]);
        let output = run(&api.url, ADD, "", false);
        assert_eq!(code(&output), 7, "{unfinished}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("goes on"), "{output:?}");
        assert_eq!(code(&run(&api.url, ADD, "", true)), 0, "as the existing command line");
    }

    let refused = Api::start(&[("POST /servers/ ", 409, r#"{"detail":"Server with name=gpu-1 is already provisioned!"}"#)]);
    let output = run(&refused.url, ADD, "", false);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("already provisioned"));
}

const PREFLIGHT: &str = r#"{"jobs":[],"instances":[{"chute":{"name":"user/model"},"gpus":[{}],"phase":"Active"}],"server":{"name":"gpu-1","server_id":"uid-1"}}"#;
const STARTED: &str = r#"{"status":"started","detail":"x"}"#;

#[test]
fn delete_node_asks_when_something_would_be_lost_and_a_no_deletes_nothing() {
    let answers: &[_] =
        &[("GET /servers/gpu-1/delete_preflight", 200, PREFLIGHT), ("DELETE /servers/gpu-1?", 200, STARTED), ("GET /servers/ ", 200, "[]")];
    for (stdin, status) in [("n\n", 6), ("\n", 6), ("", 1)] {
        let api = Api::start(answers);
        let output = run(&api.url, &["delete-node", "--name", "gpu-1"], stdin, false);
        assert_eq!((code(&output), stdout(&output).as_str()), (status, ""), "{stdin:?}");
        assert_eq!(api.requests(), ["GET /servers/gpu-1/delete_preflight"]);
    }
    for (args, stdin) in [(&["delete-node", "--name", "gpu-1"][..], "y\n"), (&["delete-node", "--name", "gpu-1", "--yes"][..], "")] {
        let api = Api::start(answers);
        let output = run(&api.url, args, stdin, false);
        assert_eq!(code(&output), 0);
        let printed: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
        assert_eq!(printed, serde_json::from_str::<serde_json::Value>(STARTED).unwrap());
        assert_eq!(api.requests()[1], "DELETE /servers/gpu-1?confirm=gpu-1");
    }
}

#[test]
fn an_empty_server_is_deleted_without_a_terminal_and_lost_is_passed_on() {
    let api = Api::start(&[("GET /servers/gpu-1/delete_preflight", 200, r#"{"jobs":[]}"#), ("DELETE /servers/gpu-1?", 200, STARTED)]);
    assert_eq!(code(&run(&api.url, &["delete-node", "--name", "gpu-1", "--lost", "--no-wait"], "", false)), 0);
    assert_eq!(api.requests()[1], "DELETE /servers/gpu-1?confirm=gpu-1&lost=true");
}

#[test]
fn an_answer_that_is_no_list_does_not_say_that_the_server_is_gone() {
    for other in ["{}", r#"{"detail":"maintenance"}"#, "null", r#"[{"hosts":[]}]"#] {
        let api = Api::start(&[
            ("GET /servers/gpu-1/delete_preflight", 200, r#"{"jobs":[]}"#),
            ("DELETE /servers/gpu-1?", 200, STARTED),
            ("GET /servers/ ", 200, other),
        ]);
        let output = run(&api.url, &["delete-node", "--name", "gpu-1", "--timeout", "0"], "", false);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code(&output), 7, "{other}: {told}");
        assert!(told.contains("not known to be gone") && told.contains("cannot be read"), "{told}");
    }
}

#[test]
fn the_words_of_a_server_cannot_disturb_the_terminal() {
    let api = Api::start(&[("GET /servers/gpu-1/lock", 409, "{\"detail\":\"no\\u001b]0;x\\u0007 \\u009b2Jway\"}")]);
    let output = run(&api.url, &["lock", "--name", "gpu-1"], "", false);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no]0;x 2Jway") && told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}");
}

#[test]
fn what_is_printed_for_people_is_had_as_json_too() {
    let api = Api::start(&[
        ("GET /servers/gpu-1/lock", 200, r#"{"name":"gpu-1","locked":true}"#),
        ("GET /servers/gpu-1/unlock", 200, r#"{"name":"gpu-1","locked":false}"#),
        ("GET /servers/ ", 200, r#"[{"name":"gpu-1","news":1}]"#),
    ]);
    let read = |args: &[&str]| -> serde_json::Value { serde_json::from_str(&stdout(&run(&api.url, args, "", false))).unwrap() };
    assert_eq!(read(&["lock", "--name", "gpu-1", "-o", "json"])["locked"], true);
    assert_eq!(read(&["unlock", "--name", "gpu-1", "-o", "json"])["locked"], false);
    assert_eq!(read(&["local-inventory", "-o", "json"])[0]["news"], 1);

    let stream = "data: {\"timestamp\":\"T\",\"message\":\"waiting\"}\n\n\
                  data: {\"timestamp\":\"T\",\"message\":\"completed server bootstrapping in 3 seconds!\"}\n\n";
    for (answer, code_wanted, outcome) in [(stream, 0, "ready"), (&stream[..45], 7, "unfinished")] {
        let api = Api::start(&[("POST /servers/ ", 200, answer)]);
        let output = run(&api.url, &[ADD, &["-o", "json"]].concat(), "", false);
        let lines: Vec<serde_json::Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(code(&output), code_wanted, "{output:?}");
        assert_eq!(lines[0], serde_json::json!({ "timestamp": "T", "message": "waiting" }));
        assert_eq!((&lines[lines.len() - 1]["outcome"], &lines[lines.len() - 1]["server"]), (&outcome.into(), &"gpu-1".into()));
    }
}

#[test]
fn codes_tell_not_found_unauthorised_and_unreachable_apart() {
    let api = Api::start(&[
        ("GET /servers/gpu-1/lock", 401, r#"{"detail":"go away (missing)"}"#),
        ("GET /servers/gpu-2/lock", 404, r#"{"detail":"No kubernetes node"}"#),
    ]);
    assert_eq!(code(&run(&api.url, &["lock", "--name", "gpu-1"], "", false)), 4);
    assert_eq!(code(&run(&api.url, &["lock", "--name", "gpu-2"], "", false)), 3);
    assert_eq!(code(&run(&api.url, &["lock", "--name", "gpu-2"], "", true)), 1);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&format!("http://{closed}/"), &["status"], "", false);
    assert_eq!(code(&output), 8);
    assert!(String::from_utf8_lossy(&output.stderr).lines().count() <= 3, "{output:?}");
}

#[test]
fn a_name_is_one_segment_of_the_path_whatever_is_in_it() {
    let api = Api::start(&[]);
    run(&api.url, &["lock", "--name", "../deployments/purge?x"], "", false);
    assert_eq!(api.requests(), ["GET /servers/..%2Fdeployments%2Fpurge%3Fx/lock"]);
}

#[test]
fn a_bare_call_prints_help_and_usage_errors_exit_2() {
    let output = run("http://127.0.0.1:1", &[], "", false);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains("add-node"));
    assert_eq!(code(&run("http://127.0.0.1:1", &["lock"], "", false)), 2);
    assert_eq!(code(&run("nonsense", &["status"], "", false)), 2);
    let remote = [&ADD[..9], &["--kubeconfig-file", "/dev/null", "--gpu-count", "8"]].concat();
    let output = run("http://203.0.113.1:32000", &remote, "", false);
    assert_eq!(code(&output), 2, "a kubeconfig is not sent over plain HTTP to another machine");
}

#[test]
fn the_inventory_as_json_is_the_miner_apis_own() {
    let api = Api::start(&[("GET /servers/ ", 200, r#"[{"name":"gpu-1","news":1}]"#)]);
    let output = run(&api.url, &["local-inventory", "--raw-json"], "", false);
    let value: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value, serde_json::json!([{ "name": "gpu-1", "news": 1 }]));
}
