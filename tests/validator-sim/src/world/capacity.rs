//! The capacity gate: validator-protocol 3.4. Asked when a launch config is wanted, and again at its claim.

use axum::http::StatusCode;

use super::World;
use crate::{Profile, http::refusal::Refusal};

impl World {
    /// Refuses with 423 when the chute takes no more instances.
    pub(super) fn check_capacity(&self, chute_id: &str, hotkey: &str) -> Result<(), Refusal> {
        let Some(chute) = self.chutes.get(chute_id) else {
            return Err(Refusal::not_found(format!("chute_id='{chute_id}' not found")));
        };
        let of_chute = || self.instances.values().filter(|instance| instance.chute_id == chute_id);
        let current = of_chute().count();
        let active = of_chute().filter(|instance| instance.activated_at.is_some()).count();
        let target = chute.spec.target as usize;
        let full = Err(Refusal::new(
            StatusCode::LOCKED,
            format!("Chute {chute_id} is already at target capacity: {current} instances, target {target}"),
        ));
        if self.rules.simple_capacity {
            return if current >= target { full } else { Ok(()) };
        }
        match self.rules.profile {
            Profile::Oct25 => {
                if active == 0 && current <= target + 2 {
                    return Ok(());
                }
                if current >= target {
                    return full;
                }
                let all_yours = current > 0 && of_chute().all(|instance| instance.miner_hotkey == hotkey);
                if target - current <= 2 && all_yours {
                    return Err(Refusal::new(
                        StatusCode::LOCKED,
                        format!("Chute {chute_id} is close to target capacity, and all of its instances are yours"),
                    ));
                }
                Ok(())
            }
            Profile::Mar26 if chute.spec.tee => {
                if current > target {
                    full
                } else {
                    Ok(())
                }
            }
            Profile::Mar26 => {
                if active >= target {
                    full
                } else {
                    Ok(())
                }
            }
        }
    }
}
