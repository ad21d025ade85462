//! What a pod's container is started with: its command and its environment.

use anyhow::{Context as _, Result, bail};
use cluster::call::bounded;
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, Secret, SecretKeySelector};
use kube::{Api, Client, ResourceExt as _};
use std::collections::BTreeMap;

/// Where a variable's value comes from.
#[derive(Debug, PartialEq)]
enum Source<'a> {
    Text(String),
    Secret(&'a SecretKeySelector),
}

/// The one container of a chute's pod.
pub(super) fn of(pod: &Pod) -> Result<&Container> {
    pod.spec.as_ref().and_then(|spec| spec.containers.first()).context("the pod has no container")
}

/// The program's name and its arguments; the fake chute's image starts `chutes` where the pod names nothing.
pub(super) fn command(container: &Container) -> Vec<String> {
    let mut words = container.command.clone().filter(|c| !c.is_empty()).unwrap_or_else(|| vec!["chutes".to_owned()]);
    words.extend(container.args.iter().flatten().cloned());
    words
}

/// Every variable, in order; those from Secrets are read now.
///
/// # Errors
/// When a Secret or a key in it is not there (yet), or a variable comes from where chutes take none from. Never quotes a value.
pub(super) async fn environment(client: &Client, pod: &Pod) -> Result<Vec<(String, String)>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let mut read: BTreeMap<String, Secret> = BTreeMap::new();
    let mut all = Vec::new();
    for variable in of(pod)?.env.iter().flatten() {
        match source(variable, pod)? {
            Source::Text(text) => all.push((variable.name.clone(), text)),
            Source::Secret(selector) => {
                if !read.contains_key(&selector.name) {
                    let found = bounded(&format!("reading Secret {}", selector.name), secrets.get(&selector.name)).await;
                    match found {
                        Ok(secret) => drop(read.insert(selector.name.clone(), secret)),
                        Err(error) if error.is_not_found() && selector.optional == Some(true) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                match read.get(&selector.name).and_then(|s| s.data.as_ref()).and_then(|data| data.get(&selector.key)) {
                    Some(bytes) => {
                        let text = String::from_utf8(bytes.0.clone()).ok();
                        let text = text.with_context(|| format!("key {} of Secret {} is no text", selector.key, selector.name))?;
                        all.push((variable.name.clone(), text));
                    }
                    None if selector.optional == Some(true) => {}
                    None => bail!("Secret {} has no key {}", selector.name, selector.key),
                }
            }
        }
    }
    Ok(all)
}

fn source<'a>(variable: &'a EnvVar, pod: &Pod) -> Result<Source<'a>> {
    let Some(from) = &variable.value_from else { return Ok(Source::Text(variable.value.clone().unwrap_or_default())) };
    if let Some(selector) = &from.secret_key_ref {
        return Ok(Source::Secret(selector));
    }
    let Some(field) = &from.field_ref else { bail!("variable {} comes neither from a Secret nor from a field", variable.name) };
    let status = pod.status.as_ref();
    let value = match field.field_path.as_str() {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => pod.metadata.namespace.clone(),
        "metadata.uid" => pod.metadata.uid.clone(),
        "spec.nodeName" => pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        "status.podIP" => status.and_then(|status| status.pod_ip.clone()),
        "status.hostIP" => status.and_then(|status| status.host_ip.clone()),
        other => bail!("variable {} comes from the field {other}, which is not simulated", variable.name),
    };
    Ok(Source::Text(value.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "chute-1", "namespace": "chutes" },
            "spec": { "nodeName": "gpu-0", "containers": [{ "name": "chute", "command": ["chutes", "run"], "args": ["chute:chute"], "env": [
                { "name": "PLAIN", "value": "1" },
                { "name": "EMPTY" },
                { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
                { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "launch", "key": "token" } } },
                { "name": "MAP", "valueFrom": { "configMapKeyRef": { "name": "map", "key": "a" } } },
            ] }] },
        }))
        .unwrap()
    }

    #[test]
    fn variables_come_from_text_fields_and_secrets_only() {
        let pod = pod();
        let env = of(&pod).unwrap().env.as_ref().unwrap();
        assert_eq!(source(&env[0], &pod).unwrap(), Source::Text("1".to_owned()));
        assert_eq!(source(&env[1], &pod).unwrap(), Source::Text(String::new()));
        assert_eq!(source(&env[2], &pod).unwrap(), Source::Text("gpu-0".to_owned()));
        assert!(matches!(source(&env[3], &pod).unwrap(), Source::Secret(selector) if selector.key == "token"));
        assert!(source(&env[4], &pod).unwrap_err().to_string().contains("MAP"));
    }

    #[test]
    fn arguments_follow_the_command() {
        assert_eq!(command(of(&pod()).unwrap()), ["chutes", "run", "chute:chute"]);
        assert_eq!(command(&Container::default()), ["chutes"]);
    }
}
