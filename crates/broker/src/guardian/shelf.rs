//! What is kept of one partition of the guarded Kafka's `__consumer_offsets`: its records of bookmarks, in a log of our own.
//!
//! How far it was read is noted beside the log, at most once a second. What was kept after the last note is read again after a
//! crash, and known by what it says, so nothing is kept twice: that would look like a reset.

use std::collections::HashSet;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchword_client::{FetchFrom, Fetched, TopicPartition};
use catchword_coordinator::CoordinatorRecord;
use catchword_coordinator::ledger::{Membership, Moved, moved};
use catchword_coordinator::record::headers::because;
use catchword_coordinator::record::with_topic_id;
use catchword_log::{AppendError, AppendOrigin, FlushError, LogError};
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord, Record};
use tracing::warn;

use super::{Guardian, Places};
use crate::clock;
use crate::partition::Partition;
use crate::plane::{PlaneError, records_from};

/// The name of the note.
const NOTE: &str = "guard";
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Larger batches would make a reader take more than it wants at once.
const MAX_BATCH_BYTES: usize = 900_000;

/// Why something cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Flush(#[from] FlushError),
    #[error("records do not make a batch: {0}")]
    Batch(String),
}

/// Keeps a record of our own beside what was read: a tag. Blocks until it is durable.
pub(super) fn keep(partition: &Partition, record: &CoordinatorRecord) -> Result<(), KeepError> {
    let mut builder = BatchBuilder::new(0);
    let new = NewRecord {
        timestamp: clock::now_ms(),
        key: Some(&record.key),
        value: record.value.as_deref(),
        headers: &record.headers,
    };
    let failed = |why: &dyn std::fmt::Display| KeepError::Batch(why.to_string());
    builder.push(new).map_err(|e| failed(&e))?;
    let end = append(partition, builder)?;
    flush(partition, end)
}

/// Appends a batch. Returns the log's end then.
fn append(partition: &Partition, builder: BatchBuilder) -> Result<i64, KeepError> {
    let failed = |why: &dyn std::fmt::Display| KeepError::Batch(why.to_string());
    let bytes = builder.build().map_err(|e| failed(&e))?;
    let batch = Batch::parse(&bytes).map_err(|e| failed(&e))?;
    let appended = partition.append(&[batch], None, AppendOrigin::Coordinator)?;
    Ok(appended.last_offset + 1)
}

/// Waits until a log is durable up to an offset.
fn flush(partition: &Partition, end: i64) -> Result<(), KeepError> {
    let (done, waited) = mpsc::channel();
    let told = move |result| drop(done.send(result));
    partition.log.flush_to(end, Box::new(told));
    Ok(waited.recv().map_err(|_| LogError::Closed)??)
}

/// See the module.
pub(super) struct Shelf {
    partition: Arc<Partition>,
    there: TopicPartition,
    /// The offset there that is read next.
    next: i64,
    /// What was noted last, and when.
    noted: i64,
    noted_at: Instant,
    /// What was kept after the last note before a crash and may come by again.
    again: HashSet<Event>,
    membership: Membership,
    /// Whether it was read before this start: what is gone now was there then.
    goes_on: bool,
    /// How far our log must become durable.
    unsettled: Option<i64>,
}

/// What a record says, by which it is known again.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Event {
    Moved(Moved, i64),
    /// Who is in a group: key and value.
    Members(Option<Bytes>, Option<Bytes>, i64),
}

impl Event {
    /// `None`: nothing that is kept.
    fn of(record: &Record, membership: &mut Membership) -> Option<Event> {
        let at_ms = record.timestamp;
        if let Some(moved) = moved(record) {
            return Some(Event::Moved(moved, at_ms));
        }
        let tells = membership.note(record);
        tells.then(|| Event::Members(record.key.clone(), record.value.clone(), at_ms))
    }
}

/// Takes a move over into what is known of where the groups are. Returns where the bookmark was.
fn apply(moved: &Moved, places: &mut Places) -> Option<i64> {
    let key = (moved.topic.clone(), moved.partition);
    let Some((offset, _)) = moved.to else {
        let group = places.get_mut(&moved.group)?;
        let was = group.remove(&key);
        if group.is_empty() {
            places.remove(&moved.group);
        }
        return was;
    };
    let group = places.entry(moved.group.clone()).or_default();
    group.insert(key, offset)
}

