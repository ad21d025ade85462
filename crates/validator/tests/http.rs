//! The HTTP client against a server that answers as a validator does, well and badly.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use common::{key, listen, serve};
use protocol::auth::{HeaderView, verify_hotkey};
use protocol::dto::Verification;
use protocol::sign::sha256_hex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use validator::{Completeness, ConfigError, Deletion, LaunchError, ServerAdvert, ValidatorClient, ValidatorError};

const ROW: &str = "data: {\"instance_id\":\"i1\",\"chute_id\":\"c1\"}\n\n";

/// Answers 200 with `wanted`'s answer if the request is signed over the last part, else 401 with what is wrong.
fn signed(headers: &HeaderMap, last_part: &str) -> Result<(), (StatusCode, String)> {
    let view = HeaderView::collect(|name| headers.get(name).and_then(|v| v.to_str().ok()));
    let now = jiff::Timestamp::now().as_second();
    match verify_hotkey(&view, last_part, 600, now) {
        Ok(_) => Ok(()),
        Err(error) => Err((StatusCode::UNAUTHORIZED, json!({ "detail": error.to_string() }).to_string())),
    }
}

async fn client(router: Router) -> ValidatorClient {
    ValidatorClient::new(serve(router).await, key()).unwrap()
}

/// A validator that answers everything in the same way.
async fn always(status: u16, body: impl ToString) -> ValidatorClient {
    let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_string());
    client(Router::new().fallback(move || async move { (status, body) })).await
}

fn advert(gpus: usize) -> ServerAdvert {
    let gpu = |index: usize| {
        json!({ "uuid": format!("{index:032x}"), "name": "NVIDIA L4", "memory": 24_000_000_000u64, "clock_rate": 2e6,
            "device_index": index, "gpu_identifier": "l4", "verification_host": "203.0.113.10",
            "verification_port": 31234 })
    };
    let nodes: Vec<Value> = (0..gpus).map(gpu).collect();
    serde_json::from_value(json!({ "server_id": "uid-1", "nodes": nodes })).unwrap()
}

#[tokio::test]
async fn every_list_is_signed_and_asks_for_the_empty_mark() {
    let router = Router::new().route(
        "/miner/{list}/",
        get(|request: Request| async move {
            signed(request.headers(), "miner")?;
            if request.uri().query() != Some("explicit_null=True") {
                return Err((StatusCode::BAD_REQUEST, "the query is missing".to_owned()));
            }
            Ok("data: NO_ITEMS\n\n")
        }),
    );
    let client = client(router).await;
    assert_eq!(client.chutes().await.unwrap().completeness, Completeness::Complete);
    assert_eq!(client.images().await.unwrap().completeness, Completeness::Complete);
    assert_eq!(client.nodes().await.unwrap().completeness, Completeness::Complete);
    assert_eq!(client.instances().await.unwrap().completeness, Completeness::Complete);
    assert_eq!(client.jobs().await.unwrap().completeness, Completeness::Complete);
}

#[tokio::test]
async fn an_empty_answer_is_not_an_empty_list() {
    let listing = always(200, "").await.instances().await.unwrap();
    assert!(!listing.completeness.is_complete() && !listing.proves_absence_of("i1"));
}

/// A validator that writes exactly these bytes and hangs up.
async fn raw(answer: String) -> ValidatorClient {
    let (listener, config) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && socket.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    ValidatorClient::new(config, key()).unwrap()
}

#[tokio::test]
async fn a_stream_that_breaks_proves_nothing() {
    let chunk = format!("{:x}\r\n{ROW}\r\n", ROW.len());
    let whole = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    let listing = raw(whole.clone()).await.instances().await.unwrap();
    assert!(listing.proves_absence_of("i2"), "the last chunk came: {listing:?}");
    let cut = whole.strip_suffix("0\r\n\r\n").unwrap().to_owned();
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ROW}", ROW.len() + 1);
    for broken in [cut, short] {
        let listing = raw(broken).await.instances().await.unwrap();
        assert_eq!(listing.items.len(), 1);
        assert!(matches!(&listing.completeness, Completeness::Unknown(why) if why.contains("cut")), "{listing:?}");
    }
}

#[tokio::test]
async fn a_body_that_only_the_closing_ends_proves_nothing() {
    let listing = raw(format!("HTTP/1.1 200 OK\r\n\r\n{ROW}")).await.instances().await.unwrap();
    assert_eq!(listing.items.len(), 1);
    assert!(!listing.completeness.is_complete());
}

#[tokio::test]
async fn a_refused_list_is_an_error_with_the_validators_words() {
    let error = always(401, json!({ "detail": "Invalid nonce!" })).await.chutes().await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!(error.to_string(), "list chutes: the validator answered 401: Invalid nonce!");
}

