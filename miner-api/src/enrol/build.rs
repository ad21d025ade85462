//! The GpuServer made of a request and of what the agent said. Pure.

use super::request::{AddServer, Driver};
use crate::{http::error::ApiError, ports::agents::EnrolReply};
use crd::{
    FLEET_NAMESPACE, GpuServer, GpuServerSpec,
    gpu_server::{AgentDriver, RemoteDriver, RemoteProfile, SecretRef},
    labels,
};
use protocol::ids::Ss58;

/// What was found out about a server before it is created.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// The agent's reply.
    Agent(EnrolReply),
    /// The Secret that keeps the kubeconfig.
    Remote {
        /// Its name in the server's own namespace.
        secret: String,
    },
}

/// The port of the proof where nobody says otherwise, as the existing miner has it.
const VERIFICATION_PORT: u16 = 30443;

/// Makes the resource.
///
/// # Errors
/// 400 where the request and the agent contradict each other or both are silent; 502 where the agent's reply makes no sense.
pub fn build(add: &AddServer, facts: &Facts) -> Result<GpuServer, ApiError> {
    let silent = EnrolReply::default();
    let reply = match facts {
        Facts::Agent(reply) => reply,
        Facts::Remote { .. } => &silent,
    };
    let said_name = Some(reply.node_name.as_str()).filter(|name| !name.is_empty());
    let node_name = match (add.node_name.as_deref(), said_name) {
        (Some(asked), Some(said)) if asked != said => {
            return Err(ApiError::bad_request(format!("the agent runs on node {said}, not {asked}: is agent_api that of another server?")));
        }
        (asked, said) => asked.or(said).unwrap_or(add.name.as_str()),
    };
    let gpu_count = match (add.gpu_count.map(u64::from), reply.gpus) {
        (Some(asked), Some(said)) if asked != said => {
            return Err(ApiError::bad_request(format!(
                "the agent counts {said} GPUs, not {asked}: check the driver on the node, or correct gpu_count"
            )));
        }
        (asked, said) => {
            asked.or(said).ok_or_else(|| ApiError::bad_request("gpu_count is required: the node did not say how many GPUs it has (an agent that just started has not looked yet: try again)"))?
        }
    };
    let gpu_count = u8::try_from(gpu_count).ok().filter(|count| (1..=10).contains(count)).ok_or_else(|| {
        ApiError::bad_request(format!(
            "a server has 1 to 10 GPUs, the agent counts {gpu_count}: check that the driver is loaded on the node (nvidia-smi)"
        ))
    })?;
    let driver = match (&add.driver, facts) {
        (Driver::Remote { sealed, .. }, Facts::Remote { secret }) => crd::gpu_server::Driver {
            agent: None,
            remote: Some(RemoteDriver {
                kubeconfig_secret_ref: SecretRef { name: secret.clone() },
                profile: if *sealed { RemoteProfile::Sealed } else { RemoteProfile::Open },
            }),
        },
        (driver, _) => {
            let node_key: Ss58 = reply
                .node_key
                .parse()
                .map_err(|error| ApiError::bad_gateway(format!("the agent answered without a usable node key: {error}")))?;
            let api = match driver {
                Driver::Agent { api } => Some(api.clone()),
                Driver::Remote { .. } => None,
            };
            crd::gpu_server::Driver { agent: Some(AgentDriver { node_key, api }), remote: None }
        }
    };
    let address = add.address.clone().or(reply.address.clone()).or_else(|| host_of(&add.driver)).ok_or_else(|| {
        ApiError::bad_request("address is required: nobody said at which public address the validator reaches this server")
    })?;
    let mut server = GpuServer::new(
        add.name.as_str(),
        GpuServerSpec {
            node_name: node_name.to_owned(),
            address,
            validator: add.validator.clone(),
            gpu_ref: add.gpu_short_ref.clone(),
            gpu_count,
            hourly_cost_per_gpu: add.hourly_cost,
            attestation: add.attestation,
            verification_port: add.verification_port.unwrap_or(VERIFICATION_PORT),
            cluster: add.cluster,
            holds: Vec::new(),
            cache: None,
            driver,
        },
    );
    server.metadata.namespace = Some(FLEET_NAMESPACE.to_owned());
    server.metadata.labels = Some([(labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned())].into());
    Ok(server)
}

fn host_of(driver: &Driver) -> Option<String> {
    let Driver::Agent { api } = driver else { return None };
    let url = url::Url::parse(api).ok()?;
    url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crd::gpu_server::{Attestation, Cluster};

    const KEY: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    fn add() -> AddServer {
        AddServer {
            name: "gpu-1".parse().unwrap(),
            validator: KEY.parse().unwrap(),
            hourly_cost: 2.5,
            gpu_short_ref: "h100".parse().unwrap(),
            driver: Driver::Agent { api: "http://203.0.113.7:32000".into() },
            node_name: None,
            address: None,
            gpu_count: None,
            attestation: Attestation::Graval,
            verification_port: None,
            cluster: Cluster::Own,
        }
    }

    fn reply() -> EnrolReply {
        EnrolReply { node_key: KEY.into(), node_name: "gpu-1.example".into(), gpus: Some(8), ..EnrolReply::default() }
    }

    #[test]
    fn the_agent_fills_what_the_request_leaves_open() {
        let server = build(&add(), &Facts::Agent(reply())).unwrap();
        assert_eq!(server.spec.node_name, "gpu-1.example");
        assert_eq!((server.spec.gpu_count, server.spec.address.as_str()), (8, "203.0.113.7"));
        assert_eq!(server.spec.driver.agent.as_ref().unwrap().node_key, KEY);
        assert!(server.spec.driver.remote.is_none());
    }

    #[test]
    fn a_contradiction_is_400_and_says_both_sides() {
        let mut asked = add();
        asked.gpu_count = Some(4);
        let error = build(&asked, &Facts::Agent(reply())).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.detail.as_str().unwrap().contains("8 GPUs, not 4"));
        let mut asked = add();
        asked.node_name = Some("other".into());
        assert_eq!(build(&asked, &Facts::Agent(reply())).unwrap_err().status, 400);
    }

    #[test]
    fn no_gpus_is_400_and_a_reply_without_a_key_502() {
        let none = EnrolReply { gpus: Some(0), ..reply() };
        assert_eq!(build(&add(), &Facts::Agent(none)).unwrap_err().status, 400);
        let keyless = EnrolReply { node_key: String::new(), ..reply() };
        assert_eq!(build(&add(), &Facts::Agent(keyless)).unwrap_err().status, 502);
    }

    #[test]
    fn a_remote_server_refers_to_its_secret_and_must_be_told_count_and_address() {
        let mut asked = add();
        asked.driver = Driver::Remote { kubeconfig: "x".into(), sealed: true };
        let facts = Facts::Remote { secret: "kubeconfig".into() };
        assert_eq!(build(&asked, &facts).unwrap_err().status, 400);
        asked.gpu_count = Some(8);
        asked.address = Some("203.0.113.9".into());
        let server = build(&asked, &facts).unwrap();
        assert_eq!(server.spec.driver.remote.unwrap().kubeconfig_secret_ref.name, "kubeconfig");
    }
}
