//! Enrolling the agent of a known server again, after it lost its state: is it really that server? Pure.

use crate::http::{error::ApiError, fields::Fields};
use crd::{
    GpuServer,
    gpu_server::{Attestation, Cluster},
};
use protocol::ids::{GpuRef, ServerName, Ss58};
use serde_json::{Map, Value};

/// A server whose agent somebody wants to enrol again. Facts that are given must be those of the server: nothing but the node key,
/// and where the agent is, changes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReEnrol {
    /// The server's name.
    pub name: ServerName,
    /// Where its agent is, if that changed.
    pub agent_api: Option<String>,
    validator: Option<Ss58>,
    hourly_cost: Option<f64>,
    gpu_short_ref: Option<GpuRef>,
    node_name: Option<String>,
    address: Option<String>,
    gpu_count: Option<u64>,
    attestation: Option<Attestation>,
    verification_port: Option<u64>,
    cluster: Option<Cluster>,
}

impl ReEnrol {
    /// Whether a body asks for this rather than for a new server.
    ///
    /// # Errors
    /// 422 where `re_enrol` is no truth value.
    pub fn is_meant(map: &Map<String, Value>) -> Result<bool, ApiError> {
        match map.get("re_enrol") {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(meant)) => Ok(*meant),
            Some(_) => {
                let mut fields = Fields::new(map);
                fields.wrong("re_enrol", "bool_type", "Input should be a valid boolean");
                fields.done().map(|()| false)
            }
        }
    }

    /// Reads the fields. Unknown fields are ignored.
    ///
    /// # Errors
    /// 422 naming every wrong field.
    pub fn read(map: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut fields = Fields::new(map);
        let name = fields.parsed::<ServerName>("name");
        let validator = fields.has("validator").then(|| fields.parsed::<Ss58>("validator")).flatten();
        let hourly_cost = fields.has("hourly_cost").then(|| fields.number("hourly_cost")).flatten();
        let gpu_short_ref = fields.has("gpu_short_ref").then(|| fields.parsed::<GpuRef>("gpu_short_ref")).flatten();
        let agent_api = fields.agent_api();
        let text = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let node_name = text(fields.optional_text("node_name"));
        let address = text(fields.optional_text("address"));
        let gpu_count = fields.optional_integer("gpu_count", 1, 10);
        let verification_port = fields.optional_integer("verification_port", 80, 65535);
        let attestation = fields.has("attestation").then(|| fields.word("attestation", &["Graval", "Tee"]));
        let cluster = fields.has("cluster").then(|| fields.word("cluster", &["Own", "Shared"]));
        if fields.word("driver", &["agent", "remote"]) == "remote" || fields.has("kubeconfig") {
            fields.wrong(
                "driver",
                "value_error",
                "Only a server with our agent is enrolled again; one driven over a kubeconfig has no agent",
            );
        }
        fields.done()?;
        // An absent name has left an error behind, so done() has returned already.
        let name = name.ok_or_else(|| ApiError::unprocessable(Vec::new()))?;
        Ok(Self {
            name,
            agent_api,
            validator,
            hourly_cost,
            gpu_short_ref,
            node_name,
            address,
            gpu_count,
            attestation: attestation.and_then(|word| word.parse().ok()),
            verification_port,
            cluster: cluster.and_then(|word| word.parse().ok()),
        })
    }

    /// Whether the facts given are those of the server.
    ///
    /// # Errors
    /// 409 naming each that is not, with both values.
    pub fn fits(&self, server: &GpuServer) -> Result<(), ApiError> {
        let spec = &server.spec;
        let mut wrong = Vec::new();
        let mut compare = |what: &str, said: Option<String>, is: String| {
            if let Some(said) = said.filter(|said| *said != is) {
                wrong.push(format!("{what} is {is}, not {said}"));
            }
        };
        compare("validator", self.validator.as_ref().map(Ss58::to_string), spec.validator.to_string());
        compare("hourly_cost", self.hourly_cost.map(|cost| cost.to_string()), spec.hourly_cost_per_gpu.to_string());
        compare("gpu_short_ref", self.gpu_short_ref.as_ref().map(GpuRef::to_string), spec.gpu_ref.to_string());
        compare("node_name", self.node_name.clone(), spec.node_name.clone());
        compare("address", self.address.clone(), spec.address.clone());
        compare("gpu_count", self.gpu_count.map(|count| count.to_string()), spec.gpu_count.to_string());
        compare("attestation", self.attestation.as_ref().map(|kind| kind.as_str().to_owned()), spec.attestation.as_str().to_owned());
        compare("verification_port", self.verification_port.map(|port| port.to_string()), spec.verification_port.to_string());
        compare("cluster", self.cluster.as_ref().map(|kind| kind.as_str().to_owned()), spec.cluster.as_str().to_owned());
        if wrong.is_empty() {
            return Ok(());
        }
        Err(ApiError::conflict(format!(
            "server {} is another than you say: {}. Enrolling again changes nothing but the node key: leave these out, or correct them; \
             another server under this name needs delete-node first",
            self.name,
            wrong.join(", ")
        )))
    }
}

