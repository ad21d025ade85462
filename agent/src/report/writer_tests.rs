use super::super::fixture::h100;
use super::*;
use crd::gpu_server::GpuHealth;
use gpu::{Driver, Health};
use kube::client::Body;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Mutex;

/// An API server with one GpuServer, which counts writes.
#[derive(Clone, Default)]
struct ApiServer {
    reported: Arc<Mutex<Value>>,
    writes: watch::Sender<usize>,
}

impl ApiServer {
    fn client(&self) -> kube::Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: axum::http::Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        kube::Client::new(service, "chutes")
    }

    async fn answer(&self, request: axum::http::Request<Body>) -> axum::http::Response<Body> {
        let path = request.uri().path().to_owned();
        if request.method() == "PATCH" {
            assert_eq!(path, "/apis/gepetto.fleet/v1alpha1/namespaces/chutes/gpuservers/gpu-0/status");
            assert!(request.uri().query().unwrap().contains("fieldManager=gepetto-agent"));
            let body: Value = serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
            assert_eq!(body["status"].as_object().unwrap().keys().collect::<Vec<_>>(), ["reported"]);
            *self.reported.lock().unwrap() = body["status"]["reported"].clone();
            self.writes.send_modify(|count| *count += 1);
        } else {
            assert_eq!(path, "/apis/gepetto.fleet/v1alpha1/namespaces/chutes/gpuservers/gpu-0");
        }
        let mut server = json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": "gpu-0", "namespace": "chutes" },
            "spec": {
                "nodeName": "node-a", "address": "203.0.113.10", "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj",
                "gpuRef": "h100_sxm", "gpuCount": 2, "hourlyCostPerGpu": 1.0,
                "driver": { "agent": { "nodeKey": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj" } },
            },
        });
        let reported = self.reported.lock().unwrap().clone();
        if !reported.is_null() {
            server["status"] = json!({ "reported": reported });
        }
        axum::http::Response::new(Body::from(server.to_string().into_bytes()))
    }

    fn health(&self, index: usize) -> Value {
        self.reported.lock().unwrap()["gpus"][index]["health"].clone()
    }
}

fn reading(health: Health, degrees: u32) -> Option<Reading> {
    Some(Reading { gpus: vec![h100(0, Health::Ok, degrees), h100(1, health, degrees)], driver: Driver::Answers("570.1".to_owned()) })
}

struct Reporting {
    api: ApiServer,
    gpus: watch::Sender<Option<Reading>>,
    _node: watch::Sender<Option<NodeFacts>>,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
}

impl Reporting {
    fn start(api: ApiServer) -> Self {
        let (gpus, readings) = watch::channel(None);
        let (node_tx, node) = watch::channel(None);
        let (inventory, commands) = mpsc::channel(1);
        let control = Control { client: api.client(), server: "gpu-0".to_owned(), namespace: "chutes-node-gpu-0".to_owned() };
        let reporter = Reporter { control: Arc::new(control), gpus: readings, node, inventory, metrics: Metrics::default() };
        let stop = CancellationToken::new();
        tokio::spawn(reporter.run(stop.clone()));
        Self { api, gpus, _node: node_tx, commands, stop }
    }

    async fn writes(&self, count: usize) {
        self.api.writes.subscribe().wait_for(|writes| *writes >= count).await.unwrap();
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_change_is_written() {
    let reporting = Reporting::start(ApiServer::default());
    reporting.gpus.send_replace(reading(Health::Ok, 40));
    reporting.writes(1).await;
    for degrees in 41..80 {
        reporting.gpus.send_replace(reading(Health::Ok, degrees));
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(*reporting.api.writes.borrow(), 1);
    // It was awake all the time:
    reporting.gpus.send_replace(reading(Health::Lost, 80));
    reporting.writes(2).await;
    assert_eq!(reporting.api.health(1), GpuHealth::Lost.as_str());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_that_sees_the_same_writes_nothing() {
    let first = Reporting::start(ApiServer::default());
    first.gpus.send_replace(reading(Health::Ok, 40));
    first.writes(1).await;
    let again = Reporting::start(first.api.clone());
    again.gpus.send_replace(reading(Health::Ok, 40));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(*again.api.writes.borrow(), 1);
    again.gpus.send_replace(reading(Health::Faulty, 40));
    again.writes(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_report_that_somebody_else_changed_is_put_right() {
    let reporting = Reporting::start(ApiServer::default());
    reporting.gpus.send_replace(reading(Health::Ok, 40));
    reporting.writes(1).await;
    reporting.api.reported.lock().unwrap()["gpus"][1]["health"] = json!("Lost");
    reporting.writes(2).await;
    assert_eq!(reporting.api.health(1), GpuHealth::Ok.as_str());
}

#[tokio::test(start_paused = true)]
async fn gpus_of_the_last_report_are_recalled_to_an_inventory_that_forgot_them() {
    let mut reporting = Reporting::start(ApiServer::default());
    reporting.gpus.send_replace(reading(Health::Ok, 40));
    reporting.writes(1).await;
    let mut less = reading(Health::Ok, 40).unwrap();
    let missing = less.gpus.pop().unwrap().facts;
    reporting.gpus.send_replace(Some(less));
    let Some(Command::Recall(seen)) = reporting.commands.recv().await else { panic!("nothing was recalled") };
    assert_eq!(seen.gpus(), [missing]);
}
