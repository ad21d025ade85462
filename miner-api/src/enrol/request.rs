//! The body of `POST /servers/`. Pure.

use crate::http::{error::ApiError, fields::Fields};
use crd::gpu_server::{Attestation, Cluster};
use protocol::ids::{GpuRef, ServerName, Ss58};
use serde_json::{Map, Value};

/// A server somebody wants to add.
#[derive(Clone, PartialEq)]
pub struct AddServer {
    /// Its name here.
    pub name: ServerName,
    /// The validator it shall earn from.
    pub validator: Ss58,
    /// US dollars per GPU and hour.
    pub hourly_cost: f64,
    /// GPU type.
    pub gpu_short_ref: GpuRef,
    /// Who drives it.
    pub driver: Driver,
    /// Name of the Kubernetes node, if it differs.
    pub node_name: Option<String>,
    /// Public address, if the agent does not know it.
    pub address: Option<String>,
    /// GPUs, if the agent does not count them.
    pub gpu_count: Option<u8>,
    /// How the GPUs are proven.
    pub attestation: Attestation,
    /// Port of the proof.
    pub verification_port: Option<u16>,
    /// Which cluster runs the pods.
    pub cluster: Cluster,
}

/// Who drives a server.
#[derive(Clone, PartialEq)]
pub enum Driver {
    /// Our agent, at this base URL.
    Agent {
        /// Without a trailing slash.
        api: String,
    },
    /// The operator, over this kubeconfig.
    Remote {
        /// YAML; a secret.
        kubeconfig: String,
        /// Whether the node is a sealed worker.
        sealed: bool,
    },
}

