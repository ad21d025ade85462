//! A control plane without nodes: up, used, disturbed, down.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, without async code")]

mod common;

use std::fs;
use std::process::Command;
use std::time::Duration;

use kubelab::{Error, Lab, Level, Nodes, Options, level_or_skip};

#[test]
fn a_control_plane_issues_tokens_and_records_changes() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = common::folder();
    let lab = common::lab(dir.path(), Nodes::None);

    // A token from TokenRequest is good for who it was made for.
    let token = lab.kubectl_run(["create", "token", "default"]).unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &lab.ca_pem).unwrap();
    let whoami = Command::new(lab.binaries.kubectl())
        .env("KUBECONFIG", "/dev/null")
        .args(["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"])
        .args(["--server", &lab.api_url, "--token", token.trim()])
        .arg("--certificate-authority")
        .arg(&ca)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&whoami.stdout),
        "system:serviceaccount:default:default",
        "{}",
        String::from_utf8_lossy(&whoami.stderr)
    );

    // Role-based access is on: that account may read nothing.
    let account = ["--as=system:serviceaccount:default:default"];
    assert!(lab.kubectl_run(["get", "secrets"].iter().chain(&account)).is_err());

    // A change is in the audit log when its answer is here.
    lab.kubectl_run(["create", "configmap", "audited"]).unwrap();
    let recorded = fs::read_to_string(&lab.audit_log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .any(|event| event["verb"] == "create" && event["objectRef"]["name"] == "audited");
    assert!(recorded);

    // Owner references are collected, so all controllers are at work.
    let owner = lab.kubectl_run(["get", "configmap", "audited", "-o=jsonpath={.metadata.uid}"]).unwrap();
    common::apply(
        &lab,
        &[serde_json::json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "owned",
                "namespace": "default",
                "ownerReferences": [{ "apiVersion": "v1", "kind": "ConfigMap", "name": "audited", "uid": owner }],
            },
        })],
    );
    lab.kubectl_run(["delete", "configmap", "audited"]).unwrap();
    common::eventually("the owned object goes", Duration::from_secs(30), || lab.kubectl_run(["get", "configmap", "owned"]).is_err());
}

#[test]
fn the_api_server_freezes_thaws_dies_and_returns() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = common::folder();
    let lab = common::lab(dir.path(), Nodes::None);
    let answers = |lab: &Lab| lab.kubectl_run(["get", "namespaces", "--request-timeout=2s"]).is_ok();

    lab.freeze("kube-apiserver").unwrap();
    assert!(!answers(&lab));
    lab.thaw("kube-apiserver").unwrap();
    lab.wait_ready(Duration::from_secs(20)).unwrap();
    assert!(answers(&lab));

    lab.kubectl_run(["create", "namespace", "kept"]).unwrap();
    lab.kill("kube-apiserver").unwrap();
    assert!(!answers(&lab));
    lab.start("kube-apiserver").unwrap();
    lab.wait_ready(Duration::from_secs(30)).unwrap();
    lab.kubectl_run(["get", "namespace", "kept"]).unwrap();
}

#[test]
fn down_leaves_nothing_and_may_be_repeated() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = common::folder();
    let lab = common::lab(dir.path(), Nodes::None);
    let again = Lab::up(Options::new(dir.path()), |_| {});
    assert!(matches!(again, Err(Error::AlreadyUp(_))), "{again:?}");
    assert_eq!(Lab::attach(dir.path()).unwrap().api_url, lab.api_url);
    // The live twin of the last assertion: the lab can be seen.
    assert!(!common::traces(dir.path(), None).is_empty());

    Lab::down(dir.path()).unwrap();
    Lab::down(dir.path()).unwrap();
    assert!(matches!(Lab::attach(dir.path()), Err(Error::NoLab(_))));
    assert_eq!(common::traces(dir.path(), None), Vec::<String>::new());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
