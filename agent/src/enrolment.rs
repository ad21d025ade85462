//! Whom the agent works for: the order of the miner API, checked before it is kept.

use protocol::ids::{ServerName, Ss58};
use serde::{Deserialize, Serialize};
use url::Url;

/// What the miner API orders at enrolment, and what the agent keeps of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The name this server goes by at the control plane.
    pub server: ServerName,
    /// Where tokens are bought: the miner API over TLS.
    pub control_url: Url,
    /// PEM of the certificate authority pinned for that.
    pub ca_pem: String,
    /// The miner's hotkey address.
    pub miner: Ss58,
}

/// The order as it comes over the wire, unchecked.
#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    server: String,
    control_url: String,
    ca_pem: String,
    miner: String,
    /// The node key of the agent it is for. Absent from miner APIs of the release before.
    node_key: Option<String>,
}

/// Why an order is refused. The texts say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The order is for somebody else's agent.
    #[error("this agent works for {0}: install it with --miner set to your hotkey's address")]
    OtherMiner(Ss58),
    /// The order is for another agent of the miner: somebody between repeats it to this one.
    #[error("the order is for the agent with node key {0}, not for this one")]
    OtherAgent(String),
    /// No usable name.
    #[error("{0}")]
    Server(String),
    /// No usable URL.
    #[error("control_url must be an https:// URL with a host, such as https://203.0.113.5:32443")]
    ControlUrl,
    /// No usable certificate.
    #[error("ca_pem must be one or more certificates in PEM")]
    Certificate,
}

impl Order {
    /// Checks an order for the agent of `miner` that has this node key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, miner: &Ss58, node_key: &Ss58) -> Result<Enrolment, OrderError> {
        if self.miner != miner.as_str() {
            return Err(OrderError::OtherMiner(miner.clone()));
        }
        if let Some(other) = self.node_key.filter(|key| key != node_key.as_str()) {
            return Err(OrderError::OtherAgent(other.chars().filter(|c| c.is_ascii_alphanumeric()).take(64).collect()));
        }
        let server = self.server.parse().map_err(|error: protocol::ids::IdError| OrderError::Server(error.to_string()))?;
        let control_url = Url::parse(&self.control_url).ok().filter(is_plain_https).ok_or(OrderError::ControlUrl)?;
        let certificates = reqwest::Certificate::from_pem_bundle(self.ca_pem.as_bytes()).map_err(|_| OrderError::Certificate)?;
        if certificates.is_empty() {
            return Err(OrderError::Certificate);
        }
        Ok(Enrolment { server, control_url, ca_pem: self.ca_pem, miner: miner.clone() })
    }
}

fn is_plain_https(url: &Url) -> bool {
    url.scheme() == "https" && url.host().is_some() && url.username().is_empty() && url.password().is_none() && url.query().is_none()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use protocol::key::Keypair;

    /// Some certificate authority.
    pub(crate) fn ca_pem() -> String {
        service::tls::Ca::generate().unwrap().0.pem().to_owned()
    }

    pub(crate) fn example() -> Enrolment {
        let miner = Keypair::generate().address().clone();
        order(&miner, "gpu-0", "https://203.0.113.5:32443", &ca_pem()).check(&miner, &miner).unwrap()
    }

    fn order(miner: &Ss58, server: &str, control_url: &str, ca_pem: &str) -> Order {
        Order { server: server.into(), control_url: control_url.into(), ca_pem: ca_pem.into(), miner: miner.to_string(), node_key: None }
    }

    #[test]
    fn an_order_of_another_miner_names_the_one_we_work_for() {
        let (ours, theirs) = (Keypair::generate().address().clone(), Keypair::generate().address().clone());
        let error = order(&theirs, "gpu-0", "https://a", &ca_pem()).check(&ours, &ours).unwrap_err();
        assert!(error.to_string().contains(ours.as_str()), "{error}");
    }

    #[test]
    fn an_order_for_another_agent_is_refused() {
        let (miner, mine, other) = (Keypair::generate(), Keypair::generate(), Keypair::generate());
        let order = |key: Option<&Keypair>| Order {
            node_key: key.map(|key| key.address().to_string()),
            ..order(miner.address(), "gpu-0", "https://a", &ca_pem())
        };
        let check = |key| order(key).check(miner.address(), mine.address()).map(|_| ());
        assert_eq!(check(Some(&mine)), Ok(()));
        assert_eq!(check(None), Ok(()), "a miner API of the release before");
        assert_eq!(check(Some(&other)), Err(OrderError::OtherAgent(other.address().to_string())));
    }

    #[test]
    fn tokens_are_never_bought_over_plain_text() {
        let miner = Keypair::generate().address().clone();
        for url in ["http://203.0.113.5:32000", "203.0.113.5", "https://", "https://user:pw@a", "https://a/?x=1", "file:///x"] {
            assert_eq!(order(&miner, "gpu-0", url, &ca_pem()).check(&miner, &miner), Err(OrderError::ControlUrl), "{url}");
        }
    }

    #[test]
    fn a_bad_name_or_certificate_is_refused() {
        let miner = Keypair::generate().address().clone();
        assert!(matches!(order(&miner, "GPU 0", "https://a", &ca_pem()).check(&miner, &miner), Err(OrderError::Server(_))));
        for pem in ["", "no pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert_eq!(order(&miner, "gpu-0", "https://a", pem).check(&miner, &miner), Err(OrderError::Certificate), "{pem}");
        }
    }
}
