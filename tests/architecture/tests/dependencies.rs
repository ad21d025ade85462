//! The crates form layers; a dependency may only point to a lower one. docs/architecture.md draws the picture.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::process::Command;

/// The layers, lowest first. A crate may use only crates of lower layers, by ordinary and build dependencies.
const LAYERS: &[&[&str]] = &[
    &["protocol"],
    &["gepetto", "gpu", "store", "validator", "chain", "service"],
    &["crd", "cluster"],
    &["workload"],
    &["realize"],
    &["controllers"],
    &["operator", "agent", "miner-api", "chutes-miner"],
];

/// What only tests, the demo and the build use.
const TOOLS: &[&str] =
    &["testkit", "fake-nvml", "architecture", "chain-sim", "custom-resources", "e2e", "fake-chute", "kubelab", "validator-sim", "xtask"];

fn metadata() -> Metadata {
    MetadataCommand::new().exec().expect("cargo metadata works in the workspace")
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn ours(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

#[test]
fn every_crate_has_a_place() {
    for package in ours(&metadata()) {
        let name = package.name.as_str();
        assert!(
            layer(name).is_some() || TOOLS.contains(&name),
            "{name} has no layer: put it into one in this test and in docs/architecture.md"
        );
    }
}

#[test]
fn dependencies_point_only_downward() {
    let metadata = metadata();
    let names: BTreeSet<String> = ours(&metadata).iter().map(|p| p.name.to_string()).collect();
    for package in ours(&metadata) {
        let Some(own) = layer(package.name.as_str()) else { continue };
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development && names.contains(d.name.as_str())) {
            let other = layer(&dependency.name);
            assert!(other.is_some_and(|other| other < own), "{} uses {}, which does not lie below it", package.name, dependency.name);
        }
    }
}

/// Every crate that ends up in a program, by name. `cargo tree` rather than the metadata: only it knows which optional
/// dependencies are really built.
fn closure(root: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", root])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo is there: it runs this test");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_agent_links_neither_postgres_nor_redis() {
    let used = closure("agent");
    assert!(used.contains("kube"), "the closure is empty of what the agent does use");
    for banned in ["sqlx", "sqlx-core", "redis", "store"] {
        assert!(!used.contains(banned), "the agent links {banned}");
    }
}

#[test]
fn domain_logic_compiles_without_kubernetes() {
    for domain in ["protocol", "gepetto", "gpu", "store", "validator", "chain"] {
        let used = closure(domain);
        assert!(!used.contains("k8s-openapi") && !used.contains("kube"), "{domain} links Kubernetes types");
    }
}

#[test]
fn one_tls_stack_one_time_crate_one_yaml() {
    for program in ["operator", "agent", "miner-api", "chutes-miner"] {
        let used = closure(program);
        for banned in ["openssl-sys", "native-tls", "ring", "chrono", "serde_yaml"] {
            assert!(!used.contains(banned), "{program} links {banned}");
        }
    }
}
