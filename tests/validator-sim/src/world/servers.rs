//! TEE servers: validator-protocol 1.5.2, and the listing of all servers.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{World, nodes::NodeArgs};
use crate::{catalogue, clock::iso, http::refusal::Refusal};

/// A confidential machine to register.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerArgs {
    pub(crate) host: String,
    id: String,
    name: String,
    gpus: Vec<NodeArgs>,
}

/// A registered confidential machine.
#[derive(Debug)]
pub(crate) struct Server {
    server_id: String,
    pub(crate) name: String,
    pub(crate) ip: String,
    pub(crate) miner_hotkey: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Server {
    /// The row of `GET /servers/{id}`.
    pub(crate) fn row(&self) -> Value {
        json!({
            "server_id": self.server_id, "name": self.name, "ip": self.ip,
            "created_at": iso(self.created_at), "updated_at": iso(self.updated_at),
        })
    }
}

impl World {
    /// The checks before a server is called back.
    pub(crate) fn check_server(&self, hotkey: &str, args: &mut ServerArgs) -> Result<(), Refusal> {
        self.check_blacklist(hotkey)?;
        for gpu in &mut args.gpus {
            if let Some(spec) = catalogue::find(self.rules.profile, &gpu.gpu_identifier) {
                gpu.processors = Some(spec.processors);
                gpu.max_threads_per_processor = Some(spec.max_threads);
            }
        }
        self.check_adverts(hotkey, &args.gpus)?;
        if let Some(other) = self.servers.values().find(|server| server.ip == args.host || server.server_id == args.id) {
            let detail = if other.miner_hotkey == hotkey {
                format!("Server {} is already registered with this address", other.name)
            } else {
                "Server is already registered".to_owned()
            };
            return Err(Refusal::new(StatusCode::CONFLICT, detail));
        }
        if !self.rules.allow_private_hosts && !super::nodes::is_public(&args.host) {
            return Err(Refusal::bad(format!("Invalid host: {}", args.host)));
        }
        Ok(())
    }

    /// Keeps a server with its GPUs, which count as verified at once.
    pub(crate) fn insert_server(&mut self, hotkey: &str, args: ServerArgs) {
        let now = self.now();
        let server = Server {
            server_id: args.id.clone(),
            name: args.name,
            ip: args.host,
            miner_hotkey: hotkey.to_owned(),
            created_at: now,
            updated_at: now,
        };
        self.servers.insert(args.id.clone(), server);
        self.insert_nodes(hotkey, &args.id, args.gpus, 0, Some(now));
    }

    /// A server of this hotkey by id or name.
    pub(crate) fn server(&self, hotkey: &str, name_or_id: &str) -> Result<&Server, Refusal> {
        self.servers
            .values()
            .find(|server| server.miner_hotkey == hotkey && (server.server_id == name_or_id || server.name == name_or_id))
            .ok_or_else(|| Refusal::not_found(format!("Server {name_or_id} not found")))
    }

    /// Renames a server.
    pub(crate) fn rename_server(&mut self, hotkey: &str, id: &str, name: &str) -> Result<Value, Refusal> {
        let id = self.server(hotkey, id)?.server_id.clone();
        let now = self.now();
        let server = self.servers.get_mut(&id).expect("looked up under the same lock");
        server.name = name.to_owned();
        server.updated_at = now;
        let mut row = server.row();
        if let Some(row) = row.as_object_mut() {
            row.remove("server_id");
        }
        Ok(row)
    }

    /// Removes a server, its GPUs and their instances. Returns its name.
    pub(crate) fn delete_server(&mut self, hotkey: &str, name_or_id: &str) -> Result<String, Refusal> {
        let server = self.server(hotkey, name_or_id)?;
        let (id, name) = (server.server_id.clone(), server.name.clone());
        let gpus: Vec<String> =
            self.nodes.values().filter(|n| n.server_id == id && n.miner_hotkey == hotkey).map(|n| n.args.uuid.clone()).collect();
        for gpu in gpus {
            self.delete_node(hotkey, &gpu)?;
        }
        self.servers.remove(&id);
        Ok(name)
    }

    /// `GET /miner/servers/`: registered machines, and those that exist only through their adverts.
    pub(crate) fn server_listing(&self, hotkey: &str) -> Value {
        let mut rows: Vec<Value> = Vec::new();
        let gpus = |id: &str| -> Vec<Value> {
            let of_server = self.nodes.values().filter(|node| node.miner_hotkey == hotkey && node.server_id == id);
            of_server
                .map(|node| {
                    json!({
                        "uuid": node.args.uuid, "gpu_identifier": node.args.gpu_identifier, "device_index": node.args.device_index,
                        "verified_at": node.verified_at.map(iso), "verification_error": node.verification_error,
                    })
                })
                .collect()
        };
        for server in self.servers.values().filter(|server| server.miner_hotkey == hotkey) {
            let mut row = server.row();
            row["is_tee"] = json!(true);
            row["gpus"] = json!(gpus(&server.server_id));
            rows.push(row);
        }
        let mut seen: Vec<&str> = Vec::new();
        for node in self.nodes.values().filter(|node| node.miner_hotkey == hotkey && !self.servers.contains_key(&node.server_id)) {
            if !seen.contains(&node.server_id.as_str()) {
                seen.push(&node.server_id);
                rows.push(json!({
                    "server_id": node.server_id, "name": node.server_id, "ip": node.args.verification_host, "is_tee": false,
                    "created_at": null, "updated_at": null, "gpus": gpus(&node.server_id),
                }));
            }
        }
        json!({"servers": rows})
    }
}
