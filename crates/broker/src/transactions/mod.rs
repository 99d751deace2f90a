//! The transaction coordinators of this broker: one shard for each partition of `__transaction_state`.
//!
//! The machine is in `catchword-coordinator`, what makes it durable is the driver of all coordinators
//! ([`crate::shards`]). Here is what only transactions need: who carries out what was decided ([`markers`]), and
//! who asks for a producer that writes ([`verify`]).

mod machine;
pub(crate) mod markers;
pub(crate) mod verify;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use catchword_config::BrokerConfig;
use catchword_coordinator::{
    TransactionCall, TransactionConfig, TransactionReply, TransactionShard, partition_for,
};
use catchword_wire::ErrorCode;

use crate::catalog::{Catalog, NewTopic, TRANSACTIONS_TOPIC, Topic, TopicError};
use crate::clock;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::shards::{self, Keeper, Outside, Shard};
pub(crate) use markers::Chores;

/// How long a start waits for shards to be read.
const START_PATIENCE: Duration = Duration::from_millis(25);
/// The same for a topic that was just made, whose shards are empty.
const NEW_PATIENCE: Duration = Duration::from_secs(2);

type Shards = Arc<Vec<Arc<Shard<TransactionShard>>>>;

/// All shards, once the topic exists.
pub(crate) struct Transactions {
    shards: RwLock<Shards>,
    /// Held while shards are started, so that it happens once. Keeps their snapshots from then on.
    keeper: Mutex<Option<Keeper<TransactionShard>>>,
    chores: Arc<Chores>,
}

impl Transactions {
    pub(crate) fn new(chores: Arc<Chores>) -> Transactions {
        Transactions {
            shards: RwLock::default(),
            keeper: Mutex::default(),
            chores,
        }
    }

    fn shards(&self) -> Shards {
        self.shards
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts the shards if the topic is there already: at the broker's start.
    pub(crate) fn start_existing(&self, catalog: &Catalog) {
        if let Some(topic) = catalog.topic(TRANSACTIONS_TOPIC) {
            self.start(catalog, &topic, START_PATIENCE);
        }
    }

    /// Creates `__transaction_state` as Kafka does, when somebody first asks for a coordinator, and starts the shards.
    /// Blocks.
    pub(crate) fn ensure(&self, catalog: &Catalog) -> Result<(), TopicError> {
        if !self.shards().is_empty() {
            return Ok(());
        }
        let config = catalog.config();
        let new = NewTopic {
            name: TRANSACTIONS_TOPIC.into(),
            partitions: config.transaction_state_log_num_partitions,
            configs: topic_configs(&config),
        };
        let topic = match catalog.create_topic(&new) {
            Ok(topic) => topic,
            Err(error) if error.code == ErrorCode::TopicAlreadyExists => {
                catalog.topic(TRANSACTIONS_TOPIC).ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        self.start(catalog, &topic, NEW_PATIENCE);
        Ok(())
    }

    fn start(&self, catalog: &Catalog, topic: &Topic, patience: Duration) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shards().is_empty() {
            return;
        }
        let config = catalog.config();
        let settings = TransactionConfig {
            transaction_max_timeout_ms: config.transaction_max_timeout_ms,
            transactional_id_expiration_ms: i64::from(config.transactional_id_expiration_ms),
        };
        let shards = topic.partitions.iter().enumerate();
        let shards = shards.map(|(index, partition)| {
            let outside: Arc<dyn Outside<TransactionShard>> = self.chores.clone();
            // What was decided is durable before it is carried out, whatever is set for committed offsets.
            Shard::new(index, partition.clone(), settings.clone(), true, outside)
        });
        let shards: Shards = Arc::new(shards.collect());
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = shards.clone();
        shards::load_all(&shards, patience);
        *keeper = Some(Keeper::start(shards));
    }

    /// The shard of a transactional id.
    fn shard(&self, transactional_id: &str) -> Option<Arc<Shard<TransactionShard>>> {
        let shards = self.shards();
        let count = i32::try_from(shards.len()).ok().filter(|n| *n > 0)?;
        shards
            .get(usize::try_from(partition_for(transactional_id, count)).ok()?)
            .cloned()
    }

    /// Asks the shard of the call's transactional id. `None` if the answer was lost with the shard.
    pub(crate) fn call(
        &self,
        call: &Call,
        request: TransactionCall,
    ) -> Outcome<Option<TransactionReply>> {
        let shard = request.transactional_id().and_then(|id| self.shard(id));
        match shard {
            Some(shard) => shard.call(call, request),
            None => Outcome::Now(Some(request.refuse(ErrorCode::NotCoordinator))),
        }
    }

    /// Asks every shard, for ListTransactions.
    pub(crate) fn call_all(
        &self,
        call: &Call,
        request: impl Fn() -> TransactionCall,
    ) -> Vec<Outcome<Option<TransactionReply>>> {
        let shards = self.shards();
        shards
            .iter()
            .map(|shard| shard.call(call, request()))
            .collect()
    }

    /// Whether some shard is still being read.
    pub(crate) fn is_loading(&self) -> bool {
        self.shards().iter().any(|shard| shard.is_loading())
    }

    /// Aborts what takes too long.
    pub(crate) fn abort_timed_out(&self) {
        for shard in self.shards().iter() {
            shard.with(|active| {
                active
                    .machine
                    .abort_timed_out(clock::now_ms(), &mut active.out);
            });
        }
    }

    /// Forgets transactional ids that nobody uses.
    pub(crate) fn expire(&self) {
        for shard in self.shards().iter() {
            shard.with(|active| active.machine.expire(clock::now_ms(), &mut active.out));
        }
    }

    /// Answers whoever waits, and takes no more.
    pub(crate) fn stop(&self) {
        self.shards().iter().for_each(|shard| shard.stop());
    }

    /// After a [`stop`](Transactions::stop): makes snapshots, so that the next start has little to read. Blocks for a few
    /// seconds at most.
    pub(crate) fn keep_snapshots(&self) {
        Keeper::finish(&self.keeper);
    }
}

/// The least that `segment.bytes` of a topic may be (KIP-1030).
const SMALLEST_SEGMENT_BYTES: i32 = 1 << 20;

/// As Kafka makes the topic.
fn topic_configs(config: &BrokerConfig) -> BTreeMap<String, String> {
    let segment_bytes = config.transaction_state_log_segment_bytes;
    let key = if segment_bytes < SMALLEST_SEGMENT_BYTES {
        "internal.segment.bytes"
    } else {
        "segment.bytes"
    };
    BTreeMap::from([
        ("cleanup.policy".to_owned(), "compact".to_owned()),
        ("compression.type".to_owned(), "uncompressed".to_owned()),
        ("min.insync.replicas".to_owned(), "1".to_owned()),
        (
            "unclean.leader.election.enable".to_owned(),
            "false".to_owned(),
        ),
        (key.to_owned(), segment_bytes.to_string()),
    ])
}
