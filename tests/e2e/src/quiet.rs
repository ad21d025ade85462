//! What our programs wrote to the API servers, by the API servers' own audit logs.

use crate::fleet::{Fleet, Form};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

/// One write of one of our programs: anything but a read.
#[derive(Clone, Debug)]
pub struct Write {
    /// `control` or `node`.
    pub cluster: &'static str,
    /// The service account, without its prefix, such as `chutes:operator`.
    pub account: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Resource, with its subresource, such as `chutedeployments/status`.
    pub resource: String,
    /// Namespace; empty for resources of the whole cluster.
    pub namespace: String,
    /// Name; empty where the API server made one up.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// When the answer was sent, to the microsecond.
    pub at: jiff::Timestamp,
}

impl Write {
    /// Whether a fleet at rest may do it: a heartbeat, or the purchase of a token.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.resource == "leases" || self.resource == "serviceaccounts/token"
    }

    /// Whether it is about this deployment: its id is part of every name.
    #[must_use]
    pub fn about(&self, deployment: &str) -> bool {
        self.name.contains(deployment)
    }

    /// Whether it did what it asked for.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it is such a write.
    #[must_use]
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource && self.succeeded()
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, account, verb, resource, namespace, name, code, at } = self;
        write!(f, "{at:.6} {cluster:7} {account:28} {verb} {resource} {namespace}/{name} -> {code}")
    }
}

/// The deployments whose Job was created.
#[must_use]
pub fn launched(writes: &[Write]) -> Vec<String> {
    writes.iter().filter(|w| w.is("create", "jobs")).filter_map(|w| w.name.strip_prefix("chute-")).map(str::to_owned).collect()
}

/// What was written about a deployment from `Granted` to its Job, both included; nothing if either is missing.
#[must_use]
pub fn granted_to_job(writes: &[Write], deployment: &str) -> Option<Vec<Write>> {
    let about: Vec<&Write> = writes.iter().filter(|write| write.about(deployment)).collect();
    let by_operator = |write: &Write, verb, resource| write.account == "chutes:operator" && write.is(verb, resource);
    // The log holds no bodies: the status that says Granted is the operator's first after it made the launch Secret.
    let secret = about.iter().position(|write| by_operator(write, "create", "secrets"))?;
    let granted = secret + about[secret..].iter().position(|write| by_operator(write, "patch", "chutedeployments/status"))?;
    let job = granted + about[granted..].iter().position(|write| write.is("create", "jobs"))?;
    Some(about[granted..=job].iter().map(|write| (*write).clone()).collect())
}

/// Everything our programs wrote from the launch Secret of a deployment to its Job, both included, also about something else; but
/// not what a fleet at rest may write. Nothing if either is missing.
#[must_use]
pub fn secret_to_job(writes: &[Write], deployment: &str) -> Option<Vec<Write>> {
    let of = |write: &Write, resource| write.about(deployment) && write.is("create", resource);
    let secret = writes.iter().position(|write| write.account == "chutes:operator" && of(write, "secrets"))?;
    let job = secret + writes[secret..].iter().position(|write| of(write, "jobs"))?;
    Some(writes[secret..=job].iter().filter(|write| !write.at_rest()).cloned().collect())
}

/// A moment in the audit logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    control: u64,
    node: u64,
}

impl Fleet {
    /// This moment.
    ///
    /// # Errors
    /// When there is no audit log.
    pub fn mark(&self) -> Result<Mark> {
        let end = |path: &Path| path.metadata().map(|m| m.len()).with_context(|| format!("{}", path.display()));
        Ok(Mark { control: end(&self.control.audit_log)?, node: end(&self.node.audit_log)? })
    }

    /// What our programs wrote to both API servers since then, in the order of the answers.
    ///
    /// # Errors
    /// When an audit log cannot be read.
    pub fn writes_since(&self, mark: Mark) -> Result<Vec<Write>> {
        let mut mark = mark;
        self.writes_on(&mut mark)
    }

    /// As [`Fleet::writes_since`]; the mark moves on, so that the next call tells what came after.
    ///
    /// # Errors
    /// When an audit log cannot be read.
    pub fn writes_on(&self, mark: &mut Mark) -> Result<Vec<Write>> {
        let mut writes = read(&self.control.audit_log, &mut mark.control, "control")?;
        if self.facts.form == Form::Own {
            writes.extend(read(&self.node.audit_log, &mut mark.node, "node")?);
        }
        writes.sort_by_key(|write| write.at);
        Ok(writes)
    }
}

/// An entry as the API server writes it; the parts that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    stage_timestamp: jiff::Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: Option<String>,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

