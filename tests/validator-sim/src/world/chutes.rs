//! Chutes: created, changed and deleted by the admin side; shown to miners as validator-protocol 6.1 says.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use crate::{ChutePatch, ChuteSpec, Profile, clock::iso, http::refusal::Refusal, ids, selector};

/// A chute.
#[derive(Debug, Clone)]
pub(crate) struct Chute {
    pub(crate) chute_id: String,
    pub(crate) version: String,
    pub(crate) spec: ChuteSpec,
    revision: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Chute {
    fn image_id(&self) -> String {
        ids::oid(&self.image())
    }

    /// `user/name:tag`.
    pub(crate) fn image(&self) -> String {
        format!("{}/{}", self.spec.username, self.spec.image)
    }

    fn code(&self) -> String {
        format!("chute = Chute(name={:?})  # revision {}\n", self.spec.name, self.revision)
    }

    fn renew_version(&mut self) {
        self.version = ids::oid(&format!("{}:{}", self.image_id(), self.code()));
    }

    /// Compute multiplier of an instance.
    pub(crate) fn multiplier(&self, profile: Profile) -> f64 {
        let base = selector::base_multiplier(profile, &self.spec.selector);
        match (profile, self.spec.public, self.spec.tee) {
            (Profile::Oct25, true, _) => base,
            (Profile::Oct25, false, _) => base * 16.0,
            (Profile::Mar26, public, tee) => {
                let private = if public { 1.0 } else { 2.0 };
                base * private * self.spec.boost.unwrap_or(1.0) * if tee { 2.25 } else { 1.0 }
            }
        }
    }

    /// The row that miners see.
    pub(crate) fn row(&self, profile: Profile) -> Value {
        let spec = &self.spec;
        let supported = selector::supported(profile, &spec.selector);
        let mut node_selector = json!({
            "gpu_count": spec.selector.gpu_count, "min_vram_gb_per_gpu": spec.selector.min_vram_gb_per_gpu,
            "include": spec.selector.include, "exclude": spec.selector.exclude, "dynamic": false,
            "compute_multiplier": selector::base_multiplier(profile, &spec.selector), "supported_gpus": supported,
        });
        let mut row = json!({
            "chute_id": self.chute_id, "version": self.version, "user_id": ids::oid(&spec.username),
            "name": spec.name, "slug": format!("{}-{}", spec.username, spec.name), "tagline": "", "readme": "",
            "tool_description": null, "logo_id": null, "image_id": self.image_id(), "image": self.image(),
            "public": spec.public, "standard_template": null, "cords": [], "jobs": [],
            "supported_gpus": supported, "code": self.code(), "filename": "chute.py", "ref_str": spec.ref_str,
            "chutes_version": spec.chutes_version, "concurrency": spec.concurrency, "boost": spec.boost,
            "revision": null, "max_instances": null, "scaling_threshold": null, "shutdown_after_seconds": null,
            "preemptible": spec.public, "discount": 0.0, "openrouter": false, "invocation_count": 0,
            "created_at": iso(self.created_at), "updated_at": iso(self.updated_at),
        });
        if profile == Profile::Mar26 {
            node_selector["max_hourly_price_per_gpu"] = json!(spec.selector.max_hourly_price_per_gpu);
            row["tee"] = json!(spec.tee);
            for (key, value) in [("allow_external_egress", false), ("encrypted_fs", false), ("lock_modules", false), ("immutable", false)] {
                row[key] = json!(value);
            }
            row["disabled"] = json!(false);
            row["effective_compute_multiplier"] = json!(self.multiplier(profile));
            row["compute_multiplier_factors"] = json!({"base": selector::base_multiplier(profile, &spec.selector)});
            row["bounty"] = Value::Null;
        } else if spec.tee {
            // The era had no such flag; a scenario that asks for it anyway shall be seen as confidential.
            row["tee"] = json!(true);
        }
        row["node_selector"] = node_selector;
        row
    }
}

impl World {
    /// Adds a chute and tells everybody.
    pub(crate) fn create_chute(&mut self, spec: ChuteSpec) -> Result<Chute, Refusal> {
        self.check_chute(&spec)?;
        let chute_id = ids::oid(&format!("{}::chute::{}", spec.username, spec.name));
        if self.chutes.contains_key(&chute_id) {
            return Err(Refusal::new(StatusCode::CONFLICT, format!("{} has a chute {} already", spec.username, spec.name)));
        }
        let now = self.now();
        let mut chute = Chute { chute_id: chute_id.clone(), version: String::new(), spec, revision: 1, created_at: now, updated_at: now };
        chute.renew_version();
        self.chutes.insert(chute_id, chute.clone());
        self.announce("chute_created", &chute);
        Ok(chute)
    }