impl AddServer {
    /// Reads and checks the fields. Unknown fields are ignored.
    ///
    /// # Errors
    /// 422 naming every wrong field; 400 where the agent's URL or the kubeconfig is missing.
    pub fn read(map: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut fields = Fields::new(map);
        let name = fields.parsed::<ServerName>("name");
        let validator = fields.parsed::<Ss58>("validator");
        let hourly_cost = fields.number("hourly_cost");
        if hourly_cost.is_some_and(|cost| !(0.0..=1000.0).contains(&cost)) {
            fields.wrong("hourly_cost", "value_error", "Input should be US dollars per GPU and hour, from 0 to 1000");
        }
        let gpu_short_ref = fields.parsed::<GpuRef>("gpu_short_ref");
        let agent_api = fields.agent_api();
        let kubeconfig = fields.optional_text("kubeconfig").filter(|text| !text.trim().is_empty());
        // It is used where the hotkey is: nothing of it may reach outside its own text.
        if let Some(refused) = kubeconfig.and_then(|text| cluster::kubeconfig::inline(text).err()) {
            fields.wrong("kubeconfig", "value_error", refused.to_string());
        }
        let driver = fields.word("driver", &["agent", "remote"]);
        let profile = fields.word("profile", &["Sealed", "Open"]);
        let attestation = fields.word("attestation", if driver == "remote" { &["Tee", "Graval"] } else { &["Graval", "Tee"] });
        let cluster = fields.word("cluster", &["Own", "Shared"]);
        let gpu_count = fields.optional_integer("gpu_count", 1, 10).and_then(|count| u8::try_from(count).ok());
        let verification_port = fields.optional_integer("verification_port", 80, 65535).and_then(|port| u16::try_from(port).ok());
        let node_name = fields.optional_text("node_name").map(str::to_owned).filter(|name| !name.is_empty());
        let address = fields.optional_text("address").map(str::trim).filter(|address| !address.is_empty());
        if address.is_some_and(|address| address.len() > 253 || address.contains(['/', ' '])) {
            fields.wrong(
                "address",
                "value_error",
                "Input should be an IP or a DNS name without scheme, port or path, such as 203.0.113.10",
            );
        }
        fields.done()?;
        let (Some(name), Some(validator), Some(hourly_cost), Some(gpu_short_ref)) = (name, validator, hourly_cost, gpu_short_ref) else {
            // Every absent field has left an error behind, so done() has returned already.
            return Err(ApiError::unprocessable(Vec::new()));
        };
        let driver = match driver {
            "remote" => Driver::Remote {
                kubeconfig: kubeconfig
                    .ok_or_else(|| {
                        ApiError::bad_request("kubeconfig is required with driver remote: send the node's kubeconfig as YAML text")
                    })?
                    .to_owned(),
                sealed: profile != "Open",
            },
            _ => Driver::Agent {
                api: agent_api.ok_or_else(|| {
                    ApiError::bad_request("agent_api is required: send the URL of the agent on the node, such as http://203.0.113.10:32000")
                })?,
            },
        };
        Ok(Self {
            name,
            validator,
            hourly_cost,
            gpu_short_ref,
            driver,
            node_name,
            address: address.map(str::to_owned),
            gpu_count,
            attestation: attestation.parse().unwrap_or_default(),
            verification_port,
            cluster: cluster.parse().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VALIDATOR: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    const KUBECONFIG: &str = "{ apiVersion: v1, kind: Config, current-context: it, \
        clusters: [{ name: it, cluster: { server: 'https://203.0.113.9:6443', certificate-authority-data: Q0E= } }], \
        users: [{ name: it, user: { token: s3cret } }], contexts: [{ name: it, context: { cluster: it, user: it } }] }";

    fn read(value: &Value) -> Result<AddServer, ApiError> {
        AddServer::read(value.as_object().unwrap())
    }

    fn good() -> Value {
        json!({ "name": "gpu-1", "validator": VALIDATOR, "hourly_cost": "2.5", "gpu_short_ref": "h100", "agent_api": "http://10.0.0.1:32000/", "news": 1 })
    }

    #[test]
    fn the_existing_fields_are_enough_and_a_numeric_string_is_a_cost() {
        let add = read(&good()).ok().unwrap();
        assert_eq!(add.hourly_cost, 2.5);
        assert!(matches!(add.driver, Driver::Agent { api } if api == "http://10.0.0.1:32000"));
        assert_eq!((add.attestation, add.cluster), (Attestation::Graval, Cluster::Own));
    }

    #[test]
    fn every_wrong_field_is_named_at_once_and_no_value_is_echoed() {
        let error = read(&json!({ "name": "Not A Label", "hourly_cost": "much", "gpu_short_ref": 5, "kubeconfig": 7, "gpu_count": 11 }))
            .err()
            .unwrap();
        assert_eq!(error.status, 422);
        let fields: Vec<_> =
            error.detail.as_array().unwrap().iter().map(|one| (one["loc"][1].as_str().unwrap(), one["type"].as_str().unwrap())).collect();
        assert_eq!(
            fields,
            [
                ("name", "value_error"),
                ("validator", "missing"),
                ("hourly_cost", "float_parsing"),
                ("gpu_short_ref", "string_type"),
                ("kubeconfig", "string_type"),
                ("gpu_count", "int_type")
            ]
        );
    }

    #[test]
    fn an_absent_agent_url_is_400_after_the_fields() {
        let mut body = good();
        body["agent_api"] = Value::Null;
        let error = read(&body).err().unwrap();
        assert_eq!(error.status, 400);
        assert!(error.detail.as_str().unwrap().starts_with("agent_api is required:"));
    }

    #[test]
    fn a_remote_server_needs_a_kubeconfig_and_is_sealed_unless_told_otherwise() {
        let mut body = good();
        body["driver"] = "remote".into();
        assert_eq!(read(&body).err().unwrap().status, 400);
        body["kubeconfig"] = KUBECONFIG.into();
        let add = read(&body).ok().unwrap();
        assert!(matches!(add.driver, Driver::Remote { sealed: true, .. }));
        assert_eq!(add.attestation, Attestation::Tee);
    }

    #[test]
    fn a_kubeconfig_that_reaches_outside_its_text_is_refused_by_the_fields_name() {
        for (mine, theirs, field) in [
            ("token: s3cret", "exec: { apiVersion: client.authentication.k8s.io/v1, command: s3cret }", "exec"),
            ("token: s3cret", "auth-provider: { name: s3cret }", "auth-provider"),
            ("token: s3cret", "tokenFile: /s3cret", "tokenFile"),
            ("token: s3cret", "client-certificate: /s3cret", "client-certificate"),
            ("token: s3cret", "client-key: /s3cret", "client-key"),
            ("certificate-authority-data: Q0E=", "certificate-authority: /s3cret", "certificate-authority"),
            ("certificate-authority-data: Q0E=", "proxy-url: 'http://s3cret'", "proxy-url"),
            ("certificate-authority-data: Q0E=", "insecure-skip-tls-verify: true", "insecure-skip-tls-verify"),
        ] {
            let mut body = good();
            body["driver"] = "remote".into();
            body["kubeconfig"] = KUBECONFIG.replace(mine, theirs).into();
            let error = read(&body).err().unwrap();
            let wrong = &error.detail.as_array().unwrap()[0];
            assert_eq!((error.status.as_u16(), &wrong["loc"][1]), (422, &"kubeconfig".into()), "{field}");
            let message = wrong["msg"].as_str().unwrap();
            assert!(message.contains(&format!("field {field} ")) && !message.contains("s3cret"), "{message}");
        }
    }
}