#[tokio::test]
async fn whole_documents_are_complete_lists() {
    let inventory = always(200, "[]").await.inventory().await.unwrap();
    assert!(inventory.proves_absence_of("00000000000000000000000000000000"));
    let servers = json!({ "servers": [{ "server_id": "s1", "gpus": null }, { "server_id": 5 }] });
    let servers = always(200, servers).await.servers().await.unwrap();
    assert_eq!((servers.items.len(), servers.bad_rows), (1, 1));
    assert!(always(200, "{}").await.servers().await.is_err());
}

#[tokio::test]
async fn demand_is_public_and_a_row_that_cannot_be_read_is_skipped_and_counted() {
    let router = Router::new().route(
        "/chutes/utilization",
        get(|headers: HeaderMap| async move {
            if headers.contains_key("x-chutes-signature") {
                return Err((StatusCode::BAD_REQUEST, "signed".to_owned()));
            }
            let wanted = json!({ "chute_id": "c1", "scalable": true, "scale_allowance": 2.0, "utilization_1h": 0.5 });
            let bad = [json!({ "chute_id": "c2", "scale_allowance": "many" }), json!(7)];
            Ok(json!([wanted, bad[0], bad[1], { "chute_id": "c3", "scalable": false }]).to_string())
        }),
    );
    let listing = client(router).await.utilization().await.unwrap();
    let told: Vec<_> = listing.items.iter().map(|row| (row.chute_id.as_str(), row.allowance())).collect();
    assert_eq!(told, [("c1", Some(2)), ("c3", Some(0))]);
    assert_eq!((listing.bad_rows, listing.completeness.is_complete()), (2, false));
    for (status, body) in [(200, "{}"), (200, "<html>"), (500, "")] {
        assert!(always(status, body).await.utilization().await.is_err(), "{status} {body}");
    }
}

#[tokio::test]
async fn an_advert_is_signed_by_its_body_and_brings_a_task() {
    let router = Router::new().route(
        "/nodes/",
        any(|headers: HeaderMap, body: Bytes| async move {
            signed(&headers, &sha256_hex(&body))?;
            let json = headers.get("content-type").is_some_and(|v| v == "application/json");
            let nodes = serde_json::from_slice::<Value>(&body).map_or(0, |b| b["nodes"].as_array().map_or(0, Vec::len));
            let reply = json!({ "nodes": vec![json!({ "seed": 7, "x": {} }); nodes], "task_id": "5x::1", "json": json });
            Ok::<_, (StatusCode, String)>((StatusCode::ACCEPTED, reply.to_string()))
        }),
    );
    let advertised = client(router).await.advertise(&advert(2)).await.unwrap();
    assert_eq!((advertised.task_id.as_str(), advertised.seed), ("5x::1", 7));
}

