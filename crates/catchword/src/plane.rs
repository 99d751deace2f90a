//! The broker's JSON API: where it is, what it says, and how that reads to people.
//!
//! The address is learnt by Kafka's own protocol (DescribeConfigs tells `http.listener`), so that `--bootstrap` is enough.
//! An Apache Kafka has none, or does not tell; then a guardian is looked for that says that it guards this very cluster.

use std::net::{Ipv4Addr, SocketAddr};

use catchword_client::{Client, ClientError, Resource, ResourceType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http;
use crate::table::count;
use crate::time;

const KEY: &str = "http.listener";
/// Names the guardian of a Kafka where it does not listen on [`DEFAULT_API`].
const GUARDIAN: &str = "CATCHWORD_GUARDIAN";
/// Where a broker or a guardian listens if nobody says otherwise.
const DEFAULT_API: &str = "127.0.0.1:9644";

/// The JSON API of one broker.
pub(crate) struct Api {
    address: String,
    agent: String,
    /// Whether the groups are those of a guarded Kafka.
    is_guardian: bool,
}

/// One change, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) at_ms: i64,
    pub(crate) kind: String,
    pub(crate) by: By,
    pub(crate) undoes: Option<String>,
    pub(crate) moves: Vec<Move>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct By {
    client_id: String,
    host: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Move {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) from: Option<i64>,
    /// Whether nobody knows any more where it was.
    #[serde(default)]
    pub(crate) from_lost: bool,
    pub(crate) to: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
    what_to_do: String,
}

impl Api {
    /// Finds the API of the cluster that `client` talks to.
    pub(crate) fn find(client: &mut Client) -> Result<Api, Failure> {
        let cluster = client.cluster()?;
        let broker = cluster
            .brokers
            .first()
            .ok_or_else(|| Failure::failed("the cluster names no broker"))?;
        let resource = Resource {
            kind: ResourceType::Broker,
            name: broker.node_id.to_string(),
        };
        let guarded = |refusal| Api::of_guardian(&cluster.id.unwrap_or_default(), refusal);
        let configs = match client.describe_configs(&resource) {
            Ok(configs) => configs,
            // Whatever it is that does not tell, a guardian that guards it may.
            Err(refusal) if refusal.code().is_some() => return guarded(Some(refusal)),
            Err(error) => return Err(error.into()),
        };
        let Some(entry) = configs.into_iter().find(|entry| entry.name == KEY) else {
            return guarded(None);
        };
        let listener = entry.value.unwrap_or_default();
        let Some((host, port)) = listener.rsplit_once(':') else {
            return Err(Failure::failed(
                "the broker's JSON API, which tells history, is not served: its port was taken at the start (the broker's log says so) or http.listener is empty. \
                 Start the broker with --set http.listener=127.0.0.1:PORT.",
            ));
        };
        // Bound to all interfaces: reached by the name that Kafka's clients use.
        let host = match host {
            "0.0.0.0" | "[::]" if broker.host.contains(':') => format!("[{}]", broker.host),
            "0.0.0.0" | "[::]" => broker.host.clone(),
            host => host.to_owned(),
        };
        Ok(Api::at(format!("{host}:{port}")))
    }

    /// The API of the guardian of a cluster that has none itself, or (`refusal`) does not tell.
    fn of_guardian(cluster_id: &str, refusal: Option<ClientError>) -> Result<Api, Failure> {
        let named = std::env::var(GUARDIAN).ok().filter(|text| !text.is_empty());
        let address = named.clone().unwrap_or_else(|| DEFAULT_API.into());
        let api = Api::at(address.clone());
        let guards = api.get("/v1/guardian").ok();
        let guarded = guards.as_ref().and_then(|view| view["cluster_id"].as_str());
        if guarded == Some(cluster_id) {
            return Ok(Api {
                is_guardian: true,
                ..api
            });
        }
        let found = match (guarded, named) {
            (Some(other), _) => {
                format!("the guardian on {address} guards another cluster ({other})")
            }
            (None, Some(_)) => format!("no guardian answers on {address} ({GUARDIAN})"),
            (None, None) => format!("no guardian answers on {address}"),
        };
        Err(Failure::failed(unguarded(refusal.as_ref(), &found)))
    }

    fn at(address: String) -> Api {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        let user = user.unwrap_or_default();
        let user: String = user.chars().filter(char::is_ascii_graphic).collect();
        let by = if user.is_empty() {
            String::new()
        } else {
            format!(" ({user})")
        };
        Api {
            address,
            agent: format!("catchword{by}"),
            is_guardian: false,
        }
    }

    /// Whether it is a guardian that answers: then the cluster itself does not know what is set here.
    pub(crate) fn is_guardian(&self) -> bool {
        self.is_guardian
    }

    /// Asks a question.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, None)
    }

    /// Asks for a change, or its preview.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("POST", path, Some(&body.to_string()))
    }

    /// Asks to remove something, or what that would be.
    pub(crate) fn delete(&self, path: &str, apply: bool) -> Result<Value, Failure> {
        let body = json!({ "apply": apply }).to_string();
        self.ask("DELETE", path, Some(&body))
    }

    /// The last meant change of a group, if there is one.
    pub(crate) fn last_change(&self, group: &str) -> Option<Change> {
        let path = format!("/v1/groups/{}/log?limit=1", http::encoded(group));
        changes(&self.get(&path).ok()?).ok()?.into_iter().next()
    }

    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Result<Value, Failure> {
        let asked = http::ask(&self.address, &self.agent, method, path, body);
        let (status, body) = asked.map_err(|why| {
            Failure::failed(format!(
                "the broker's JSON API on {} cannot be asked: {why}. It listens where http.listener says, by default on the broker's own machine only.",
                self.address
            ))
        })?;
        if status == 200 {
            let read = serde_json::from_slice(&body);
            return read.map_err(|e| Failure::failed(format!("the answer is not understood: {e}")));
        }
        let words = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => format!(
                "{}.\n  What to do: {}.",
                refusal.message, refusal.what_to_do
            ),
            Err(_) => format!("the broker's JSON API answered with status {status}"),
        };
        Err(match status {
            400 => Failure::Usage(words),
            _ => Failure::Failed(words),
        })
    }
}

