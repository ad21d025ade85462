//! What the API watches. Each kind has its own watch: an unreadable one slows no other.

use crate::ports::fleet::{Source, View};
use cluster::watch::{Freshness, WatchHandle, WatchOptions, source};
use crd::{Chute, ChuteDeployment, FLEET_NAMESPACE, GepettoPolicy, GpuServer, Validator};
use kube::{Api, Client};
use std::sync::Arc;

/// All watches.
#[derive(Clone)]
pub(crate) struct Watches {
    pub servers: WatchHandle<GpuServer>,
    pub deployments: WatchHandle<ChuteDeployment>,
    pub chutes: WatchHandle<Chute>,
    pub validators: WatchHandle<Validator>,
    pub policies: WatchHandle<GepettoPolicy>,
}

impl Watches {
    pub(crate) fn start(client: &Client) -> Self {
        let options = WatchOptions::default;
        Self {
            servers: source(Api::namespaced(client.clone(), FLEET_NAMESPACE), options()),
            deployments: source(Api::all(client.clone()), options()),
            chutes: source(Api::namespaced(client.clone(), FLEET_NAMESPACE), options()),
            validators: source(Api::namespaced(client.clone(), FLEET_NAMESPACE), options()),
            policies: source(Api::namespaced(client.clone(), FLEET_NAMESPACE), options()),
        }
    }

    /// Waits until every kind was listed once.
    pub(crate) async fn ready(&self) {
        tokio::join!(self.servers.ready(), self.deployments.ready(), self.chutes.ready(), self.validators.ready(), self.policies.ready());
    }

    /// How old what each watch says is.
    pub(crate) fn sources(&self) -> Vec<Source> {
        vec![
            of("gpuservers", &self.servers.freshness),
            of("chutedeployments", &self.deployments.freshness),
            of("chutes", &self.chutes.freshness),
            of("validators", &self.validators.freshness),
            of("gepettopolicies", &self.policies.freshness),
        ]
    }

    pub(crate) fn view(&self) -> View {
        View {
            servers: by_name(self.servers.all()),
            deployments: by_name(self.deployments.all()),
            chutes: by_name(self.chutes.all()),
            validators: by_name(self.validators.all()),
            policy: self.policies.get(FLEET_NAMESPACE, "default"),
            sources: self.sources(),
        }
    }
}

fn of(name: &str, freshness: &Freshness) -> Source {
    let complete = freshness.listed();
    Source { name: name.to_owned(), age_s: complete.then(|| freshness.age().as_secs()), complete }
}

fn by_name<K: kube::ResourceExt>(mut objects: Vec<Arc<K>>) -> Vec<Arc<K>> {
    objects.sort_by_key(|object| (object.namespace(), object.name_any()));
    objects
}
