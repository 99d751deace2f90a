//! The topics of the guarded Kafka: their ids, so that a bookmark is never put into another edition of its topic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catchword_client::{Client, ClientError};
use catchword_wire::Uuid;

/// How long what is known is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// A topic: its id and how many partitions it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: Uuid,
    pub(super) partitions: i32,
}

type All = Arc<BTreeMap<String, Known>>;

/// What is known of the topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    known: Mutex<(All, Option<Instant>)>,
}

impl Topics {
    /// The topic's id; `None` if there is no such topic.
    pub(crate) fn id(&self, topic: &str) -> Option<Uuid> {
        self.all().get(topic).map(|known| known.id)
    }

    /// Whether there is such a partition.
    pub(crate) fn has(&self, topic: &str, partition: i32) -> bool {
        let all = self.all();
        let known = all.get(topic);
        known.is_some_and(|known| (0..known.partitions).contains(&partition))
    }

    pub(super) fn all(&self) -> All {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.0.clone()
    }

    /// Asks anew if what is known is old. Blocks.
    pub(super) fn refresh(&self, client: &mut Client) -> Result<(), ClientError> {
        let is_new = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < BELIEVED);
        if is_new(self.known.lock().unwrap_or_else(PoisonError::into_inner).1) {
            return Ok(());
        }
        self.ask(client)
    }

    /// Asks anew. Blocks.
    pub(super) fn ask(&self, client: &mut Client) -> Result<(), ClientError> {
        let topics = client.topics()?.into_iter().map(|topic| {
            let known = Known {
                id: topic.id,
                partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            };
            (topic.name, known)
        });
        let all = Arc::new(topics.collect());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = (all, Some(Instant::now()));
        Ok(())
    }
}