/// Whether the commands find a guardian that listens there without being told.
pub(crate) fn finds(guardian: SocketAddr) -> bool {
    let ip = guardian.ip();
    let is_here = ip == Ipv4Addr::LOCALHOST || ip.is_unspecified();
    is_here && DEFAULT_API.ends_with(&format!(":{}", guardian.port()))
}

/// Why nobody answers about a cluster's past, and what to do.
fn unguarded(refusal: Option<&ClientError>, found: &str) -> String {
    let broker = match refusal {
        None => {
            "this broker is not Catchword: Apache Kafka itself does not remember where a group was"
                .to_owned()
        }
        Some(refusal) => {
            format!("this broker does not tell where its history is served ({refusal})")
        }
    };
    let allowed = match refusal {
        None => "",
        Some(_) => {
            "\n  If it is Catchword, whoever administers it says why it does not tell its configuration."
        }
    };
    format!(
        "{broker}, and {found}.\n  \
         What to do: `catchword guard --bootstrap KAFKA` remembers it from now on, and what Kafka's log still tells of before; \
         a guardian that listens elsewhere is named by {GUARDIAN}=HOST:PORT.{allowed}"
    )
}

/// An answer in the form that is expected of it.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(document: &Value) -> Result<T, Failure> {
    let read = T::deserialize(document);
    read.map_err(|e| Failure::failed(format!("the broker's answer is not understood: {e}")))
}

/// The changes in a list of them.
pub(crate) fn changes(document: &Value) -> Result<Vec<Change>, Failure> {
    read(&document["changes"])
}

impl By {
    /// `adminclient-1 from 10.0.0.7`; a dash where nobody is known.
    pub(crate) fn words(&self) -> String {
        match (self.client_id.as_str(), self.host.as_str()) {
            ("", "") => "-".into(),
            (client, "") => client.into(),
            ("", host) => format!("from {host}"),
            (client, host) => format!("{client} from {host}"),
        }
    }
}

impl Change {
    /// What kind of change it was.
    pub(crate) fn what(&self) -> String {
        match (&self.undoes, self.kind.as_str()) {
            (Some(of), _) => format!("undo of {of}"),
            (None, kind) => kind_words(kind).into(),
        }
    }

    /// Where the bookmarks went, in one line.
    pub(crate) fn summary(&self) -> String {
        match self.moves.as_slice() {
            [] => "-".into(),
            [one] => format!("{}  {}", one.name(), one.places()),
            many => {
                let topics: std::collections::BTreeSet<&str> =
                    many.iter().map(|m| m.topic.as_str()).collect();
                let mut topics = topics.into_iter();
                let of = match (topics.next(), topics.count()) {
                    (Some(topic), 0) => topic.to_owned(),
                    (_, more) => format!("{} topics", more + 1),
                };
                let sum = |f: fn(&Move) -> i64| many.iter().map(f).sum::<i64>();
                let mut words = vec![format!("{} partitions of {of}", count(many.len() as i64))];
                let back = sum(|m| m.by().map_or(0, |by| (-by).max(0)));
                let on = sum(|m| m.by().map_or(0, |by| by.max(0)));
                if back > 0 {
                    words.push(format!("{} back", count(back)));
                }
                if on > 0 {
                    words.push(format!("{} on", count(on)));
                }
                let removed = many.iter().filter(|m| m.to.is_none()).count();
                if removed > 0 {
                    words.push(format!("{removed} removed"));
                }
                words.join(", ")
            }
        }
    }
}

