//! The purges: each answers with one JSON document and touches jobs only if one is named.

use super::{confirm, loss, preflight};
use crate::{
    args::{Connection, PurgeDeployment, PurgeServer},
    client::Client,
    failure::Failure,
    output,
};

pub(crate) async fn all(connection: Connection) -> Result<(), Failure> {
    let client = Client::new(&connection)?;
    output::json(&client.delete(&["deployments", "purge"], &[]).await?);
    Ok(())
}

pub(crate) async fn one(args: PurgeDeployment) -> Result<(), Failure> {
    match (&args.deployment_id, &args.node_id) {
        (Some(id), None) => {
            let client = Client::new(&args.connection)?;
            output::json(&client.delete(&["deployments", id], &[]).await?);
            Ok(())
        }
        (None, Some(server)) => of_server(&Client::new(&args.connection)?, server, args.yes).await,
        _ => Err(Failure::general("give either --deployment-id or --node-id").advise("chutes-miner purge-deployment --help")),
    }
}

pub(crate) async fn server(args: PurgeServer) -> Result<(), Failure> {
    of_server(&Client::new(&args.connection)?, &args.name, args.yes).await
}

async fn of_server(client: &Client, server: &str, yes: bool) -> Result<(), Failure> {
    let found = preflight(client, server).await?;
    // The question of the existing command line is about jobs; those are spared here, so there is nothing to warn of then.
    if let Some(loss) = loss(&found, server).filter(|_| output::can_ask()) {
        confirm(yes, &format!("{loss}\n(jobs are spared)"))?;
    }
    output::json(&client.delete(&["servers", server, "deployments"], &[]).await?);
    Ok(())
}
