//! Refusals as the existing miner words them: `{"detail": …}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A refusal. Its detail goes to the caller, so it never holds a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A string, or for 422 a list of field errors.
    pub detail: Value,
    /// A word for programs, where they must tell this refusal from others of its status.
    pub code: Option<&'static str>,
}

/// 403 of an agent whose node key is not the one pinned for its server: trying again does not help.
pub const NODE_KEY_NOT_PINNED: &str = "NodeKeyNotPinned";

impl ApiError {
    /// A refusal in words.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: Value::String(detail.into()), code: None }
    }

    /// The same refusal with a word for programs.
    #[must_use]
    pub fn coded(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404 of a server, in the existing miner's words.
    pub fn no_such_server(id_or_name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("No kubernetes node with id or name {id_or_name} found!"))
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 502: somebody we asked failed.
    pub fn bad_gateway(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, detail)
    }

    /// 503: something of ours is away; asking again later helps.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 422 with field errors in the form of pydantic 2.
    #[must_use]
    pub fn unprocessable(errors: Vec<Value>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, detail: Value::Array(errors), code: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({ "detail": self.detail });
        if let Some(code) = self.code {
            body["code"] = code.into();
        }
        (self.status, Json(body)).into_response()
    }
}
