//! The realizer of one server: its watches, and who looks when at which deployment.

mod pass;

use crate::{
    Orphan,
    config::RealizeConfig,
    execute::Hands,
    memory::Memory,
    neighbours::Neighbours,
    observe::{prune_job, prune_pod},
    orphans,
};
use cluster::{
    call::bounded,
    controller::{self, Options, Stats, on_touch, on_wake},
    watch::{Freshness, ObjectRef, WatchHandle, WatchOptions, source, source_pruned},
};
use crd::ChuteDeployment;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Namespace, Pod, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams};
use std::{sync::Arc, time::Duration};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use workload::{TokenDelivery, names};

/// Older knowledge of the node is no ground for putting a pod on its GPUs.
const FRESH: Duration = Duration::from_secs(300);
/// A server of eight GPUs whose every chute makes room for another.
const CONCURRENCY: usize = 16;

/// Makes the deployments of one server real. Must be made inside a tokio runtime; watches begin at once.
pub struct Realizer {
    config: RealizeConfig,
    hands: Hands,
    deployments: WatchHandle<ChuteDeployment>,
    jobs: WatchHandle<Job>,
    pods: WatchHandle<Pod>,
    services: WatchHandle<Service>,
    neighbours: Neighbours,
    reports: Api<ChuteDeployment>,
    memory: Memory,
    options: Options,
}

impl Realizer {
    /// Begins to watch.
    #[must_use]
    pub fn new(config: RealizeConfig) -> Arc<Self> {
        let hands = Hands::new(&config);
        let reports: Api<ChuteDeployment> = Api::namespaced(config.control.clone(), &crd::node_namespace(config.server.as_str()));
        let ours = || WatchOptions::default().labels(names::CHUTES);
        Arc::new(Self {
            deployments: source(reports.clone(), WatchOptions::default()),
            jobs: source_pruned(hands.jobs.clone(), ours(), prune_job),
            pods: source_pruned(hands.pods.clone(), ours(), prune_pod),
            services: source(hands.services.clone(), ours()),
            neighbours: Neighbours::new(&config),
            hands,
            reports,
            memory: Memory::default(),
            options: Options::new("realize", CONCURRENCY),
            config,
        })
    }

    /// Works until `shutdown`. Running chutes stay as they are.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let _shown = self.config.looks.show(self.config.server.as_str(), self.options.name, self.stats(), self.freshness().into());
        let prepared = async {
            self.prepare().await;
            tokio::join!(self.jobs.ready(), self.pods.ready(), self.services.ready(), self.neighbours.begin(&self.config));
        };
        tokio::select! {
            () = prepared => {}
            () = shutdown.cancelled() => return,
        }
        let owner = |meta: &ObjectMeta, this: &Self| names::deployment_of(meta.labels.as_ref()).map(|id| this.key(&id));
        let with_waiting = {
            let this = Arc::clone(&self);
            // Whatever happens to a pod or Job may free a GPU that somebody waits for.
            move |meta: &ObjectMeta| {
                let waiting = this.memory.waiting().into_iter().map(|id| this.key(&id));
                waiting.chain(owner(meta, &this)).collect::<Vec<_>>()
            }
        };
        let of_service = {
            let this = Arc::clone(&self);
            move |service: &Service| owner(&service.metadata, &this).into_iter().collect::<Vec<_>>()
        };
        let also = with_waiting.clone();
        let whoever_waits = {
            let this = Arc::clone(&self);
            move |_: &Pod| this.memory.waiting().into_iter().map(|id| this.key(&id)).collect::<Vec<_>>()
        };
        let mut triggers = vec![
            on_touch(&self.jobs, move |job: &Job| also(&job.metadata)),
            on_touch(&self.pods, move |pod: &Pod| with_waiting(&pod.metadata)),
            on_touch(&self.services, of_service),
            on_wake(WatchStream::from_changes(self.config.gpu_health.clone())),
            on_wake(WatchStream::from_changes(self.config.gpu_processes.counts.clone())),
        ];
        triggers.extend(self.neighbours.watch().map(|pods| on_touch(pods, whoever_waits)));
        let this = Arc::clone(&self);
        let pass = move |request| {
            let this = Arc::clone(&this);
            async move { this.pass(request).await }
        };
        controller::run(self.options.clone(), self.deployments.clone(), triggers, pass, shutdown).await;
    }

    /// What stands on the node without a ChuteDeployment; nothing at all while any of the four watches is too old to tell.
    #[must_use]
    pub fn list_orphans(&self) -> Option<Vec<Orphan>> {
        let fresh = self.freshness().iter().all(|freshness| freshness.within(FRESH));
        // A deployment that cannot be decoded would look like none.
        let whole = self.deployments.undecodable().is_empty();
        (fresh && whole).then(|| orphans::find(&self.deployments.all(), &self.jobs.all(), &self.services.all(), &self.pods.all()))
    }

    /// How old the knowledge is: of deployments, Jobs, pods and Services.
    #[must_use]
    pub fn freshness(&self) -> [Freshness; 4] {
        [self.deployments.freshness.clone(), self.jobs.freshness.clone(), self.pods.freshness.clone(), self.services.freshness.clone()]
    }

    /// Counters for metrics.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.options.stats)
    }

    fn key(&self, id: &protocol::ids::DeploymentId) -> ObjectRef<ChuteDeployment> {
        ObjectRef::new(&crd::chute_deployment::resource_name(id)).within(&crd::node_namespace(self.config.server.as_str()))
    }

    /// Makes the namespace of the workloads, on a cluster of the server's own where we may.
    async fn prepare(&self) {
        if self.config.profile.token != TokenDelivery::Copied {
            return;
        }
        let api: Api<Namespace> = Api::all(self.config.node.clone());
        let name = &self.config.profile.namespace;
        loop {
            let made: cluster::Result<()> = async {
                if cluster::call::get_opt(&api, name).await?.is_none() {
                    let namespace =
                        Namespace { metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, ..Namespace::default() };
                    bounded(&format!("creating Namespace {name}"), api.create(&PostParams::default(), &namespace)).await?;
                }
                Ok(())
            }
            .await;
            match made {
                Ok(()) => return,
                Err(error) if error.is_already_exists() => return,
                // Who may not read namespaces was given one that exists.
                Err(error) if error.is_forbidden() => return,
                Err(error) => tracing::warn!(%error, "the node cluster cannot be prepared yet"),
            }
            tokio::time::sleep(cluster::backoff::jittered(Duration::from_secs(5))).await;
        }
    }
}