impl Move {
    /// `orders:0`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.topic, self.partition)
    }

    /// `500 → 0 (500 back)`.
    pub(crate) fn places(&self) -> String {
        let by = match self.by() {
            Some(by) if by < 0 => format!(" ({} back)", count(-by)),
            Some(by) if by > 0 => format!(" ({} on)", count(by)),
            _ => String::new(),
        };
        let from = match self.from_lost {
            true => "unknown".into(),
            false => place(self.from),
        };
        format!("{from} → {}{by}", place(self.to))
    }

    fn by(&self) -> Option<i64> {
        Some(self.to? - self.from?)
    }
}

/// An offset, or that there is none.
pub(crate) fn place(offset: Option<i64>) -> String {
    offset.map_or_else(|| "none".into(), count)
}

/// A kind of change in words.
pub(crate) fn kind_words(kind: &str) -> &str {
    match kind {
        "step-back" => "step back",
        "offset-delete" => "offsets deleted",
        "group-delete" => "group deleted",
        "expire" => "expired",
        "topic-delete" => "topic deleted",
        "zookeeper" => "set in ZooKeeper",
        "removed" => "deleted or expired",
        other => other,
    }
}

/// A time to the second, and how long ago that is.
pub(crate) fn when(ms: i64) -> String {
    let text = time::format(ms);
    let date = text.get(..19).unwrap_or(&text).replace('T', " ");
    format!("{date}Z  {}", ago(time::now_ms().saturating_sub(ms)))
}

fn ago(ms: i64) -> String {
    format!("{} ago", span(ms))
}

/// A time span, roughly.
pub(crate) fn span(ms: i64) -> String {
    let seconds = (ms / 1000).max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(moves: &[(&str, i32, Option<i64>, Option<i64>)]) -> Change {
        let one = |(topic, partition, from, to): &(&str, i32, Option<i64>, Option<i64>)| Move {
            topic: (*topic).into(),
            partition: *partition,
            from: *from,
            from_lost: false,
            to: *to,
        };
        Change {
            id: "17-3".into(),
            group: "g".into(),
            at_ms: 0,
            kind: "reset".into(),
            by: By {
                client_id: String::new(),
                host: "10.0.0.7".into(),
            },
            undoes: None,
            moves: moves.iter().map(one).collect(),
        }
    }

    #[test]
    fn a_change_reads_in_one_line() {
        let one = change(&[("orders", 0, Some(24_531), Some(0))]);
        assert_eq!(one.summary(), "orders:0  24,531 → 0 (24,531 back)");
        assert_eq!(one.by.words(), "from 10.0.0.7");
        let many = change(&[("a", 0, Some(5), Some(0)), ("a", 1, Some(5), Some(7))]);
        assert_eq!(many.summary(), "2 partitions of a, 5 back, 2 on");
        let gone = change(&[("a", 0, Some(5), None), ("b", 1, Some(5), None)]);
        assert_eq!(gone.summary(), "2 partitions of 2 topics, 2 removed");
        let mut first = change(&[("a", 0, None, Some(5))]);
        assert_eq!(first.summary(), "a:0  none → 5");
        first.moves[0].from_lost = true;
        assert_eq!(first.summary(), "a:0  unknown → 5");
    }

    #[test]
    fn a_broker_that_does_not_tell_is_not_taken_for_a_kafka() {
        let found = "no guardian answers on 127.0.0.1:9644";
        let kafka = unguarded(None, found);
        assert!(kafka.starts_with("this broker is not Catchword"), "{kafka}");
        let refusal = ClientError::Refused {
            what: "read the configuration of broker 1".into(),
            code: catchword_wire::ErrorCode::ClusterAuthorizationFailed,
            message: None,
        };
        let unsure = unguarded(Some(&refusal), found);
        assert!(!unsure.contains("not Catchword"), "{unsure}");
        for words in [
            "CLUSTER_AUTHORIZATION_FAILED",
            found,
            "catchword guard --bootstrap",
        ] {
            assert!(unsure.contains(words), "{unsure}");
        }
    }

    #[test]
    fn a_guardian_that_listens_elsewhere_has_to_be_named() {
        for (address, found) in [
            ("127.0.0.1:9644", true),
            ("0.0.0.0:9644", true),
            ("[::]:9644", true),
            ("127.0.0.1:19644", false),
            ("10.0.0.7:9644", false),
        ] {
            assert_eq!(finds(address.parse().unwrap()), found, "{address}");
        }
    }

    #[test]
    fn time_passed_reads_roughly() {
        let read = [5_000, 65_000, 7_300_000, 200_000_000].map(ago);
        assert_eq!(read, ["5 s ago", "1 min ago", "2 h ago", "2 d ago"]);
    }
}
