//! A real node: a pod from an image made here runs, answers and goes.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, without async code")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{fs, io, thread};

use kubelab::{ImageSpec, Lab, Level, Nodes, level_or_skip, push_image};
use serde_json::{Value, json};

fn get(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A web server in a Job, and a NodePort before it.
fn web() -> [Value; 2] {
    [
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": "web", "namespace": "default" },
            "spec": { "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": {
                    "restartPolicy": "Never",
                    "runtimeClassName": "nvidia",
                    "containers": [{
                        "name": "web",
                        // Any host leads to the lab's registry.
                        "image": "hotkey.registry.example:30500/tests/web:1",
                        "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1 },
                        "resources": { "limits": { "nvidia.com/gpu": "2" } },
                    }],
                },
            }},
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "web", "namespace": "default" },
            "spec": {
                "type": "NodePort",
                "selector": { "app": "web" },
                "ports": [{ "port": 80, "targetPort": 8080, "nodePort": 30080 }],
            },
        }),
    ]
}

#[test]
fn a_pod_runs_and_is_reached_and_reaches_out() {
    if !level_or_skip(Level::L4) {
        return;
    }
    let dir = common::folder();
    let lab = common::lab(dir.path(), Nodes::Real { name: "gpu-0".to_owned(), gpus: 8 });
    let node = lab.real_node.clone().unwrap();
    let image = ImageSpec::program(lab.binaries.pause(), "/bin/web").unwrap().cmd(["serve", ":8080", "it runs"]);
    push_image(lab.registry.as_deref().unwrap(), "tests/web:1", &image).unwrap();

    common::apply(&lab, &web());
    lab.kubectl_run(["wait", "--for=create", "pod", "-l=app=web", "--timeout=20s"]).unwrap();
    lab.kubectl_run(["wait", "--for=condition=Ready", "pod", "-l=app=web", "--timeout=60s"]).unwrap();

    common::eventually("the NodePort answers", Duration::from_secs(15), || {
        get(&format!("{}:30080", node.ip)).is_ok_and(|answer| answer.contains("it runs"))
    });
    assert!(lab.kubectl_run(["logs", "job/web"]).unwrap().contains("GET /"));

    // Outwards: a server of this machine, and a Service of the cluster.
    let listener = TcpListener::bind((node.host_ip, 0)).unwrap();
    let outside = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nfrom the machine");
    });
    let from_pod = |url: &str| lab.kubectl_run(["exec", "job/web", "--", "/bin/web", "get", url]);
    assert_eq!(from_pod(&format!("http://{outside}/")).unwrap(), "from the machine");
    let service = lab.kubectl_run(["get", "service", "web", "-o=jsonpath={.spec.clusterIP}"]).unwrap();
    assert!(from_pod(&format!("http://{service}/")).unwrap().contains("it runs"));

    // A program with shared libraries brings them along.
    let image = ImageSpec::program(env!("CARGO_BIN_EXE_kubelab"), "/usr/bin/kubelab").unwrap().cmd(["--version"]);
    push_image(lab.registry.as_deref().unwrap(), "tests/dynamic:1", &image).unwrap();
    common::apply(
        &lab,
        &[json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "dynamic", "namespace": "default" },
            "spec": { "restartPolicy": "Never", "containers": [{ "name": "dynamic", "image": "tests/dynamic:1" }] },
        })],
    );
    lab.kubectl_run(["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/dynamic", "--timeout=60s"]).unwrap();
    assert!(lab.kubectl_run(["logs", "dynamic"]).unwrap().starts_with("kubelab "));

    let slot = common::slot(dir.path());
    assert!(common::traces(dir.path(), slot).len() > 8);
    Lab::down(dir.path()).unwrap();
    assert_eq!(common::traces(dir.path(), slot), Vec::<String>::new());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
