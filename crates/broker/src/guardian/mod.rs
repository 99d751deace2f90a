//! The guardian: what happens to the groups' bookmarks of an Apache Kafka is kept here, and put back there.
//!
//! It follows that Kafka's `__consumer_offsets` as any consumer could ([`follow`]) and keeps its records of bookmarks in a
//! topic of the same name and shape of its own ([`shelf`]). The offset plane reads them there as it reads a broker's own. How
//! the groups are now is asked of that Kafka ([`now`]), and bookmarks are moved there alone, through Kafka's own requests
//! ([`errand`]): what came of it comes back by its log, like everything else.
//!
//! Invariant: what is kept is what stood in that Kafka's log, in its order; nothing is written there but what somebody asked
//! for. This broker has no groups of its own, and no listener for Kafka's clients.

mod errand;
mod expiry;
mod follow;
mod note;
mod now;
mod pins;
mod refusal;
mod rights;
pub(crate) mod settings;
mod shelf;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_client::{Client, ClientOptions};
use catchword_coordinator::ledger::{Key, Place, tag_record};
use catchword_wire::Str;
use serde::Serialize;

use crate::broker::Broker;
use crate::clock;
use crate::gauge::{Gauge, Shown};
use crate::partition::Partition;
use crate::plane::{Asker, PlaneError};
use errand::Errands;
pub(crate) use expiry::Terms;
pub(crate) use pins::{run as keep_pins, stays};
use topics::Topics;

/// A bookmark as it was last heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    offset: i64,
    /// When it was committed, ms since 1970.
    at_ms: i64,
}

/// Since when groups have had no members, ms since 1970, where Kafka counts from then.
type Emptied = BTreeMap<Str, i64>;

/// The bookmarks of all groups.
type Places = BTreeMap<Str, BTreeMap<Key, Known>>;

/// What a guardian guards, and how.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// The Apache Kafka.
    pub kafka: ClientOptions,
    /// Whether pinned bookmarks, and those to be kept for ever, are committed again at that Kafka before they expire there or once
    /// they are gone. That takes READ on the groups and their topics.
    pub restore_expired: bool,
}

/// See the module.
pub(crate) struct Guardian {
    kafka: ClientOptions,
    restore_expired: bool,
    topics: Topics,
    errands: Errands,
    places: Mutex<Places>,
    emptied: Mutex<Emptied>,
    retention: expiry::Retention,
    /// Groups that lost bookmarks since that was looked at last.
    bereft: Mutex<BTreeSet<Str>>,
    gauges: Gauges,
}

/// How the guardian is doing.
#[derive(Debug, Default)]
struct Gauges {
    connected: Gauge,
    caught_up: Gauge,
    /// Records of the other `__consumer_offsets` that have not been read, as of the last answer.
    unread: Gauge,
    kept: Gauge,
    /// Offsets that were gone when the guardian came to them, ever.
    missed: Gauge,
    /// 0: not since the start.
    heard_ms: Gauge,
}

/// The names of fields are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(crate) struct GuardianView {
    /// The id of the cluster that is guarded.
    cluster_id: String,
    bootstrap: String,
    connected: bool,
    /// Whether all that there was has been read once since the start.
    caught_up: bool,
    unread: i64,
    kept: i64,
    missed: i64,
    /// When that Kafka answered last, ms since 1970; null: not since the start.
    heard_ms: Option<i64>,
}

impl Guardian {
    /// A guardian that does nothing yet.
    pub(crate) fn new(guarded: Guarded) -> Guardian {
        Guardian {
            kafka: guarded.kafka,
            restore_expired: guarded.restore_expired,
            topics: Topics::default(),
            errands: Errands::default(),
            places: Mutex::default(),
            emptied: Mutex::default(),
            retention: expiry::Retention::default(),
            bereft: Mutex::default(),
            gauges: Gauges::default(),
        }
    }

    /// Begins to follow, in a thread of its own that ends when the broker stops.
    pub(crate) fn start(self: &Arc<Guardian>, broker: &Arc<Broker>) {
        let (guardian, broker) = (self.clone(), broker.clone());
        let work = move || follow::run(&guardian, &broker);
        if let Err(error) = std::thread::Builder::new()
            .name("guardian".into())
            .spawn(work)
        {
            tracing::error!("no thread for the guardian: {error}; nothing is followed");
        }
    }

    /// Where a group has bookmarks.
    pub(crate) fn bookmarks_of(&self, group: &Str) -> Vec<Key> {
        let places = self.places();
        let own = places.get(group).into_iter().flat_map(BTreeMap::keys);
        own.cloned().collect()
    }

    fn bereft(&self) -> MutexGuard<'_, BTreeSet<Str>> {
        self.bereft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all that there was has been read once since the start.
    pub(crate) fn is_ready(&self) -> bool {
        self.gauges.caught_up.is_set()
    }

    /// Asks for the topics anew; what is known stays if that fails. Blocks.
    pub(crate) fn look_at_topics(&self) {
        let asked = Client::connect(self.kafka.clone()).and_then(|mut c| self.topics.ask(&mut c));
        if let Err(error) = asked {
            tracing::debug!("the topics of the guarded Kafka are not known anew: {error}");
        }
    }

    /// Keeps a tag, or with `places` left out removes it. Blocks.
    pub(crate) fn tag(
        &self,
        shard: &Partition,
        asker: &Asker,
        (group, name): (&Str, &Str),
        places: Option<&[(Key, Place)]>,
    ) -> Result<(), PlaneError> {
        let record = tag_record(group, name, places, &asker.as_client());
        let record = record.map_err(PlaneError::refused)?;
        shelf::keep(shard, &record).map_err(PlaneError::unreadable)
    }

    /// The topics' ids there.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    fn emptied(&self) -> MutexGuard<'_, Emptied> {
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is doing.
    pub(crate) fn view(&self, broker: &Broker) -> GuardianView {
        let gauges = &self.gauges;
        let heard_ms = gauges.heard_ms.get();
        GuardianView {
            cluster_id: broker.cluster_id.to_string(),
            bootstrap: self.kafka.bootstrap.clone(),
            connected: gauges.connected.is_set(),
            caught_up: self.is_ready(),
            unread: gauges.unread.get(),
            kept: gauges.kept.get(),
            missed: gauges.missed.get(),
            heard_ms: (heard_ms > 0).then_some(heard_ms),
        }
    }

    /// Names, explanations and values for the metrics.
    pub(crate) fn metrics(&self) -> [Shown; 6] {
        let gauges = &self.gauges;
        let heard_ms = gauges.heard_ms.get();
        let silent_ms = clock::now_ms().saturating_sub(heard_ms);
        [
            (
                "catchword_guardian_connected",
                "1 while the guarded Kafka answers.",
                gauges.connected.get(),
            ),
            (
                "catchword_guardian_caught_up",
                "1 once all that there was has been read.",
                gauges.caught_up.get(),
            ),
            (
                "catchword_guardian_unread",
                "Records of __consumer_offsets there that have not been read.",
                gauges.unread.get(),
            ),
            (
                "catchword_guardian_kept",
                "Records of bookmarks kept since the start.",
                gauges.kept.get(),
            ),
            (
                "catchword_guardian_missed",
                "Offsets of __consumer_offsets that were gone when the guardian came to them, ever.",
                gauges.missed.get(),
            ),
            (
                "catchword_guardian_silent_ms",
                "Milliseconds since the guarded Kafka answered last; -1: not since the start.",
                if heard_ms > 0 { silent_ms } else { -1 },
            ),
        ]
    }
}
