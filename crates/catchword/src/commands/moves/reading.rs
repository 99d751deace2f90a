//! How long a group takes to read what a move gives it again, by its own pace; and the bytes of that.

use catchword_client::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::preview::Move;
use crate::commands::lag::pace;
use crate::http::encoded;
use crate::plane::{self, Api, span};

/// How a group reads at present, as far as the broker tells.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Reading {
    /// `None`: there is no such group.
    state: Option<String>,
    /// Records a second; `None` before the broker has looked twice.
    speed: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Between {
    topic: String,
    partition: i32,
    from: i64,
    records: Option<i64>,
    bytes: Option<i64>,
}

/// Puts records in place of offsets, and adds the bytes, where the broker counts them, which only Catchword does. `None` where
/// it cannot be asked.
pub(super) fn measure(client: &mut Client, group: &str, moves: &mut [Move]) -> Option<Reading> {
    let spans: Vec<Value> = moves
        .iter()
        .filter_map(|m| {
            let (from, to) = m.span()?;
            Some(json!({"topic": m.topic, "partition": m.partition, "from": from, "to": to}))
        })
        .collect();
    let api = Api::find(client).ok()?;
    let path = format!("/v1/groups/{}/between", encoded(group));
    let told = api.post(&path, &json!({ "partitions": spans })).ok()?;
    for between in plane::read::<Vec<Between>>(&told["partitions"]).ok()? {
        let is_it = |m: &&mut Move| {
            (m.topic.as_str(), m.partition) == (between.topic.as_str(), between.partition)
                && m.span().is_some_and(|(from, _)| from == between.from)
        };
        if let Some(m) = moves.iter_mut().find(is_it) {
            m.counted(between.records, between.bytes);
        }
    }
    plane::read(&told).ok()
}

impl Reading {
    /// How long so many records take, ms; `None` if nobody reads, or nobody knows.
    pub(super) fn takes_ms(&self, records: i64) -> Option<i64> {
        let speed = self.speed.filter(|speed| *speed > 0.0)?;
        self.is_read()
            .then_some((records as f64 / speed * 1000.0) as i64)
    }

    fn is_read(&self) -> bool {
        !matches!(self.state.as_deref(), None | Some("Empty" | "Dead"))
    }

    /// The same in words.
    pub(super) fn words(&self, records: i64) -> String {
        match (self.takes_ms(records), self.speed) {
            (Some(ms), Some(speed)) => format!(
                "At the group's own pace ({}) they are read in {}.",
                pace(speed),
                match ms {
                    0..1000 => "less than a second".into(),
                    ms => span(ms),
                }
            ),
            _ if !self.is_read() => {
                "Nobody reads the group now, so how long that takes is not known.".into()
            }
            (_, Some(_)) => {
                "The group does not read on at present, so how long that takes is not known.".into()
            }
            (_, None) => {
                "How long that takes is known after a second look: ask again in a few seconds."
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_takes_as_long_as_the_group_needs_for_so_many() {
        let reading = |state: Option<&str>, speed| Reading {
            state: state.map(str::to_owned),
            speed,
        };
        let stable = reading(Some("Stable"), Some(310.0));
        assert_eq!(stable.takes_ms(24_531), Some(79_132));
        let words = [
            stable,
            reading(Some("Stable"), Some(0.0)),
            reading(Some("Stable"), None),
            reading(Some("Empty"), Some(310.0)),
            reading(None, None),
        ]
        .map(|reading| reading.words(24_531));
        assert_eq!(
            words,
            [
                "At the group's own pace (310/s) they are read in 1 min.",
                "The group does not read on at present, so how long that takes is not known.",
                "How long that takes is known after a second look: ask again in a few seconds.",
                "Nobody reads the group now, so how long that takes is not known.",
                "Nobody reads the group now, so how long that takes is not known.",
            ]
        );
    }
}
