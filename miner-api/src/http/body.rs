//! Reading a JSON body in the existing miner's order: malformed JSON is refused before anybody asks who sent it.

use super::error::ApiError;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Longest body taken, in bytes. A kubeconfig is a few KiB.
pub const LIMIT_BYTES: usize = 1 << 20;

/// A body that dribbles in for longer is cut off.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A body as it came, and what it says.
#[derive(Debug)]
pub struct JsonBody {
    /// The exact bytes, which are what was signed.
    pub raw: Bytes,
    /// What they say, if the content type is JSON. A body of another type fails the validation of fields later.
    pub value: Option<Value>,
}

/// Reads the body; 413 if it is too long, 422 if it says it is JSON and is not.
///
/// # Errors
/// As above, and 400 or 408 if the client vanished or dawdles.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<JsonBody, ApiError> {
    let raw = tokio::time::timeout(PATIENCE, to_bytes(body, LIMIT_BYTES));
    let raw = raw.await.map_err(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"))?.map_err(|error| {
        if error.to_string().contains("limit") {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {LIMIT_BYTES} bytes"))
        } else {
            ApiError::bad_request("the body did not arrive completely")
        }
    })?;
    if !is_json(headers) {
        return Ok(JsonBody { raw, value: None });
    }
    if raw.is_empty() {
        return Ok(JsonBody { raw, value: None });
    }
    match serde_json::from_slice(&raw) {
        Ok(value) => Ok(JsonBody { raw, value: Some(value) }),
        // The error's own text may quote the body: only its place is passed on.
        Err(error) => Err(ApiError::unprocessable(vec![json!({
            "type": "json_invalid",
            "loc": ["body", error.column()],
            "msg": "JSON decode error",
            "input": {},
            "ctx": { "error": format!("not JSON at line {} column {}", error.line(), error.column()) },
        })])),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

impl JsonBody {
    /// The fields, or 422 where the body is no object.
    ///
    /// # Errors
    /// Not an object.
    pub fn object(&self) -> Result<&Map<String, Value>, ApiError> {
        match &self.value {
            Some(Value::Object(map)) => Ok(map),
            None if self.raw.is_empty() => {
                Err(ApiError::unprocessable(vec![json!({ "type": "missing", "loc": ["body"], "msg": "Field required", "input": null })]))
            }
            _ => Err(ApiError::unprocessable(vec![json!({
                "type": "model_attributes_type",
                "loc": ["body"],
                "msg": "Input should be a valid dictionary or object to extract fields from; send a JSON object with content-type application/json",
                "input": null,
            })])),
        }
    }
}
