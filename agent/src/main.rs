//! The agent of one GPU server.

use agent::{options::Options, run};
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    service::init("agent");
    service::tls::install_provider();
    run::run(options).await
}
