//! What a person at a terminal sees: explanations, columns, names.

#![allow(clippy::unwrap_used, reason = "a test")]

use custom_resources::{Actor, Server, collection, folder, lab, read_examples};
use kubelab::{Lab, Level, level_or_skip};

fn columns(lab: &Lab, args: &[&str]) -> Vec<String> {
    let table = lab.kubectl_run(["get"].iter().chain(args)).unwrap();
    table.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The headers of every table in what `kubectl get` prints for several kinds, and the names.
fn kinds(lab: &Lab, what: &str) -> Vec<String> {
    let names = lab.kubectl_run(["get", what, "-A", "-o", "name"]).unwrap();
    let mut kinds: Vec<String> = names.lines().filter_map(|line| line.split('.').next()).map(str::to_owned).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[tokio::test]
async fn kubectl_explains_lists_and_describes() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let admin = Actor::admin(&lab).await;
    let server = Server::provision(&admin, "h100-ams-01", false).await;
    for (name, object) in read_examples() {
        let answer = admin.create(&collection(&object), &object).await;
        assert!(answer.accepted() || answer.code == 409, "{name}: {}", answer.message());
    }

    explains(&lab);

    // The first question is answered by the columns.
    assert_eq!(
        columns(&lab, &["gs", "-n", "chutes"]),
        ["NAME", "PHASE", "MODEL", "BUSY", "HEALTH", "HOLD", "WHY-IDLE", "$/H", "SEEN-BY", "AGE"]
    );
    assert_eq!(columns(&lab, &["cdep", "-n", &server.namespace]), ["NAME", "CHUTE", "SERVER", "GPUS", "PHASE", "REASON", "AGE"]);
    assert_eq!(columns(&lab, &["chute", "-n", "chutes"]), ["NAME", "CHUTE", "GPUS", "TEE", "RUNNING", "WHY-NOT", "LISTED", "AGE"]);
    assert_eq!(columns(&lab, &["policy", "-n", "chutes"]), ["NAME", "MODE", "IDLE", "LAST-PLAN", "AGE"]);
    assert_eq!(columns(&lab, &["val", "-n", "chutes"]), ["NAME", "API", "CONNECTED", "IN-SYNC", "AGE"]);
    let held = lab.kubectl_run(["get", "gs", "a100-lon-03", "-n", "chutes", "--no-headers"]).unwrap();
    let cells: Vec<&str> = held.split_whitespace().collect();
    assert!(cells.contains(&"a100") && cells.contains(&"person") && cells.contains(&"0.9"), "{held}");

    // A kind's name means that kind, and the category means all of them.
    assert_eq!(kinds(&lab, "chutes"), ["chute"]);
    assert_eq!(kinds(&lab, "gpuservers,chutes,chutedeployments"), ["chute", "chutedeployment", "gpuserver"]);
    assert_eq!(kinds(&lab, "fleet"), ["chute", "chutedeployment", "gepettopolicy", "gpuserver", "validator"]);
}

fn explains(lab: &Lab) {
    for definition in crd::all() {
        let kind = definition.spec.names.plural;
        for part in ["", ".spec", ".status"] {
            let text = lab.kubectl_run(["explain", &format!("{kind}{part}")]).unwrap();
            assert!(!text.contains("Auto-generated"), "{kind}{part} says nothing of its own:\n{text}");
            assert!(!text.contains("<no description>"), "{kind}{part} has a field without a description:\n{text}");
        }
    }
    let spec = lab.kubectl_run(["explain", "gpuserver.spec"]).unwrap();
    // Words, since kubectl breaks lines where it likes.
    let words = spec.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "Public address (IP or DNS name) that the validator reaches instances at.",
        "What one GPU of it costs you per hour, in US dollars.",
        "Who realizes deployments: our agent, or the operator over the node's kubeconfig.",
        "enum: Own, Shared",
        "driver <Object> -required-",
    ] {
        assert!(words.contains(sentence), "{sentence:?} is not in:\n{spec}");
    }
    let whole = lab.kubectl_run(["explain", "gpuserver"]).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(whole.contains("A machine whose GPUs earn for a validator"), "{whole}");
}
