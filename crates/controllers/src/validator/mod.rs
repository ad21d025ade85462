//! Validators: following each one's lists as long as its resource stands. Their statuses are the miner API's.

use std::sync::Arc;

use cluster::controller::{self, Action, Options, Request};
use crd::Validator;
use tokio_util::sync::CancellationToken;
use validator::ValidatorConfig;

use crate::{Context, Error, Result};

/// Looks at Validator resources until `shutdown`.
pub async fn run(ctx: Arc<Context>, shutdown: CancellationToken) {
    let options = Options { stats: ctx.metrics.stats("validator"), ..Options::new("validator", 2) }.ignore_status();
    let root = ctx.watches.validators.clone();
    controller::run(options, root, vec![], move |request| reconcile(Arc::clone(&ctx), request), shutdown).await;
}

async fn reconcile(ctx: Arc<Context>, request: Request<Validator>) -> Result<Action> {
    let Some(object) = request.object else {
        forget_the_gone(&ctx);
        return Ok(Action::Await);
    };
    ctx.validators.follow(config(&object)?).map_err(|error| Error::Waiting(error.to_string()))?;
    Ok(Action::Await)
}

fn forget_the_gone(ctx: &Context) {
    let standing = ctx.watches.validators.all();
    for (hotkey, _) in ctx.validators.all() {
        if standing.iter().all(|validator| validator.spec.hotkey != hotkey) {
            ctx.validators.forget(&hotkey);
        }
    }
}

fn config(object: &Validator) -> Result<ValidatorConfig> {
    let url = |what: &str, text: &str| {
        text.parse().map_err(|error| Error::Waiting(format!("spec.{what} of the Validator is no URL ({error}): correct {text:?}")))
    };
    Ok(ValidatorConfig {
        hotkey: object.spec.hotkey.clone(),
        api: url("api", &object.spec.api)?,
        socket: url("socket", &object.spec.socket)?,
    })
}
