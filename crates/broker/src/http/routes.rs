//! From a request to an answer: the list of what the HTTP listener serves. `docs/openapi.json` describes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catchword_wire::Str;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::USER_AGENT;
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{JSON, bad, failed, json, large, text};
use super::query::{decoded, number, value};
use super::{guard, metrics};
use crate::broker::Broker;
use crate::lag;
use crate::plane::{self, Asker, ChangeView, How, NewSettings, PlaneError, Put, Span, Then};

const OPENAPI: &str = include_str!("../../../../docs/openapi.json");
/// About 10,000 partitions of a move.
const MAX_BODY_BYTES: usize = 1 << 20;
/// What Prometheus calls its text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long a question waits, right after a start, for the groups to be read.
const PATIENCE: Duration = Duration::from_secs(3);
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1000;

/// The body of an undo or a restore.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    apply: bool,
    force: bool,
    live: bool,
}

/// The body of a restore.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RestoreAsked {
    apply: bool,
    force: bool,
    live: bool,
    tag: Option<String>,
    time_ms: Option<i64>,
}

/// The body of a move.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PutAsked {
    apply: bool,
    live: bool,
    partitions: Vec<Put>,
}

/// The body of a question about what lies between.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BetweenAsked {
    partitions: Vec<Span>,
}

/// The body of a new tag.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TagAsked {
    name: String,
    force: bool,
}

/// Answers one request.
pub(super) async fn answer(
    broker: &Arc<Broker>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let is_change = request.method() != Method::GET && request.method() != Method::HEAD;
    let config = broker.catalog.config();
    let own_host = config
        .http_listener
        .rsplit_once(':')
        .map_or("", |(host, _)| host);
    let host_name = crate::broker::host_name();
    let own = [own_host, &host_name];
    if let Some(why) = guard::refusal(request.headers(), is_change, &own) {
        return failed(&PlaneError::new(
            403,
            "foreign-page",
            why,
            "ask from the command line, or with curl; web pages of other sites are kept out",
        ));
    }
    match route(broker, peer, request).await {
        Ok(response) => response,
        Err(error) => failed(&error),
    }
}