impl Shelf {
    /// Goes on where it was, and learns where the groups were then.
    pub(super) fn open(
        partition: Arc<Partition>,
        there: TopicPartition,
        places: &mut Places,
    ) -> Result<Shelf, KeepError> {
        let log = &partition.log;
        log.ready()?;
        let (mut next, mut since) = (0, log.offsets().log_start);
        for at in log.side_files(NOTE)? {
            let content = log.read_side_file(NOTE, at)?;
            let text = std::str::from_utf8(&content).unwrap_or_default();
            if let Some(noted) = text.trim().strip_prefix("next=") {
                next = noted.parse().unwrap_or(0);
                since = at;
                break;
            }
        }
        let (mut again, mut membership) = (HashSet::new(), Membership::default());
        let kept = records_from(&**log, log.offsets().log_start, |record| {
            let Some(event) = Event::of(record, &mut membership) else {
                return;
            };
            if let Event::Moved(moved, _) = &event {
                apply(moved, places);
            }
            if record.offset >= since {
                again.insert(event);
            }
        });
        if let Err(PlaneError { message, .. }) = kept {
            // The plane will say so as well; what comes is kept all the same.
            warn!(partition = %partition.tp, "what was kept cannot be read: {message}");
        }
        Ok(Shelf {
            partition,
            there,
            next,
            noted: next,
            noted_at: Instant::now(),
            again,
            membership,
            goes_on: next > 0,
            unsettled: None,
        })
    }

    /// The offset there that is read next.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Where to read on.
    pub(super) fn from(&self) -> FetchFrom {
        FetchFrom {
            partition: self.there.clone(),
            offset: self.next,
        }
    }

    /// Keeps what came.
    pub(super) fn take(&mut self, guardian: &Guardian, fetched: Fetched) -> Result<(), KeepError> {
        if fetched.out_of_range {
            self.jump(guardian, &fetched);
            return Ok(());
        }
        let mut builder = BatchBuilder::new(0);
        for record in &fetched.records {
            let Some(event) = Event::of(record, &mut self.membership) else {
                continue;
            };
            if self.again.remove(&event) {
                continue;
            }
            if builder.uncompressed_len() > MAX_BATCH_BYTES {
                self.append(std::mem::replace(&mut builder, BatchBuilder::new(0)))?;
            }
            self.push(&mut builder, guardian, record, &event);
            guardian.gauges.kept.add(1);
        }
        if !builder.is_empty() {
            self.append(builder)?;
        }
        if self.goes_on || guardian.is_ready() {
            self.missed(guardian, fetched.gaps);
        }
        self.next = fetched.next_offset;
        Ok(())
    }

    /// What was to be read next is not there.
    fn jump(&mut self, guardian: &Guardian, fetched: &Fetched) {
        let (next, start) = (self.next, fetched.log_start.max(0));
        if next > start {
            warn!(partition = %self.there, next, "the guarded Kafka's log ends before what was read of it: it lost records or its topic was made anew; it is read from its start");
        } else if next > 0 {
            warn!(partition = %self.there, from = next, to = start, "records of the guarded Kafka were deleted before they were read: what they said is not known");
            self.missed(guardian, start - next);
        }
        self.next = start;
    }

    fn missed(&self, guardian: &Guardian, offsets: i64) {
        guardian.gauges.missed.add(offsets.max(0));
    }

    fn append(&mut self, builder: BatchBuilder) -> Result<(), KeepError> {
        self.unsettled = Some(append(&self.partition, builder)?);
        Ok(())
    }

    /// What was kept becomes durable, and now and then it is noted how far it was read. Blocks.
    pub(super) fn settle(&mut self) -> Result<(), KeepError> {
        if let Some(end) = self.unsettled.take() {
            flush(&self.partition, end)?;
        }
        if self.noted_at.elapsed() >= NOTE_EVERY {
            self.note()?;
        }
        Ok(())
    }

    /// Notes how far it was read. What is kept must be durable.
    pub(super) fn note(&mut self) -> Result<(), KeepError> {
        if self.noted != self.next {
            let log = &self.partition.log;
            let text = format!("next={}\n", self.next);
            log.put_side_file(NOTE, log.offsets().log_end, text.as_bytes())?;
            self.noted = self.next;
        }
        self.noted_at = Instant::now();
        Ok(())
    }

    /// Adds a record as it stands there, with the id of its topic where it does not tell it, and with who moved it and why
    /// where that was asked for here, or can be told.
    fn push(
        &self,
        builder: &mut BatchBuilder,
        guardian: &Guardian,
        record: &Record,
        event: &Event,
    ) {
        let (mut value, mut headers) = (record.value.clone(), None);
        if let Event::Moved(moved, _) = event {
            let was = apply(moved, &mut guardian.places());
            headers = guardian.errands.came_back(moved);
            let inferred = self.membership.cause(moved, was);
            headers = headers.or_else(|| inferred.map(because));
            if let (Some(bytes), Some(id)) = (&value, guardian.topics.id(&moved.topic)) {
                value = with_topic_id(bytes, id).or(value);
            }
        }
        let new = NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: value.as_deref(),
            headers: headers.as_deref().unwrap_or_default(),
        };
        if let Err(error) = builder.push(new) {
            warn!("a record of the guarded Kafka does not fit a batch and is not kept: {error}");
        }
    }
}
