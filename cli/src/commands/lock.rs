//! `lock` and `unlock`.

use crate::{
    args::{OneServer, Output},
    client::Client,
    failure::Failure,
    output,
};
use serde_json::Value;

pub(crate) async fn run(args: OneServer, lock: bool) -> Result<(), Failure> {
    let client = Client::new(&args.connection)?;
    let server = client.get(&["servers", &args.name, if lock { "lock" } else { "unlock" }]).await?;
    match args.output {
        Output::Table => output::line(&said(&server)),
        Output::Json => output::json_indented(&server),
    }
    Ok(())
}

/// The server and its new state, `True` or `False` as scripts know it.
fn said(server: &Value) -> String {
    let locked = if server["locked"].as_bool().unwrap_or(false) { "True" } else { "False" };
    format!("Server {} locked: {locked}", server["name"].as_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_line_with_the_name_and_the_new_state() {
        assert_eq!(said(&json!({ "name": "gpu-1", "locked": true })), "Server gpu-1 locked: True");
        assert_eq!(said(&json!({ "name": "gpu-1", "locked": null })), "Server gpu-1 locked: False");
    }
}