/// Whether an agent runs on the node of this server. To the validator a server *is* its Kubernetes node.
///
/// # Errors
/// 409 with both sides.
pub fn same_node(server: &GpuServer, node_name: &str, node_uid: Option<&str>) -> Result<(), ApiError> {
    let name = server.metadata.name.as_deref().unwrap_or_default();
    if node_name != server.spec.node_name {
        return Err(ApiError::conflict(format!(
            "the agent runs on node {node_name}, server {name} is node {}: is agent_api that of another server?",
            server.spec.node_name
        )));
    }
    let known = Some(crate::rows::server_id(server)).filter(|id| !id.is_empty());
    match (known, node_uid) {
        (Some(known), Some(said)) if known != said => Err(ApiError::conflict(format!(
            "node {node_name} was made anew: its UID is {said}, that of server {name} was {known}. To the validator that is another \
             server: chutes-miner delete-node --name {name} --lost, then add-node"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::json;

    fn read(value: &Value) -> Result<ReEnrol, ApiError> {
        ReEnrol::read(value.as_object().unwrap())
    }

    #[test]
    fn the_name_is_enough_and_facts_of_the_server_change_nothing() {
        let server = fixtures::server("gpu-1");
        read(&json!({ "name": "gpu-1" })).unwrap().fits(&server).unwrap();
        let all = json!({
            "name": "gpu-1", "validator": fixtures::KEY, "hourly_cost": "2.5", "gpu_short_ref": "h100_sxm", "agent_api": "http://b:32000/",
            "node_name": "gpu-1", "address": "203.0.113.7", "gpu_count": 2, "attestation": "graval", "cluster": "own",
            "verification_port": 30443, "driver": "agent", "news": 1,
        });
        let asked = read(&all).unwrap();
        asked.fits(&server).unwrap();
        assert_eq!(asked.agent_api.as_deref(), Some("http://b:32000"));
    }

    #[test]
    fn every_fact_of_another_server_is_named_with_both_values() {
        let server = fixtures::server("gpu-1");
        let asked = json!({ "name": "gpu-1", "hourly_cost": 3, "gpu_short_ref": "h200", "gpu_count": 8, "cluster": "Shared" });
        let error = read(&asked).unwrap().fits(&server).unwrap_err();
        assert_eq!(error.status, 409);
        let text = error.detail.as_str().unwrap();
        for words in
            ["hourly_cost is 2.5, not 3", "gpu_short_ref is h100_sxm, not h200", "gpu_count is 2, not 8", "cluster is Own, not Shared"]
        {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn wrong_fields_are_422_and_a_word_is_no_truth_value() {
        assert_eq!(read(&json!({})).unwrap_err().status, 422);
        assert_eq!(read(&json!({ "name": "gpu-1", "agent_api": "nonsense" })).unwrap_err().status, 422);
        assert_eq!(read(&json!({ "name": "gpu-1", "driver": "remote" })).unwrap_err().status, 422);
        let meant = |value: Value| ReEnrol::is_meant(json!({ "re_enrol": value }).as_object().unwrap());
        assert_eq!((meant(json!(true)), meant(json!(false)), meant(json!(null))), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(meant(json!("yes")).unwrap_err().status, 422);
    }

    #[test]
    fn another_node_and_a_node_made_anew_are_refused() {
        let server = fixtures::server("gpu-1");
        same_node(&server, "gpu-1", Some("uid-gpu-1")).unwrap();
        same_node(&server, "gpu-1", None).unwrap();
        assert_eq!(same_node(&server, "gpu-7", Some("uid-gpu-1")).unwrap_err().status, 409);
        let error = same_node(&server, "gpu-1", Some("uid-new")).unwrap_err();
        assert!(error.detail.as_str().unwrap().contains("delete-node"), "{error:?}");
    }
}
