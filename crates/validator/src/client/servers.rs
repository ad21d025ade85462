//! Confidential servers.

use std::time::Duration;

use protocol::device::ServerArgs;
use protocol::ids::ServerId;
use protocol::sign::Purpose;

use super::http::Call;
use super::nodes::to_json;
use super::{Deletion, ValidatorClient};
use crate::ValidatorError;

/// The validator attests the server before it answers.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(300);

impl ValidatorClient {
    /// Registers a confidential server with its GPUs. Takes minutes: the validator calls the server back and attests
    /// it before it answers. 409 means that a GPU or the address is registered already; the error's words say which.
    pub async fn register_server(&self, server: &ServerArgs) -> Result<(), ValidatorError> {
        const NAME: &str = "register a server";
        if server.gpus.is_empty() {
            return Err(ValidatorError::Refused { call: NAME, reason: "the server has no GPU" });
        }
        let mut call = Call::post(NAME, &["servers", ""], to_json(server));
        call.timeout = REGISTER_TIMEOUT;
        self.http.bytes(call, 201).await.map(drop)
    }

    /// De-registers a confidential server, with its GPUs. Its instances end.
    pub async fn delete_server(&self, server: &ServerId) -> Result<Deletion, ValidatorError> {
        self.delete(Call::delete("delete a server", &["servers", server.as_str()], Purpose::Tee)).await
    }
}