async fn route(
    broker: &Arc<Broker>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, PlaneError> {
    let asker = asker(peer, &request);
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or("").to_owned();
    let parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let limit = number(&query, "limit")?
        .map_or(DEFAULT_LIMIT, |n| usize::try_from(n).unwrap_or(0))
        .clamp(1, MAX_LIMIT);
    if parts.first() == Some(&"v1") {
        broker.groups.are_read(PATIENCE).await;
    }
    match (request.method().as_str(), &parts[..]) {
        ("GET", ["health"]) => Ok(text("text/plain", "ok\n")),
        ("GET", ["ready"]) if broker.guardian.as_ref().is_some_and(|g| !g.is_ready()) => {
            Err(PlaneError::new(
                503,
                "reading",
                "the guarded Kafka's __consumer_offsets has not been read to its end yet",
                "wait; GET /v1/guardian says how far it is",
            ))
        }
        ("GET", ["ready"]) if broker.groups.is_loading() => Err(PlaneError::loading()),
        ("GET", ["ready"]) => Ok(text("text/plain", "ok\n")),
        ("GET", ["metrics"]) => Ok(text(METRICS, metrics::text(broker, &asker).await?)),
        ("GET", ["v1", "openapi.json"]) => Ok(text(JSON, OPENAPI)),
        ("GET", ["v1", "groups"]) => large(plane::groups(broker, &asker).await?).await,
        ("GET", ["v1", "groups", group]) => {
            json(&plane::group(broker, &asker, &Str::copy(group)).await?)
        }
        ("GET", ["v1", "groups", group, "log"]) => {
            let commits = value(&query, "commits").as_deref() == Some("true");
            json(&plane::log(broker, &Str::copy(group), limit, commits).await?)
        }
        ("GET", ["v1", "groups", group, "at"]) => {
            let time_ms = number(&query, "time_ms")?.ok_or_else(|| {
                bad(
                    "time_ms is missing",
                    "give ?time_ms=MILLISECONDS since 1970",
                )
            })?;
            json(&plane::at(broker, &Str::copy(group), time_ms).await?)
        }
        ("GET", ["v1", "groups", group, "expiry"]) => {
            json(&plane::expiry(broker, &asker, &Str::copy(group)).await?)
        }
        ("GET", ["v1", "groups", group, "settings"]) => json(&plane::settings(broker, group)),
        ("POST", ["v1", "groups", group, "settings"]) => {
            let new: NewSettings = body(request, "{\"settings\": {KEY: VALUE}}").await?;
            json(&plane::set(broker, &Str::copy(group), new).await?)
        }
        ("POST", ["v1", "groups", group, "restore"]) => {
            let group = Str::copy(group);
            let asked: RestoreAsked = body(request, "{\"apply\": true, \"tag\": NAME}").await?;
            let how = How {
                apply: asked.apply,
                force: asked.force,
                live: asked.live,
            };
            let then = match (asked.tag, asked.time_ms) {
                (None, None) => return json(&plane::restore(broker, &asker, &group, how).await?),
                (Some(tag), None) => Then::Tag(Str::from(tag)),
                (None, Some(time_ms)) => Then::Time(time_ms),
                (Some(_), Some(_)) => {
                    return Err(bad("tag and time_ms exclude each other", "give one"));
                }
            };
            json(&plane::restore_to(broker, &asker, &group, &then, how).await?)
        }
        ("POST", ["v1", "groups", group, "move"]) => {
            let example = "{\"partitions\": [{\"topic\": T, \"partition\": 0, \"offset\": 5}]}";
            let asked: PutAsked = body(request, example).await?;
            let how = How {
                apply: asked.apply,
                live: asked.live,
                force: false,
            };
            let group = Str::copy(group);
            json(&plane::put(broker, &asker, &group, asked.partitions, how).await?)
        }
        ("POST", ["v1", "groups", group, "between"]) => {
            let example =
                "{\"partitions\": [{\"topic\": T, \"partition\": 0, \"from\": 5, \"to\": 9}]}";
            let asked: BetweenAsked = body(request, example).await?;
            let group = Str::copy(group);
            json(&plane::between(broker, &asker, &group, asked.partitions).await?)
        }
        ("DELETE", ["v1", "groups", group, "members", member]) => {
            let asked: Asked = body(request, "{\"apply\": true}").await?;
            let (group, member) = (Str::copy(group), Str::copy(member));
            json(&plane::kick(broker, &asker, &group, &member, asked.apply).await?)
        }
        ("GET", ["v1", "groups", group, "tags"]) => {
            json(&plane::tags(broker, &Str::copy(group)).await?)
        }
        ("POST", ["v1", "groups", group, "tags"]) => {
            let asked: TagAsked = body(request, "{\"name\": NAME}").await?;
            let (group, name) = (Str::copy(group), Str::from(asked.name));
            json(&plane::tag(broker, &asker, &group, &name, asked.force).await?)
        }
        ("DELETE", ["v1", "groups", group, "tags", name]) => {
            let (group, name) = (Str::copy(group), Str::copy(name));
            let asked: Asked = body(request, "{\"apply\": true}").await?;
            json(&plane::untag(broker, &asker, &group, &name, asked.apply).await?)
        }
        ("GET", ["v1", "changes"]) => json(&plane::changes(broker, limit).await?),
        ("GET", ["v1", "changes", id]) => {
            let id = id
                .parse()
                .map_err(|why: String| bad(&why, "ids stand in the list of changes"))?;
            let found = plane::change(broker, &asker, id).await?;
            json(&ChangeView::of(&found.group, &found.change))
        }
        ("POST", ["v1", "changes", id, "undo"]) => {
            let id = id
                .parse()
                .map_err(|why: String| bad(&why, "ids stand in the list of changes"))?;
            let how = how(request).await?;
            json(&plane::undo(broker, &asker, id, how).await?)
        }
        ("GET", ["v1", "audit"]) => {
            let group = value(&query, "group");
            json(&plane::audit(broker, group.as_deref(), limit).await?)
        }
        ("GET", ["v1", "lag"]) => {
            let mut found = match value(&query, "group") {
                Some(group) => lag::group(broker, &asker, &Str::from(group)).await?,
                None => lag::groups(broker, &asker).await?,
            };
            if value(&query, "partitions").as_deref() == Some("false") {
                found.groups.iter_mut().for_each(|g| g.partitions = None);
            }
            large(found).await
        }
        ("GET", ["v1", "history"]) => json(&plane::history(broker)),
        ("GET", ["v1", "trash"]) => json(&plane::trash(broker, &asker).await?),
        ("GET", ["v1", "guardian"]) => match &broker.guardian {
            Some(guardian) => json(&guardian.view(broker)),
            None => Err(PlaneError::new(
                404,
                "no-guardian",
                "this is a broker with groups of its own, not the guardian of another",
                "`catchword guard --bootstrap KAFKA` starts one",
            )),
        },
        (method, _) => Err(PlaneError::new(
            404,
            "no-such-path",
            format!("there is no {method} {path}"),
            "GET /v1/openapi.json describes what there is",
        )),
    }
}

fn asker(peer: SocketAddr, request: &Request<Incoming>) -> Asker {
    let agent = request.headers().get(USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or("http");
    let short: String = agent.chars().take(100).collect();
    Asker {
        client_id: Str::from(short),
        ip: peer.ip(),
    }
}

async fn how(request: Request<Incoming>) -> Result<How, PlaneError> {
    let asked: Asked = body(request, "{\"apply\": true, \"force\": false}").await?;
    Ok(How {
        apply: asked.apply,
        force: asked.force,
        live: asked.live,
    })
}

/// Reads a body; none at all asks for nothing. `example` is what to send.
async fn body<T: DeserializeOwned + Default>(
    request: Request<Incoming>,
    example: &str,
) -> Result<T, PlaneError> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES);
    let body = body.collect().await;
    let body = body
        .map_err(|error| {
            bad(
                &format!("the body cannot be read: {error}"),
                "send a smaller one",
            )
        })?
        .to_bytes();
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| {
        bad(
            &format!("the body is not understood: {error}"),
            &format!("send {example}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_json_and_names_every_path() {
        let read: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = read["paths"].as_object().unwrap();
        for path in [
            "/v1/groups",
            "/v1/groups/{group}",
            "/v1/groups/{group}/log",
            "/v1/groups/{group}/at",
            "/v1/groups/{group}/restore",
            "/v1/groups/{group}/move",
            "/v1/groups/{group}/between",
            "/v1/groups/{group}/members/{member}",
            "/v1/groups/{group}/tags",
            "/v1/groups/{group}/tags/{tag}",
            "/v1/changes",
            "/v1/changes/{id}",
            "/v1/changes/{id}/undo",
            "/v1/trash",
            "/v1/guardian",
            "/v1/audit",
            "/v1/lag",
            "/health",
            "/ready",
            "/metrics",
        ] {
            assert!(paths.contains_key(path), "{path}");
        }
    }
}
