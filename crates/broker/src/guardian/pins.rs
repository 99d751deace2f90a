//! Pinned bookmarks, and those that are to be kept for ever, at a Kafka that knows neither: they are committed again, where they
//! are, before that Kafka lets them expire, and put back once they are gone whoever removed them. Or, where the guardian may not
//! do that, somebody is told in time.
//!
//! Kafka counts from the last commit, but of a classic group that had members from when it became empty, whatever is committed
//! afterwards: there committing again does not help, and putting back does. A group that has members loses nothing that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use catchword_client::{Client, ClientError, CommitAs, NewCommit, TopicPartition};
use catchword_coordinator::ledger::Key;
use catchword_coordinator::{Retention, RetentionRules};
use catchword_wire::Str;
use tracing::{info, warn};

use super::{Guardian, Known, Terms};
use crate::broker::Broker;
use crate::clock;
use crate::outcome;
use crate::plane::{self, Asker, PlaneError};

/// What is heard of once a sweep need not be said again until this much later, in ms.
const SAY_AGAIN_MS: i64 = 60 * 60 * 1000;

/// What was said of groups, and when.
type Said = BTreeMap<(Str, &'static str), i64>;

/// Looks after the pins each `lag.check.interval.ms`, for as long as the broker lives.
pub(crate) async fn run(guardian: Arc<Guardian>, broker: Arc<Broker>) {
    let mut said = Said::new();
    let mut is_first = true;
    loop {
        let interval_ms = broker.catalog.config().lag_check_interval_ms;
        let interval_ms = u64::try_from(interval_ms).unwrap_or(1);
        tokio::time::sleep(Duration::from_millis(interval_ms)).await;
        if !guardian.is_ready() {
            continue;
        }
        let rules = broker.catalog.retention_rules();
        let mut bereft = std::mem::take(&mut *guardian.bereft());
        if std::mem::take(&mut is_first) {
            // Of what went while the guardian was not there nobody has told.
            bereft.extend(rules.pins.keys().chain(rules.groups.keys()).cloned());
        }
        for group in bereft {
            put_back(&guardian, &broker, &rules, &group, &mut said).await;
        }
        commit_again(&guardian, &broker, &rules, &mut said).await;
    }
}

/// Whether a bookmark is to stay, whatever becomes of its group.
pub(crate) fn stays(rules: &RetentionRules, group: &str, topic: &str, partition: i32) -> bool {
    // Whoever has no rule is kept for a time.
    let (retention, _) = rules.of(group, 1);
    retention == Retention::Forever || rules.is_pinned(group, topic, partition)
}

/// Puts back what a group lost and should not have lost.
async fn put_back(
    guardian: &Guardian,
    broker: &Arc<Broker>,
    rules: &Arc<RetentionRules>,
    group: &Str,
    said: &mut Said,
) {
    let asker = Asker {
        client_id: Str::from("catchword-pins"),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let stays = |topic: &Str, partition| stays(rules, group, topic, partition);
    let apply = guardian.restore_expired;
    match plane::restore_only(broker, &asker, group, apply, stays).await {
        Ok(_) if apply => {
            info!(%group, "pinned bookmarks of the group were gone and are back; `catchword log {group}` tells more");
        }
        Ok(_) => say(said, group, "gone", || {
            warn!(
                %group,
                "pinned bookmarks of the group are gone: `catchword restore {group}` puts them back; guard --restore-expired does it by itself"
            );
        }),
        Err(error) if is_idle(&error) => {}
        Err(error) => {
            say(said, group, "not-back", || {
                warn!(%group, "pinned bookmarks of the group are gone and not back yet: {}. What to do: {}", error.message, error.what_to_do);
            });
            guardian.bereft().insert(group.clone());
        }
    }
}

/// Nothing to put back, or nowhere.
fn is_idle(error: &PlaneError) -> bool {
    [
        "nothing-gone",
        "unknown-group",
        "topic-recreated",
        "no-topic",
    ]
    .contains(&error.error)
}

/// Commits again what would expire soon, where it is.
async fn commit_again(
    guardian: &Arc<Guardian>,
    broker: &Arc<Broker>,
    rules: &Arc<RetentionRules>,
    said: &mut Said,
) {
    let terms = Terms::of(broker);
    let (worker, rules) = (guardian.clone(), rules.clone());
    let work = move || worker.see_to_what_expires(&rules, &terms);
    let Some(found) = outcome::blocking(work).await else {
        return;
    };
    for (group, outcome) in found {
        match outcome {
            Ok(Seen::Committed(count)) => {
                info!(%group, "committed {count} pinned bookmarks of the group again before they expire");
            }
            Ok(Seen::Due(at_ms)) => say(said, &group, "due", || {
                let minutes = at_ms.saturating_sub(clock::now_ms()).max(0) / 60_000;
                warn!(
                    %group,
                    "pinned bookmarks of the group may expire at the guarded Kafka in {minutes} min; guard --restore-expired commits them again in time"
                );
            }),
            Err(error) => say(said, &group, "not-again", || {
                warn!(%group, "pinned bookmarks of the group would expire and cannot be committed again: {error}");
            }),
        }
    }
}

fn say(said: &mut Said, group: &Str, what: &'static str, words: impl FnOnce()) {
    let now_ms = clock::now_ms();
    said.retain(|_, at_ms| now_ms - *at_ms < SAY_AGAIN_MS);
    if said.insert((group.clone(), what), now_ms).is_none() {
        words();
    }
}

/// What became of a group whose bookmarks would expire.
enum Seen {
    /// So many were committed again.
    Committed(usize),
    /// They expire at this time, ms since 1970.
    Due(i64),
}

impl Guardian {
    /// Commits again what stays and would expire, or says when that is. Blocks.
    fn see_to_what_expires(
        &self,
        rules: &RetentionRules,
        terms: &Terms,
    ) -> Vec<(Str, Result<Seen, ClientError>)> {
        let old = |at_ms: i64| at_ms < clock::now_ms() - terms.default_ms.min(60_000) / 2;
        let mut wanted: BTreeMap<Str, BTreeMap<Key, Known>> = BTreeMap::new();
        for (group, own) in &*self.places() {
            let mut own = own.clone();
            own.retain(|(topic, partition), known| {
                old(known.at_ms) && stays(rules, group, topic, *partition)
            });
            if !own.is_empty() {
                wanted.insert(group.clone(), own);
            }
        }
        if wanted.is_empty() {
            return Vec::new();
        }
        let mut client = match Client::connect(self.kafka.clone()) {
            Ok(client) => client,
            // That it is away is told by whoever follows it.
            Err(_) => return Vec::new(),
        };
        let retention_ms = self.retention_ms(&mut client, terms);
        let lead_ms = terms.lead_ms(retention_ms);
        let mut outcomes = Vec::new();
        for (group, mut own) in wanted {
            own.retain(|_, known| known.at_ms < clock::now_ms() - retention_ms + lead_ms);
            let Some(first_ms) = own.values().map(|known| known.at_ms).min() else {
                continue;
            };
            if !self.restore_expired {
                outcomes.push((group, Ok(Seen::Due(first_ms + retention_ms))));
                continue;
            }
            match commit_where_they_are(&mut client, &group, own.keys().collect()) {
                Ok(0) => {}
                Ok(count) => outcomes.push((group, Ok(Seen::Committed(count)))),
                Err(error) => outcomes.push((group, Err(error))),
            }
        }
        outcomes
    }
}

/// Returns how many were committed: none while the group has members, who keep them from expiring.
fn commit_where_they_are(
    client: &mut Client,
    group: &str,
    keys: BTreeSet<&Key>,
) -> Result<usize, ClientError> {
    if client
        .describe_group(group)?
        .is_some_and(|group| group.is_live())
    {
        return Ok(0);
    }
    let partitions: Vec<TopicPartition> = keys
        .into_iter()
        .map(|(topic, partition)| TopicPartition::new(topic.as_str(), *partition))
        .collect();
    let found = client.committed(group, Some(&partitions))?;
    let commits: Vec<NewCommit> = found
        .into_iter()
        .map(|(partition, place)| NewCommit {
            partition,
            offset: place.offset,
            leader_epoch: place.leader_epoch,
            metadata: place.metadata,
        })
        .collect();
    if !commits.is_empty() {
        client.commit(group, CommitAs::Outsider, &commits)?;
    }
    Ok(commits.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_coordinator::Pins;

    #[test]
    fn what_is_pinned_or_kept_for_ever_stays_and_nothing_else() {
        let rules = RetentionRules {
            groups: BTreeMap::from([
                ("ever".into(), Retention::Forever),
                ("long".into(), Retention::Ms(1)),
            ]),
            patterns: vec![("bill*".into(), Retention::Forever)],
            pins: BTreeMap::from([("g".into(), Pins::new([("t".into(), Some(1))]))]),
        };
        assert!(stays(&rules, "ever", "t", 0) && stays(&rules, "billing", "t", 0));
        assert!(stays(&rules, "g", "t", 1) && !stays(&rules, "g", "t", 0));
        assert!(!stays(&rules, "long", "t", 0) && !stays(&rules, "other", "t", 1));
    }
}