#[tokio::test]
async fn adverts_that_make_no_sense_are_refused() {
    let reply = |seeds: &[u64]| {
        let nodes: Vec<_> = seeds.iter().map(|seed| json!({ "seed": seed })).collect();
        json!({ "nodes": nodes, "task_id": "t" })
    };
    for (answer, why) in [(reply(&[1, 2]), "different seeds"), (reply(&[1]), "2 GPUs advertised, 1 accepted")] {
        let error = always(202, answer).await.advertise(&advert(2)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let error = always(202, reply(&[])).await.advertise(&advert(0)).await.unwrap_err();
    assert!(matches!(error, ValidatorError::Refused { .. }), "nothing is sent: {error}");
    let error = always(200, reply(&[1, 1])).await.advertise(&advert(2)).await.unwrap_err();
    assert_eq!(error.status(), Some(200), "202 is wanted");
}

#[tokio::test]
async fn a_verification_that_is_not_done_is_not_asked_about() {
    let client = always(500, "").await;
    assert_eq!(client.verification_status("skip").await.unwrap(), Verification::Verified);
    assert!(client.verification_status("5x::1").await.is_err());
    let pending = always(200, json!({ "status": "pending" })).await;
    assert_eq!(pending.verification_status("5x::1").await.unwrap(), Verification::Pending);
}

#[tokio::test]
async fn only_the_validators_own_word_means_absent() {
    let (chute, instance) = ("c1".parse().unwrap(), "i1".parse().unwrap());
    let said = json!({ "detail": "Instance with chute_id='c1' instance_id='i1' associated with hotkey not found" });
    assert_eq!(always(404, said).await.delete_instance(&chute, &instance).await, Ok(Deletion::NotFound));
    for body in [json!({ "detail": "Not Found" }).to_string(), "<html>no such page</html>".into(), String::new()] {
        let error = always(404, &body).await.delete_instance(&chute, &instance).await.unwrap_err();
        assert_eq!(error.status(), Some(404), "{body}");
    }
    let gone = json!({ "detail": "chute_id='c1' not found" });
    assert_eq!(always(404, gone).await.chute(&chute, &"v1".parse().unwrap()).await, Ok(None));
    assert!(always(500, "").await.chute(&chute, &"v1".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_deletion_counts_only_if_the_answer_says_so() {
    let (chute, instance) = ("c1".parse().unwrap(), "i1".parse().unwrap());
    let done = always(200, json!({ "instance_id": "i1", "deleted": true })).await;
    assert_eq!(done.delete_instance(&chute, &instance).await, Ok(Deletion::Deleted));
    let not_done = always(200, json!({ "deleted": false })).await;
    assert!(not_done.delete_instance(&chute, &instance).await.is_err());
    assert!(always(502, "bad gateway").await.delete_instance(&chute, &instance).await.is_err());
    assert_eq!(always(200, "null").await.delete_job(&"j1".parse().unwrap()).await, Ok(Deletion::Deleted));
}

#[tokio::test]
async fn paths_keep_the_base_and_carry_the_ids() {
    let router = Router::new().route(
        "/base/instances/{chute}/{instance}",
        any(|request: Request| async move {
            signed(request.headers(), "instances")?;
            let path = request.uri().path().to_owned();
            let right = path == "/base/instances/c:1/i.1" && request.method() == "DELETE";
            Ok::<_, (StatusCode, String)>(json!({ "deleted": right }).to_string())
        }),
    );
    let mut config = serve(router).await;
    config.api = config.api.join("base").unwrap();
    let client = ValidatorClient::new(config, key()).unwrap();
    let answer = client.delete_instance(&"c:1".parse().unwrap(), &"i.1".parse().unwrap()).await;
    assert_eq!(answer, Ok(Deletion::Deleted));
}

#[tokio::test]
async fn a_launch_names_chute_job_and_server() {
    let router = Router::new().route(
        "/instances/launch_config",
        get(|request: Request| async move {
            signed(request.headers(), "launch")?;
            let query = request.uri().query().unwrap_or_default().to_owned();
            Ok::<_, (StatusCode, String)>(json!({ "token": query, "config_id": "cfg-1" }).to_string())
        }),
    );
    let client = client(router).await;
    let chute = "c1".parse().unwrap();
    let bare = client.launch_config(&chute, None, None).await.unwrap();
    assert_eq!((bare.token.expose(), bare.config_id.as_str()), ("chute_id=c1", "cfg-1"));
    let full = client.launch_config(&chute, Some(&"j1".parse().unwrap()), Some(&"s1".parse().unwrap())).await.unwrap();
    assert_eq!(full.token.expose(), "chute_id=c1&job_id=j1&server_id=s1");
}

#[tokio::test]
async fn a_refused_launch_says_what_to_do() {
    let ask = async |status: u16| {
        let client = always(status, json!({ "detail": "words" })).await;
        client.launch_config(&"c1".parse().unwrap(), None, None).await.unwrap_err()
    };
    assert_eq!(ask(423).await, LaunchError::Backoff423 { detail: "words".into() });
    assert_eq!(ask(409).await, LaunchError::Conflict409 { detail: "words".into() });
    assert_eq!(ask(401).await, LaunchError::Unauthorized401 { detail: "words".into() });
    assert!(!ask(403).await.maybe_done());
    assert!(ask(502).await.maybe_done());
}

#[tokio::test]
async fn a_garbled_grant_may_have_been_granted_and_is_not_quoted() {
    let client = always(200, json!("a.launch.token")).await;
    let error = client.launch_config(&"c1".parse().unwrap(), None, None).await.unwrap_err();
    assert!(error.maybe_done());
    assert!(!format!("{error} {error:?}").contains("a.launch"), "{error:?}");
}

#[tokio::test]
async fn an_unreachable_validator_was_not_asked() {
    let (listener, config) = listen().await;
    drop(listener);
    let client = ValidatorClient::new(config, key()).unwrap();
    let error = client.launch_config(&"c1".parse().unwrap(), None, None).await.unwrap_err();
    assert!(matches!(error, LaunchError::Transport { maybe_done: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_our_signature() {
    let router = Router::new()
        .route("/nodes/supported", get(|| async { axum::response::Redirect::temporary("/elsewhere") }))
        .route("/elsewhere", get(|| async { "{}" }));
    assert_eq!(client(router).await.supported_gpus().await.unwrap_err().status(), Some(307));
}

#[tokio::test]
async fn the_catalogue_is_read_without_a_signature() {
    let router = Router::new().route(
        "/nodes/supported",
        get(|headers: HeaderMap| async move {
            if headers.contains_key("X-Chutes-Signature") {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let rows: serde_json::Map<String, Value> =
                protocol::catalogue::catalogue(Default::default()).iter().map(|spec| (spec.name.to_owned(), spec.to_json())).collect();
            Response::new(Body::from(Value::Object(rows).to_string()))
        }),
    );
    let gpus = client(router).await.supported_gpus().await.unwrap();
    assert_eq!(gpus["h200"].hourly_rate, Some(2.75));
    assert_eq!(gpus.len(), 27);
}

#[tokio::test]
async fn a_wrong_url_is_named() {
    let (_listener, mut config) = listen().await;
    config.api = "ftp://validator.example".parse().unwrap();
    assert!(matches!(ValidatorClient::new(config, key()), Err(ConfigError::Scheme { what: "API", .. })));
}
