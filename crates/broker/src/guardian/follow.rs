//! Following the guarded Kafka's `__consumer_offsets`, through its restarts and the guardian's own.
//!
//! Only what is committed is read, so that a transaction's offsets come by when it ends well. An open transaction holds up the
//! partition that it writes to, as it holds up every reader of committed records.

use std::sync::Arc;
use std::time::Duration;

use catchword_client::{Client, ClientError, FetchFrom, FetchOptions, TopicPartition};
use catchword_wire::ErrorCode;
use tracing::{error, info, warn};

use super::Guardian;
use super::shelf::{KeepError, Shelf};
use crate::broker::Broker;
use crate::catalog::{OFFSETS_TOPIC, Topic};
use crate::clock;

/// How long to wait before a guarded Kafka that does not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a fetch waits for records: so long a stop takes at most.
const WAIT: Duration = Duration::from_millis(500);
/// About how many bytes are read of a partition at once.
const FETCH_BYTES: i32 = 4 << 20;

/// Why it does not go on for now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Kafka(#[from] ClientError),
    #[error("what was read cannot be kept: {0}")]
    Keep(#[from] KeepError),
    #[error("it has no topic __consumer_offsets yet: nobody has committed anything")]
    NoOffsets,
    #[error(
        "the guardian's user may not read its topic __consumer_offsets: kafka-acls --add --allow-principal User:NAME --operation Read --topic __consumer_offsets"
    )]
    NotAllowed,
    #[error("{0}")]
    Shape(String),
    #[error(
        "it is another cluster ({found}) than the one whose history is kept here ({own}); give this one a data directory of its own (--data)"
    )]
    Another { own: String, found: String },
}

/// Follows until the broker stops.
pub(super) fn run(guardian: &Arc<Guardian>, broker: &Arc<Broker>) {
    let stopping = broker.stopping();
    let is_stopping = || *stopping.borrow();
    // What is known is told while that Kafka is away. What keeps it from being read now is told with the first session.
    let kept = broker.catalog.topic(OFFSETS_TOPIC);
    let mut shelves = kept.and_then(|topic| open(guardian, &topic).ok());
    let mut said = String::new();
    while !is_stopping() {
        let trouble = match session(guardian, broker, &mut shelves, &is_stopping) {
            Ok(()) => return,
            Err(trouble) => trouble,
        };
        guardian.gauges.connected.set(false);
        if matches!(trouble, Trouble::Keep(_)) {
            // What is on disk counts, not what was to be there.
            shelves = None;
        }
        // Once, however often it is tried.
        let words = trouble.to_string();
        if words != said {
            match trouble {
                Trouble::Another { .. } | Trouble::Keep(_) => {
                    error!("the guarded Kafka is not followed: {words}");
                }
                _ => {
                    warn!("the guarded Kafka is not followed for now: {words}; trying again");
                }
            }
            said = words;
        }
        std::thread::sleep(PAUSE);
    }
}

/// One connection, until it fails or the broker stops.
fn session(
    guardian: &Guardian,
    broker: &Broker,
    shelves: &mut Option<Vec<Shelf>>,
    is_stopping: &impl Fn() -> bool,
) -> Result<(), Trouble> {
    let mut client = Client::connect(guardian.kafka.clone())?;
    let found = client.cluster()?.id.unwrap_or_default();
    if *found != *broker.cluster_id {
        let own = broker.cluster_id.to_string();
        return Err(Trouble::Another { own, found });
    }
    guardian.topics.ask(&mut client)?;
    let there = guardian.topics.all().get(OFFSETS_TOPIC).copied();
    let Some(there) = there else {
        // All topics are those that may be seen; asked by its name, Kafka says whether it is that.
        return match client.topic(OFFSETS_TOPIC, false) {
            Err(error) if error.code() == Some(ErrorCode::TopicAuthorizationFailed) => {
                Err(Trouble::NotAllowed)
            }
            _ => Err(Trouble::NoOffsets),
        };
    };
    let shelves = match shelves {
        Some(shelves) => shelves,
        None => {
            let topic = topic(broker, there.partitions)?;
            shelves.insert(open(guardian, &topic)?)
        }
    };
    let (own, found_there) = (shelves.len(), there.partitions);
    if i32::try_from(own) != Ok(found_there) {
        return Err(Trouble::Shape(format!(
            "its __consumer_offsets has {found_there} partitions, and had {own} when the history began: groups live in other partitions now. \
             Begin a new history: --data with another directory"
        )));
    }
    guardian.gauges.connected.set(true);
    info!(bootstrap = %guardian.kafka.bootstrap, cluster = %found, "following the guarded Kafka");
    let options = FetchOptions {
        max_wait: WAIT,
        min_bytes: 1,
        max_bytes: FETCH_BYTES,
        read_committed: true,
    };
    let mut turn = 0;
    while !is_stopping() {
        guardian.topics.refresh(&mut client)?;
        let mut from: Vec<FetchFrom> = shelves.iter().map(Shelf::from).collect();
        // An answer is full at some point: another partition is the first each time, so that none is always too late.
        turn = (turn + 1) % from.len().max(1);
        from.rotate_left(turn);
        let (mut unread, mut answered) = (0, 0);
        for fetched in client.fetch(&from, options).map_err(not_read)? {
            let at = usize::try_from(fetched.partition.partition).ok();
            let Some(shelf) = at.and_then(|at| shelves.get_mut(at)) else {
                continue;
            };
            let high_watermark = fetched.high_watermark;
            shelf.take(guardian, fetched)?;
            unread += (high_watermark - shelf.next()).max(0);
            answered += 1;
        }
        for shelf in &mut *shelves {
            shelf.settle()?;
        }
        let gauges = &guardian.gauges;
        gauges.heard_ms.set(clock::now_ms());
        gauges.unread.set(unread);
        tell_missed(guardian, shelves);
        // A partition whose leader is moving is not answered for.
        let is_all = unread == 0 && answered == shelves.len();
        if is_all && !gauges.caught_up.is_set() {
            gauges.caught_up.set(true);
            info!("all that the guarded Kafka remembers has been read");
        }
    }
    for shelf in shelves {
        shelf.note()?;
    }
    Ok(())
}

fn not_read(error: ClientError) -> Trouble {
    match error.code() {
        Some(ErrorCode::TopicAuthorizationFailed) => Trouble::NotAllowed,
        _ => Trouble::Kafka(error),
    }
}

/// The topic that the shelves are, made if this is the first time.
fn topic(broker: &Broker, partitions: i32) -> Result<Arc<Topic>, Trouble> {
    match broker.catalog.topic(OFFSETS_TOPIC) {
        Some(topic) => Ok(topic),
        None => crate::groups::create_topic(&broker.catalog, partitions)
            .map_err(|error| Trouble::Shape(error.message)),
    }
}

/// Opens the shelves, one for each partition.
fn open(guardian: &Guardian, topic: &Topic) -> Result<Vec<Shelf>, KeepError> {
    let mut shelves = Vec::new();
    for partition in &topic.partitions {
        let there = TopicPartition::new(OFFSETS_TOPIC, partition.tp.partition);
        shelves.push(Shelf::open(
            partition.clone(),
            there,
            &mut guardian.places(),
            &mut guardian.emptied(),
        )?);
    }
    tell_missed(guardian, &shelves);
    Ok(shelves)
}

fn tell_missed(guardian: &Guardian, shelves: &[Shelf]) {
    let missed: i64 = shelves.iter().map(Shelf::missed).sum();
    guardian.gauges.missed.set(missed);
}
