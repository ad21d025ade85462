//! Launch configs: granted to a miner, opened by the token from inside the pod. validator-protocol 1.7.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::World;
use crate::{Profile, http::refusal::Refusal, jwt, model::LaunchState};

/// Permission to launch one instance.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) config_id: String,
    pub(crate) chute_id: String,
    pub(crate) miner_hotkey: String,
    pub(crate) server_id: Option<String>,
    pub(crate) job_id: Option<String>,
    /// Deployment that claimed, when its claim told.
    pub(crate) deployment: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) retrieved_at: Option<Timestamp>,
    pub(crate) verified_at: Option<Timestamp>,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
    pub(crate) instance_id: Option<String>,
    /// Seed and plain text of the claim's challenge.
    pub(super) challenge: Option<(i64, String)>,
    pub(super) nonce_taken: bool,
}

impl Launch {
    /// How far it came.
    pub(crate) fn state(&self, now: Timestamp) -> LaunchState {
        if self.error.is_some() {
            LaunchState::Failed
        } else if self.activated_at.is_some() {
            LaunchState::Active
        } else if self.verified_at.is_some() {
            LaunchState::Verified
        } else if self.retrieved_at.is_some() {
            LaunchState::Claimed
        } else if self.expires_at <= now {
            LaunchState::Expired
        } else {
            LaunchState::Created
        }
    }
}

/// Whether the library is new enough (0.3.61) that its token says what the chute may do. What is no version is old.
fn carries_rules(library: &str) -> bool {
    let mut parts = library.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    [next(), next(), next()] >= [0, 3, 61]
}

impl World {
    /// Grants a launch config. Reserves nothing.
    pub(crate) fn grant_launch(
        &mut self,
        hotkey: &str,
        chute_id: &str,
        job_id: Option<String>,
        server_id: Option<String>,
    ) -> Result<(String, String), Refusal> {
        self.check_blacklist(hotkey)?;
        if !self.chutes.contains_key(chute_id) {
            return Err(Refusal::not_found(format!("chute_id='{chute_id}' not found")));
        }
        let disk_gb = match &job_id {
            Some(job_id) => Some(self.try_job(hotkey, chute_id, job_id)?),
            None => {
                self.check_capacity(chute_id, hotkey)?;
                None
            }
        };
        let now = self.now();
        let life = match self.rules.profile {
            Profile::Oct25 => SignedDuration::from_mins(120),
            Profile::Mar26 => SignedDuration::from_mins(210),
        };
        let expires_at = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        let config_id = self.ids.uuid();
        let mut claims = json!({
            "exp": expires_at.as_second(), "sub": config_id, "iat": now.as_second(), "iss": "chutes",
            "url": format!("{}/instances/launch_config/{config_id}", self.rules.public_url),
            "env_key": self.ids.hex(32),
        });
        if let (Some(job_id), Some(disk_gb)) = (&job_id, disk_gb) {
            claims["job_id"] = json!(job_id);
            claims["disk_gb"] = json!(disk_gb);
        }
        if carries_rules(&self.chutes[chute_id].spec.chutes_version) {
            claims["egress"] = json!(false);
            claims["lock_modules"] = json!(false);
        }
        if self.rules.profile == Profile::Mar26 {
            claims["chute_id"] = json!(chute_id);
            claims["env_type"] = json!(if self.chutes[chute_id].spec.tee { "tee" } else { "graval" });
        }
        let token = jwt::sign(&self.jwt_key, &claims);
        let launch = Launch {
            config_id: config_id.clone(),
            chute_id: chute_id.to_owned(),
            miner_hotkey: hotkey.to_owned(),
            server_id,
            job_id,
            deployment: None,
            created_at: now,
            expires_at,
            retrieved_at: None,
            verified_at: None,
            activated_at: None,
            error: None,
            instance_id: None,
            challenge: None,
            nonce_taken: false,
        };
        self.launches.insert(config_id.clone(), launch);
        Ok((token, config_id))
    }

    /// The launch config that an `Authorization` header opens. The scheme word, if any, is ignored.
    pub(crate) fn open_launch(&self, authorization: Option<&str>, config_id: &str) -> Result<&Launch, Refusal> {
        let refused = |detail: &str| Refusal::new(StatusCode::UNAUTHORIZED, detail);
        let token =
            authorization.and_then(|value| value.split_whitespace().last()).ok_or_else(|| refused("Missing launch config token"))?;
        let claims: Value = jwt::open(&self.jwt_key, token).ok_or_else(|| refused("Invalid launch config JWT"))?;
        if claims["exp"].as_i64().unwrap_or(0) <= self.now().as_second() {
            return Err(refused("Launch config JWT has expired"));
        }
        if claims["sub"] != config_id {
            return Err(refused("Launch config JWT is for another launch config"));
        }
        let launch = self.launches.get(config_id).ok_or_else(|| Refusal::not_found("Launch config not found in database."))?;
        match &launch.error {
            Some(error) => Err(Refusal::new(StatusCode::FORBIDDEN, format!("Launch config failed verification: {error}"))),
            None => Ok(launch),
        }
    }

    /// The one-time nonce of a launch config.
    pub(crate) fn launch_nonce(&mut self, authorization: Option<&str>, config_id: &str) -> Result<String, Refusal> {
        self.open_launch(authorization, config_id)?;
        let nonce = self.ids.hex(32);
        match self.launches.get_mut(config_id) {
            Some(launch) if !launch.nonce_taken => {
                launch.nonce_taken = true;
                Ok(nonce)
            }
            _ => Err(Refusal::not_found("Nonce not found or already used")),
        }
    }

    /// Marks a launch config as failed for good, and hands the refusal on.
    pub(super) fn fail_launch(&mut self, config_id: &str, refusal: Refusal) -> Refusal {
        if let Some(launch) = self.launches.get_mut(config_id) {
            launch.error.get_or_insert_with(|| refusal.detail.clone());
        }
        refusal
    }
}
