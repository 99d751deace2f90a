//! Whom a rebalance of a group waits for, as the broker's JSON API tells it.

use serde::{Deserialize, Serialize};

use crate::commands::lag::Place;
use crate::plane::span;

/// Longer lists nobody reads.
const MAX_PLACES: usize = 8;

/// Somebody whose turn it is. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Awaited {
    pub(super) member_id: String,
    client_id: String,
    host: String,
    what: String,
    partitions: Vec<Place>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
}

impl Awaited {
    /// How long it has been awaited, ms; 0 where that is not known.
    pub(super) fn for_ms(&self, now_ms: i64) -> i64 {
        self.since_ms.map_or(0, |since| (now_ms - since).max(0))
    }

    /// `billing-2 on 10.0.0.7 to give up orders:3, for 12 s, 48 s more at most`.
    pub(super) fn words(&self, now_ms: i64) -> String {
        let who = match self.client_id.as_str() {
            "" => format!("a client that was given the member id {}", self.member_id),
            client => format!("{client} on {}", self.host),
        };
        let what = match self.what.as_str() {
            "rejoin" => "to join again".to_owned(),
            "assign" => "to share the partitions out, as the leader".to_owned(),
            "sync" => "to ask for its partitions".to_owned(),
            _ => format!("to give up {}", self.places()),
        };
        let mut words = vec![format!("{who} {what}")];
        let known = self.since_ms.map(|_| self.for_ms(now_ms));
        words.extend(known.map(|ms| format!("for {}", span(ms))));
        let left = self.until_ms.map(|until| (until - now_ms).max(0));
        words.extend(left.map(|ms| format!("{} more at most", span(ms))));
        words.join(", ")
    }

    fn places(&self) -> String {
        let some = self.partitions.iter().take(MAX_PLACES);
        let mut names: Vec<String> = some
            .map(|place| format!("{}:{}", place.topic, place.partition))
            .collect();
        let more = self.partitions.len().saturating_sub(MAX_PLACES);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_awaited_reads_like_this() {
        let told: Vec<Awaited> = serde_json::from_str(
            r#"[{"member_id": "billing-2-x", "client_id": "billing-2", "host": "10.0.0.7", "what": "give-up",
                "partitions": [{"topic": "orders", "partition": 3}], "since_ms": 1000, "until_ms": 61000},
               {"member_id": "m-1", "client_id": "", "host": "", "what": "rejoin", "partitions": [],
                "since_ms": null, "until_ms": null}]"#,
        )
        .unwrap();
        let words: Vec<String> = told.iter().map(|one| one.words(13_000)).collect();
        let expected = [
            "billing-2 on 10.0.0.7 to give up orders:3, for 12 s, 48 s more at most",
            "a client that was given the member id m-1 to join again",
        ];
        assert_eq!(words, expected);
    }
}