    /// Changes a chute. A change of target or urgency alone is silent.
    pub(crate) fn update_chute(&mut self, name: &str, patch: ChutePatch) -> Result<Chute, Refusal> {
        let mut chute = self.find_chute(name)?.clone();
        let old_version = chute.version.clone();
        chute.spec.target = patch.target.unwrap_or(chute.spec.target);
        chute.spec.boost = patch.boost.or(chute.spec.boost);
        let silent = patch.selector.is_none()
            && patch.chutes_version.is_none()
            && patch.image.is_none()
            && patch.public.is_none()
            && patch.tee.is_none()
            && !patch.new_version;
        if let Some(selector) = patch.selector {
            chute.spec.selector = selector;
        }
        chute.spec.chutes_version = patch.chutes_version.unwrap_or(chute.spec.chutes_version);
        chute.spec.image = patch.image.unwrap_or(chute.spec.image);
        chute.spec.public = patch.public.unwrap_or(chute.spec.public);
        chute.spec.tee = patch.tee.unwrap_or(chute.spec.tee);
        self.check_chute(&chute.spec)?;
        if !silent {
            chute.revision += 1;
            chute.updated_at = self.now();
            chute.renew_version();
        }
        self.chutes.insert(chute.chute_id.clone(), chute.clone());
        if !silent {
            self.announce("chute_updated", &chute);
        }
        if patch.rolling_update {
            self.roll(&chute, &old_version);
        }
        Ok(chute)
    }

    /// Removes a chute with its instances and tells everybody.
    pub(crate) fn delete_chute(&mut self, name: &str) -> Result<(), Refusal> {
        let chute = self.find_chute(name)?.clone();
        self.chutes.remove(&chute.chute_id);
        self.broadcast("chute_deleted", json!({"chute_id": chute.chute_id, "version": chute.version}), None);
        let mine: Vec<String> = self.instances.values().filter(|i| i.chute_id == chute.chute_id).map(|i| i.instance_id.clone()).collect();
        for instance in mine {
            self.end_instance(&instance, "chute has been deleted");
        }
        Ok(())
    }

    /// A chute by id, or by name for the convenience of tests.
    pub(crate) fn find_chute(&self, name: &str) -> Result<&Chute, Refusal> {
        self.chutes
            .get(name)
            .or_else(|| self.chutes.values().find(|chute| chute.spec.name == name))
            .ok_or_else(|| Refusal::not_found(format!("chute_id='{name}' not found")))
    }

    fn check_chute(&self, spec: &ChuteSpec) -> Result<(), Refusal> {
        if spec.name.is_empty() || spec.name.len() >= 128 {
            return Err(Refusal::bad("a chute needs a name of at most 127 characters"));
        }
        selector::check(self.rules.profile, &spec.selector).map_err(|why| Refusal::bad(format!("chute {}: {why}", spec.name)))
    }

    fn announce(&mut self, reason: &str, chute: &Chute) {
        self.broadcast(reason, json!({"chute_id": chute.chute_id, "version": chute.version, "job_only": false}), None);
    }

    fn roll(&mut self, chute: &Chute, old_version: &str) {
        let old: Vec<(String, String)> = self
            .instances
            .values()
            .filter(|i| i.chute_id == chute.chute_id && i.version != chute.version)
            .map(|i| (i.instance_id.clone(), i.miner_hotkey.clone()))
            .collect();
        for (instance_id, hotkey) in old {
            let data = json!({
                "chute_id": chute.chute_id, "instance_id": instance_id, "miner_hotkey": hotkey,
                "old_version": old_version, "new_version": chute.version, "reason": "chute updated",
            });
            self.broadcast("rolling_update", data, Some(&hotkey));
        }
    }
}
