//! When bookmarks expire at the guarded Kafka, as its log and its settings tell.
//!
//! Kafka counts from each commit; of a classic group that had members, from when it became empty (KIP-211). A group that has
//! members loses nothing that it reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catchword_client::{Client, Resource, ResourceType};
use catchword_coordinator::RetentionRules;
use catchword_coordinator::ledger::Key;
use catchword_wire::Str;

use super::{Guardian, Known, stays};
use crate::broker::Broker;
use crate::clock;
use crate::plane::{KeptView, PlaneError};

/// Kafka's key, and ours for a Kafka that does not tell.
const RETENTION: &str = "offsets.retention.minutes";
/// How long an answer counts: nobody changes it often.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long that Kafka keeps offsets, as it said last.
#[derive(Debug, Default)]
pub(super) struct Retention(Mutex<Option<(Instant, Option<i64>)>>);

/// What is set here and bears on what expires there.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    rules: Arc<RetentionRules>,
    /// How long offsets are kept where that Kafka does not tell, ms.
    pub(super) default_ms: i64,
    /// How long before is soon, ms.
    lead_ms: i64,
}

impl Terms {
    /// As they are now.
    pub(crate) fn of(broker: &Broker) -> Terms {
        let config = broker.catalog.config();
        Terms {
            rules: broker.catalog.retention_rules(),
            default_ms: i64::from(config.offsets_retention_minutes) * 60_000,
            lead_ms: config.offsets_expiry_warning_ms,
        }
    }

    /// How long before is soon where offsets are kept so long: not all of that time.
    pub(super) fn lead_ms(&self, retention_ms: i64) -> i64 {
        self.lead_ms.min(retention_ms / 2)
    }
}

/// When each bookmark of a group expires there, ms since 1970; `None`: not as things are.
pub(crate) type Expiries = BTreeMap<Key, Option<i64>>;

impl Guardian {
    /// How long that Kafka keeps offsets, ms; if it does not tell, which takes DESCRIBE_CONFIGS on the cluster, what is set here.
    /// Blocks.
    pub(super) fn retention_ms(&self, client: &mut Client, terms: &Terms) -> i64 {
        let mut last = self
            .retention
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let told = match *last {
            Some((at, told)) if at.elapsed() < ASK_AGAIN => told,
            _ => {
                let told = ask(client);
                *last = Some((Instant::now(), told));
                told
            }
        };
        told.unwrap_or(terms.default_ms)
    }

    /// How long a group's bookmarks are there, in short. What is pinned there the plane knows.
    pub(super) fn kept(
        &self,
        group: &str,
        state: &str,
        places: Option<&BTreeMap<Key, Known>>,
        (terms, retention_ms): (&Terms, i64),
    ) -> KeptView {
        let expiries = self.expiries(group, state, places, (terms, retention_ms));
        let expires_at_ms = expiries.into_values().flatten().min();
        let soon_ms = clock::now_ms().saturating_add(terms.lead_ms(retention_ms));
        KeptView {
            expires_at_ms,
            expires_soon: expires_at_ms.is_some_and(|at_ms| at_ms <= soon_ms),
            ..KeptView::default()
        }
    }

    fn expiries(
        &self,
        group: &str,
        state: &str,
        places: Option<&BTreeMap<Key, Known>>,
        (terms, retention_ms): (&Terms, i64),
    ) -> Expiries {
        let emptied_ms = self.emptied().get(group).copied();
        let is_seen_to = |(topic, partition): &Key| {
            self.restore_expired && stays(&terms.rules, group, topic, *partition)
        };
        let expires = |(key, known): (&Key, &Known)| {
            let at_ms = expires_ms(state, emptied_ms, known.at_ms, retention_ms);
            (key.clone(), at_ms.filter(|_| !is_seen_to(key)))
        };
        places.into_iter().flatten().map(expires).collect()
    }

    /// How long that Kafka keeps offsets, ms, and when those of a group expire. Blocks.
    pub(crate) fn expiry(&self, group: &Str, terms: &Terms) -> Result<(i64, Expiries), PlaneError> {
        let places = self.places().get(group).cloned();
        let (retention_ms, listed) = self.ask(|client| {
            let retention_ms = self.retention_ms(client, terms);
            Ok((retention_ms, client.list_groups()?))
        })?;
        let listed = listed.into_iter().find(|one| one.group == **group);
        let listed = listed.ok_or_else(|| PlaneError::no_group(group))?;
        let with = (terms, retention_ms);
        Ok((
            retention_ms,
            self.expiries(group, &listed.state, places.as_ref(), with),
        ))
    }
}

/// When a bookmark expires; `None`: not while the group is as it is.
fn expires_ms(
    state: &str,
    emptied_ms: Option<i64>,
    committed_ms: i64,
    retention_ms: i64,
) -> Option<i64> {
    let is_empty = state == "Empty" || state == "Dead";
    is_empty.then(|| {
        emptied_ms
            .unwrap_or(committed_ms)
            .saturating_add(retention_ms)
    })
}

fn ask(client: &mut Client) -> Option<i64> {
    let broker = client.cluster().ok()?.brokers.first()?.node_id;
    let resource = Resource {
        kind: ResourceType::Broker,
        name: broker.to_string(),
    };
    let configs = client.describe_configs(&resource).ok()?;
    let entry = configs.into_iter().find(|entry| entry.name == RETENTION)?;
    let minutes: i64 = entry.value?.parse().ok()?;
    Some(minutes * 60_000)
}

#[cfg(test)]
mod tests {
    use catchword_client::ClientOptions;
    use catchword_coordinator::Pins;

    use super::super::Guarded;
    use super::*;

    #[test]
    fn kafka_counts_from_the_commit_or_from_when_the_members_left() {
        assert_eq!(expires_ms("Empty", None, 100, 7), Some(107));
        assert_eq!(expires_ms("Empty", Some(500), 100, 7), Some(507));
        assert_eq!(
            expires_ms("Empty", Some(50), 100, 7),
            Some(57),
            "a commit after the members left changes nothing there"
        );
        assert_eq!(
            expires_ms("Stable", None, 100, 7),
            None,
            "its members read on"
        );
    }

    #[test]
    fn what_expires_soon_is_marked_unless_the_guardian_sees_to_it() {
        let terms = Terms {
            rules: Arc::new(RetentionRules {
                pins: BTreeMap::from([("pinned".into(), Pins::new([("t".into(), None)]))]),
                ..RetentionRules::default()
            }),
            default_ms: 1,
            lead_ms: 86_400_000,
        };
        let kept = |restore_expired, group, committed_ago_ms| {
            let guardian = Guardian::new(Guarded {
                kafka: ClientOptions::default(),
                restore_expired,
            });
            let known = Known {
                offset: 5,
                at_ms: clock::now_ms() - committed_ago_ms,
            };
            let places = BTreeMap::from([(("t".into(), 0), known)]);
            let kept = guardian.kept(group, "Empty", Some(&places), (&terms, 3_600_000));
            (kept.expires_at_ms.is_some(), kept.expires_soon)
        };
        assert_eq!(kept(false, "g", 60_000), (true, false));
        assert_eq!(
            kept(false, "g", 3_000_000),
            (true, true),
            "more than half is over"
        );
        assert_eq!(
            kept(false, "pinned", 3_000_000),
            (true, true),
            "it may only say so"
        );
        assert_eq!(kept(true, "pinned", 3_000_000), (false, false));
    }
}