fn read(path: &Path, from: &mut u64, cluster: &'static str) -> Result<Vec<Write>> {
    let mut file = File::open(path).with_context(|| format!("{}", path.display()))?;
    file.seek(SeekFrom::Start(*from))?;
    let (mut writes, mut line, mut lines) = (Vec::new(), Vec::new(), BufReader::new(file));
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)?;
        // The last line may be half written; what is whole was answered.
        if line.last() != Some(&b'\n') {
            return Ok(writes);
        }
        *from += u64::try_from(length)?;
        if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
            writes.extend(write_of(entry, cluster));
        }
    }
}

fn write_of(entry: Entry, cluster: &'static str) -> Option<Write> {
    let account = entry.user.username.strip_prefix("system:serviceaccount:")?;
    let ours = ["chutes:operator", "chutes:miner-api", "chutes:gepetto-agent"].contains(&account)
        || account.starts_with("chutes-node-") && account.ends_with(":agent");
    if !ours || entry.stage != "ResponseComplete" {
        return None;
    }
    let object = entry.object_ref;
    let resource = match object.subresource {
        Some(sub) => format!("{}/{sub}", object.resource),
        None => object.resource,
    };
    Some(Write {
        cluster,
        account: account.to_owned(),
        verb: entry.verb,
        resource,
        namespace: object.namespace,
        name: object.name,
        code: entry.response_status.code,
        at: entry.stage_timestamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str, stage: &str) -> Option<Write> {
        let line = format!(
            r#"{{"kind":"Event","stage":"{stage}","verb":"patch","user":{{"username":"{user}"}},
            "objectRef":{{"resource":"chutedeployments","subresource":"status","namespace":"chutes-node-a","name":"id"}},
            "responseStatus":{{"code":200}},"stageTimestamp":"2026-01-02T03:04:05.678901Z"}}"#
        );
        write_of(serde_json::from_str(&line).unwrap(), "control")
    }

    #[test]
    fn a_write_about_something_else_counts_between_the_secret_and_the_job() {
        let write = |account: &str, verb: &str, resource: &str, name: &str| Write {
            cluster: "control",
            account: account.to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
            code: 200,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let (operator, agent) = ("chutes:operator", "chutes:gepetto-agent");
        let writes = [
            write(operator, "create", "chutedeployments", "id"),
            write(operator, "create", "secrets", "launch-id"),
            write(operator, "patch", "gpuservers/status", "gpu-0"),
            write(operator, "update", "leases", "operator"),
            write(operator, "patch", "chutedeployments/status", "id"),
            write(agent, "create", "secrets", "launch-id"),
            write(agent, "create", "jobs", "chute-id"),
            write(agent, "patch", "chutedeployments/status", "id"),
        ];
        let counted = |from: &[Write]| secret_to_job(from, "id").map(|all| all.iter().map(|w| w.resource.clone()).collect::<Vec<_>>());
        assert_eq!(counted(&writes).unwrap(), ["secrets", "gpuservers/status", "chutedeployments/status", "secrets", "jobs"]);
        assert_eq!(granted_to_job(&writes, "id").unwrap().len(), 3, "those about it alone");
        assert_eq!(counted(&writes[..6]), None);
        assert_eq!(counted(&writes[5..]), None, "the copy of the Secret on the node begins nothing");
    }

    #[test]
    fn a_line_half_written_is_read_once_it_is_whole() {
        use std::io::Write as _;
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let line = r#"{"stage":"ResponseComplete","verb":"create","user":{"username":"system:serviceaccount:chutes:operator"},
            "objectRef":{"resource":"jobs"},"stageTimestamp":"2026-01-02T03:04:05.678901Z"}"#
            .replace('\n', "");
        let (first, second) = line.split_at(60);
        let mut from = 0;
        write!(log, "{line}\n{first}").unwrap();
        assert_eq!(read(log.path(), &mut from, "node").unwrap().len(), 1);
        assert_eq!(read(log.path(), &mut from, "node").unwrap().len(), 0);
        writeln!(log, "{second}").unwrap();
        assert_eq!(read(log.path(), &mut from, "node").unwrap().len(), 1);
    }

    #[test]
    fn only_finished_writes_of_our_accounts_count() {
        let ours = entry("system:serviceaccount:chutes-node-a:agent", "ResponseComplete").unwrap();
        assert!(ours.is("patch", "chutedeployments/status") && ours.about("id") && !ours.at_rest());
        assert_eq!(ours.at.subsec_nanosecond(), 678_901_000);
        assert!(entry("system:serviceaccount:chutes:operator", "ResponseStarted").is_none());
        assert!(entry("system:serviceaccount:kube-system:job-controller", "ResponseComplete").is_none());
        assert!(entry("admin", "ResponseComplete").is_none());
    }
}
