//! The agent of one GPU server.

use agent::{options::Options, run};
use clap::Parser as _;

fn main() -> std::process::ExitCode {
    let options = Options::parse();
    service::init("agent");
    service::tls::install_provider();
    service::run(async { service::ending(run::run(options).await.map(|()| std::process::ExitCode::SUCCESS)) })
}
