//! Answers in place of the server's own.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An error answer: its status, its body and, for a 429, when to come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    status: StatusCode,
    body: Value,
    retry_after_s: Option<u32>,
}

impl Refusal {
    /// A Kubernetes `Status` of this code with the reason that the API server gives for it.
    ///
    /// # Panics
    /// Where the code is no HTTP status.
    #[must_use]
    pub fn kube(code: u16) -> Self {
        Self { status: status(code), body: kube_status(code, None), retry_after_s: None }
    }

    /// A plain JSON error as the validator's API gives it: `{"detail": ...}`.
    ///
    /// # Panics
    /// Where the code is no HTTP status.
    #[must_use]
    pub fn detail(code: u16, detail: impl Into<Value>) -> Self {
        Self { status: status(code), body: json!({ "detail": detail.into() }), retry_after_s: None }
    }

    /// 409: the object was changed meanwhile.
    #[must_use]
    pub fn conflict() -> Self {
        Self::kube(409)
    }

    /// 410: the resource version is too old.
    #[must_use]
    pub fn gone() -> Self {
        Self::kube(410)
    }

    /// 429: the API server sheds load and names the seconds to wait.
    #[must_use]
    pub fn too_many(retry_after_s: u32) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, body: kube_status(429, Some(retry_after_s)), retry_after_s: Some(retry_after_s) }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers
    }

    pub(super) fn body(&self) -> String {
        self.body.to_string()
    }
}

/// The event by which the API server ends a watch whose resource version it no longer has.
pub(super) fn expired_event() -> String {
    format!("{}\n", json!({ "type": "ERROR", "object": kube_status(410, None) }))
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or_else(|_| panic!("{code} is no HTTP status; use one from 100 to 999"))
}

/// Reasons as in the API machinery's `metav1.StatusReason`. A 410 of a watch cache is `Expired`, not `Gone`.
fn kube_status(code: u16, retry_after_s: Option<u32>) -> Value {
    let (reason, message) = match code {
        400 => ("BadRequest", "the request is invalid"),
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "access denied"),
        404 => ("NotFound", "the object was not found"),
        409 => ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
        410 => ("Expired", "too old resource version"),
        422 => ("Invalid", "the object is invalid"),
        429 => ("TooManyRequests", "too many requests, please try again later"),
        500 => ("InternalError", "an error on the server prevented the request from succeeding"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "the request did not complete within the allotted time"),
        _ => ("", "an injected fault"),
    };
    let details = retry_after_s.map_or_else(|| json!({}), |seconds| json!({ "retryAfterSeconds": seconds }));
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": details, "code": code,
    })
}
