//! Looks at the groups that have a lag objective, again and again, and tells when one is missed or kept again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catchword_config::GroupSettings;
use catchword_wire::Str;
use serde::Serialize;
use tracing::{info, warn};

use super::looked_at;
use super::objective::{Objective, Sample, Status, Verdict, Why, Window};
use super::views::GroupLag;
use super::webhook::Webhook;
use crate::broker::Broker;
use crate::clock;
use crate::plane::{self, Asker, GroupView, Home, PlaceView};

type Place = (Str, i32);

/// What is known of the groups that have an objective.
#[derive(Default)]
pub(crate) struct Objectives {
    groups: Mutex<BTreeMap<String, Held>>,
    webhook: Webhook,
}

/// A group that is held to something.
struct Held {
    windows: BTreeMap<Place, Window>,
    view: ObjectiveView,
}

/// An objective and how it is kept. The names of fields are for scripts and stay as they are.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ObjectiveView {
    #[serde(flatten)]
    objective: Objective,
    pub(crate) status: Status,
    why: Option<Why>,
    /// Since when the status is what it is, ms since 1970.
    since_ms: i64,
    /// The partition that it is about; null while it is OK.
    partition: Option<PlaceView>,
}

/// What the webhook is sent.
#[derive(Debug, Serialize)]
struct Event<'a> {
    cluster_id: &'a str,
    at_ms: i64,
    /// The status until now.
    was: Status,
    /// The group as `/v1/lag` shows it, without its partitions; its new status is in its objective.
    group: GroupLag,
}

impl Objectives {
    /// A group's objective, once the group was looked at.
    pub(super) fn of(&self, group: &str) -> Option<ObjectiveView> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.get(group).map(|held| held.view.clone())
    }

    /// How many changes the webhook took, and how many it could not be told.
    pub(crate) fn posts(&self) -> (u64, u64) {
        self.webhook.counts()
    }

    /// Forgets groups that are no longer held to anything.
    fn keep_only(&self, wanted: &BTreeMap<Str, Objective>) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|group, _| wanted.contains_key(group.as_str()));
    }

    /// Takes new samples of a group; its status until now if that is another one now.
    fn take(
        &self,
        group: &str,
        objective: Objective,
        has_members: bool,
        samples: Vec<(Place, Sample)>,
        now_ms: i64,
    ) -> Option<Status> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let held = groups.entry(group.to_owned()).or_insert_with(|| Held {
            windows: BTreeMap::new(),
            view: ObjectiveView {
                objective,
                status: Status::Ok,
                why: None,
                since_ms: now_ms,
                partition: None,
            },
        });
        let mut before = std::mem::take(&mut held.windows);
        let mut worst: (Verdict, Option<Place>) = ((Status::Ok, None), None);
        for (place, sample) in samples {
            let mut window = before.remove(&place).unwrap_or_default();
            window.push(sample);
            let verdict = window.judge(objective, has_members);
            if verdict > worst.0 {
                worst = (verdict, Some(place.clone()));
            }
            held.windows.insert(place, window);
        }
        let ((status, why), place) = worst;
        let was = held.view.status;
        held.view = ObjectiveView {
            objective,
            status,
            why,
            since_ms: if status == was {
                held.view.since_ms
            } else {
                now_ms
            },
            partition: place.map(|(topic, partition)| PlaceView {
                topic: topic.to_string(),
                partition,
            }),
        };
        (status != was).then_some(was)
    }
}

/// What a group's settings hold it to, if to anything.
fn objective(settings: &GroupSettings) -> Option<Objective> {
    let set = |value: i64| (value >= 0).then_some(value);
    let objective = Objective {
        age_ms: set(settings.lag_objective_age_ms),
        records: set(settings.lag_objective_records),
    };
    (objective.age_ms.is_some() || objective.records.is_some()).then_some(objective)
}

/// Looks at the groups each `lag.check.interval.ms`, for as long as the broker lives.
pub(crate) async fn run(broker: Arc<Broker>) {
    loop {
        let interval_ms = broker.catalog.config().lag_check_interval_ms;
        let interval_ms = u64::try_from(interval_ms).unwrap_or(1);
        tokio::time::sleep(Duration::from_millis(interval_ms)).await;
        if !broker.groups.is_loading() {
            look_at_all(&broker).await;
        }
    }
}

