//! Removing what ended, once it is in the ledger.

use cluster::apply::{Propagation, delete_uid};
use crd::ChuteDeployment;
use kube::ResourceExt as _;

use super::step::Seen;
use super::stop::{free_claims, is_proven_gone};
use super::take::api;
use super::wait_for;
use crate::{Context, Result};

/// Deletes an ended deployment, if the ledger says that it ended. Its finalizer goes with the next look.
pub(super) async fn remove(ctx: &Context, object: &ChuteDeployment, seen: &Seen) -> Result<()> {
    let row = ctx.store.deployment(&object.spec.deployment_id).await?;
    if row.is_some_and(|row| row.ended_at.is_none()) {
        return Err(wait_for("the ledger does not say yet that it ended"));
    }
    // A leader that began while the last writes of the one before were under way may have claimed its GPUs once more: nobody else
    // would ever free them.
    if is_proven_gone(object) {
        free_claims(ctx, object, seen).await?;
    }
    let uid = object.uid().unwrap_or_default();
    delete_uid(&api(ctx, object), &object.name_any(), &uid, Propagation::Background).await?;
    Ok(())
}
