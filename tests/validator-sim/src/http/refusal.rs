//! An answer that says no, in the original's shape: `{"detail": ...}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A refused request.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    /// Set when nobody should have made such a request; tests fail on these.
    pub(crate) unexpected: Option<&'static str>,
}

/// Left in the response for the journal.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) kind: &'static str,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), unexpected: None }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 422: the body or query has the wrong shape.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self { unexpected: Some("malformed"), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 401: headers, nonce or signature are wrong.
    pub(crate) fn bad_signature(detail: impl Into<String>) -> Self {
        Self { unexpected: Some("bad_signature"), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 404 or 405: there is nothing there.
    pub(crate) fn unknown_route(status: StatusCode, detail: &str) -> Self {
        Self { unexpected: Some("unknown_route"), ..Self::new(status, detail) }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let detail = match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => json!([{"type": "value_error", "loc": ["body"], "msg": self.detail}]),
            _ => json!(self.detail),
        };
        let mut response = (self.status, Json(json!({"detail": detail}))).into_response();
        if let Some(kind) = self.unexpected {
            response.extensions_mut().insert(Noted { kind, detail: self.detail });
        }
        response
    }
}