async fn look_at_all(broker: &Arc<Broker>) {
    let settings = broker.catalog.groups_with_settings().into_iter();
    let wanted = settings.filter_map(|(group, settings)| Some((group, objective(&settings)?)));
    let wanted: BTreeMap<Str, Objective> = wanted.collect();
    broker.objectives.keep_only(&wanted);
    let asker = Asker {
        client_id: Str::from("lag-objectives"),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let home = Home::of(broker);
    // A group that does not exist, or not yet, keeps every objective.
    let found = plane::those(broker, &asker, wanted.keys()).await;
    for group in found.unwrap_or_default() {
        let Some((id, objective)) = wanted.get_key_value(group.group.as_str()) else {
            continue;
        };
        let now_ms = clock::now_ms();
        // What cannot be asked now is looked at the next time.
        let late = match objective.age_ms {
            Some(age_ms) => home.waits_longer(id, age_ms, now_ms).await,
            None => Ok(BTreeSet::new()),
        };
        if let Ok(late) = late {
            judge(broker, group, *objective, &late, now_ms);
        }
    }
}

/// Judges a group as it is now. `late` are places of which only that is known that they miss the objective's age.
fn judge(
    broker: &Arc<Broker>,
    found: GroupView,
    objective: Objective,
    late: &BTreeSet<Place>,
    now_ms: i64,
) {
    let group = found.group.clone();
    // Nobody knows of consumers that assign themselves their partitions whether they are there.
    let has_members = found.state != "Empty" || found.kind == "simple";
    let samples = found.partitions.iter().filter_map(|lag| {
        let place = (lag.topic.clone(), lag.partition);
        let sample = Sample {
            at_ms: now_ms,
            committed: lag.committed,
            behind: lag.lag?,
            // Of a guarded Kafka's records it is known only whether they have waited for too long.
            age_ms: lag.age_ms.or_else(|| {
                let most = objective.age_ms?;
                late.contains(&place).then_some(most.saturating_add(1))
            }),
            last_commit_ms: lag.committed_ms,
        };
        Some((place, sample))
    });
    let samples = samples.collect();
    let changed = broker
        .objectives
        .take(&group, objective, has_members, samples, now_ms);
    let mut now = looked_at(broker, found);
    let (Some(was), Some(view)) = (changed, &now.objective) else {
        return;
    };
    match view.status {
        Status::Ok => info!(%group, "the group keeps its lag objective again"),
        status => warn!(
            %group,
            "the group misses its lag objective: {}, {} records behind; `catchword lag {group}` tells more",
            status.name(),
            now.lag
        ),
    }
    now.partitions = None;
    let event = Event {
        cluster_id: &broker.cluster_id,
        at_ms: now_ms,
        was,
        group: now,
    };
    // Of such a document nothing fails to be written.
    if let Ok(document) = serde_json::to_vec(&event) {
        broker.objectives.webhook.post(broker, document);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Objective = Objective {
        age_ms: None,
        records: Some(10),
    };

    fn take(objectives: &Objectives, behind: [i64; 2], now_ms: i64) -> Option<Status> {
        let sample = |behind| Sample {
            at_ms: now_ms,
            committed: 5,
            behind,
            age_ms: None,
            last_commit_ms: Some(now_ms),
        };
        let samples = vec![
            (("t".into(), 0), sample(behind[0])),
            (("t".into(), 1), sample(behind[1])),
        ];
        objectives.take("g", OBJECTIVE, true, samples, now_ms)
    }

    #[test]
    fn a_change_is_told_once_and_dated() {
        let objectives = Objectives::default();
        assert_eq!(take(&objectives, [10, 10], 1000), None);
        assert_eq!(take(&objectives, [10, 11], 2000), Some(Status::Ok));
        assert_eq!(take(&objectives, [10, 12], 3000), None);
        let view = objectives.of("g").unwrap();
        assert_eq!((view.status, view.since_ms), (Status::Warn, 2000));
        assert_eq!(view.partition.unwrap().partition, 1, "the worst");
        assert_eq!(take(&objectives, [0, 0], 4000), Some(Status::Warn));
        assert_eq!(objectives.of("g").unwrap().partition, None);
    }

    #[test]
    fn who_is_no_longer_held_to_anything_has_no_status() {
        let objectives = Objectives::default();
        take(&objectives, [11, 0], 1000);
        objectives.keep_only(&BTreeMap::from([("g".into(), OBJECTIVE)]));
        assert!(objectives.of("g").is_some());
        objectives.keep_only(&BTreeMap::new());
        assert!(objectives.of("g").is_none());
    }
}
