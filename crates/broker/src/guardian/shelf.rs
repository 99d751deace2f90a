//! What is kept of one partition of the guarded Kafka's `__consumer_offsets`: its records of bookmarks, in a log of our own.
//!
//! How far it was read is noted beside the log, at most once a second. What was kept after the last note is read again after a
//! crash, and known by what it says, so nothing is kept twice: that would look like a reset.
//!
//! Where that Kafka compacted or deleted records before they were read, the next move of each bookmark says that nobody knows from
//! where it went: the last place that was read may not be it. How many were gone, and since when bookmarks are unknown that have
//! not moved again, stands in the note.

use std::collections::HashSet;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchword_client::{FetchFrom, Fetched, TopicPartition};
use catchword_coordinator::CoordinatorRecord;
use catchword_coordinator::ledger::{Membership, Moved, emptied, moved};
use catchword_coordinator::record::headers::because;
use catchword_coordinator::record::{of_nobody_knows_where, with_topic_id};
use catchword_log::{AppendError, AppendOrigin, FlushError, LogError};
use catchword_wire::Str;
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord, Record};
use tracing::warn;

use super::note::Note;
use super::{Emptied, Guardian, Known, Places};
use crate::clock;
use crate::partition::Partition;
use crate::plane::{PlaneError, records_from};

/// The name of the notes' side files.
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
    /// How far it is.
    now: Note,
    /// What was noted last, and when.
    noted: Note,
    noted_at: Instant,
    /// What was kept after the last note before a crash and may come by again.
    again: HashSet<Event>,
    membership: Membership,
    /// Whether it was read before this start: what is gone now was there then.
    goes_on: bool,
    /// The bookmarks of which a move has been read since records were lost last, if ever. Of the others it is not known where they
    /// are.
    moved_since: HashSet<Bookmark>,
    /// Whether records were lost in this pass.
    loses: bool,
    /// Whether there was more to read than the last answer had. What is compacted is older than what is not, so within such a
    /// pass a bookmark's next record is its next move.
    in_pass: bool,
    /// How far our log must become durable.
    unsettled: Option<i64>,
}

/// Group, topic and partition.
type Bookmark = (Str, Str, i32);

fn bookmark(moved: &Moved) -> Bookmark {
    (moved.group.clone(), moved.topic.clone(), moved.partition)
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
fn apply(moved: &Moved, at_ms: i64, places: &mut Places) -> Option<i64> {
    let key = (moved.topic.clone(), moved.partition);
    let Some((offset, _)) = moved.to else {
        let group = places.get_mut(&moved.group)?;
        let was = group.remove(&key);
        if group.is_empty() {
            places.remove(&moved.group);
        }
        return was.map(|known| known.offset);
    };
    let group = places.entry(moved.group.clone()).or_default();
    let was = group.insert(key, Known { offset, at_ms });
    was.map(|known| known.offset)
}

/// Takes over since when a group has had no members.
fn note_emptied(record: &Record, known: &mut Emptied) {
    match emptied(record) {
        Some((group, Some(since_ms))) => drop(known.insert(group, since_ms)),
        Some((group, None)) => drop(known.remove(&group)),
        None => {}
    }
}

impl Shelf {
    /// Goes on where it was, and learns where the groups were then.
    pub(super) fn open(
        partition: Arc<Partition>,
        there: TopicPartition,
        places: &mut Places,
        emptied: &mut Emptied,
    ) -> Result<Shelf, KeepError> {
        let log = &partition.log;
        log.ready()?;
        let (mut noted, mut since) = (Note::default(), log.offsets().log_start);
        for at in log.side_files(NOTE)? {
            if let Some(note) = Note::parse(&log.read_side_file(NOTE, at)?) {
                (noted, since) = (note, at);
                break;
            }
        }
        let (mut again, mut membership) = (HashSet::new(), Membership::default());
        let mut moved_since = HashSet::new();
        let kept = records_from(&**log, log.offsets().log_start, |record| {
            let Some(event) = Event::of(record, &mut membership) else {
                return;
            };
            match &event {
                Event::Moved(moved, at_ms) => {
                    apply(moved, *at_ms, places);
                    let is_since = |lost_at| record.offset >= lost_at;
                    if noted.lost_at.is_some_and(is_since) {
                        moved_since.insert(bookmark(moved));
                    }
                }
                Event::Members(..) => note_emptied(record, emptied),
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
            now: noted,
            noted,
            noted_at: Instant::now(),
            again,
            membership,
            goes_on: noted.next > 0,
            moved_since,
            loses: false,
            in_pass: true,
            unsettled: None,
        })
    }

    /// The offset there that is read next.
    pub(super) fn next(&self) -> i64 {
        self.now.next
    }

    /// How many offsets there were gone when they were to be read, ever.
    pub(super) fn missed(&self) -> i64 {
        self.now.missed
    }

    /// Where to read on.
    pub(super) fn from(&self) -> FetchFrom {
        FetchFrom {
            partition: self.there.clone(),
            offset: self.now.next,
        }
    }

    /// Keeps what came.
    pub(super) fn take(&mut self, guardian: &Guardian, fetched: Fetched) -> Result<(), KeepError> {
        if fetched.out_of_range {
            self.jump(&fetched);
            return Ok(());
        }
        if fetched.gaps > 0 && (self.goes_on || guardian.is_ready()) {
            self.lose(fetched.gaps);
        }
        let mut builder = BatchBuilder::new(0);
        for record in &fetched.records {
            let Some(event) = Event::of(record, &mut self.membership) else {
                continue;
            };
            let is_lost = self.is_lost(&event);
            if self.again.remove(&event) {
                continue;
            }
            if let Event::Members(..) = event {
                note_emptied(record, &mut guardian.emptied());
            }
            if builder.uncompressed_len() > MAX_BATCH_BYTES {
                self.append(std::mem::replace(&mut builder, BatchBuilder::new(0)))?;
            }
            self.push(&mut builder, guardian, record, &event, is_lost);
            guardian.gauges.kept.add(1);
        }
        if !builder.is_empty() {
            self.append(builder)?;
        }
        self.now.next = fetched.next_offset;
        self.in_pass = self.now.next < fetched.high_watermark;
        self.loses &= self.in_pass;
        Ok(())
    }

    /// So many records were gone before they were read.
    fn lose(&mut self, offsets: i64) {
        self.now.missed += offsets.max(0);
        // What was read before in the same pass is older than what is lost.
        if !self.loses {
            self.loses = true;
            self.now.lost_at = Some(self.partition.log.offsets().log_end);
            self.moved_since.clear();
        }
    }

    /// Whether nobody knows where the bookmark was, of which this is a move.
    fn is_lost(&mut self, event: &Event) -> bool {
        match event {
            Event::Moved(moved, _) if self.now.lost_at.is_some() => {
                self.moved_since.insert(bookmark(moved))
            }
            _ => false,
        }
    }

    /// What was to be read next is not there.
    fn jump(&mut self, fetched: &Fetched) {
        let (next, start) = (self.now.next, fetched.log_start.max(0));
        if next > start {
            warn!(partition = %self.there, next, "the guarded Kafka's log ends before what was read of it: it lost records or its topic was made anew; it is read from its start");
        } else if next > 0 {
            warn!(partition = %self.there, from = next, to = start, "records of the guarded Kafka were deleted before they were read: what they said is not known");
        }
        if next > 0 {
            self.lose(start - next);
        }
        self.in_pass = true;
        self.now.next = start;
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
        if self.noted != self.now {
            let log = &self.partition.log;
            let text = self.now.to_string();
            log.put_side_file(NOTE, log.offsets().log_end, text.as_bytes())?;
            self.noted = self.now;
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
        is_lost: bool,
    ) {
        let (mut value, mut headers) = (record.value.clone(), None);
        if let Event::Moved(moved, at_ms) = event {
            let was = apply(moved, *at_ms, &mut guardian.places());
            if moved.to.is_none() {
                guardian.bereft().insert(moved.group.clone());
            }
            headers = guardian.errands.came_back(moved);
            let inferred = self.membership.cause(moved, was);
            headers = headers.or_else(|| inferred.map(because));
            if is_lost {
                headers = Some(of_nobody_knows_where(&headers.unwrap_or_default()));
            }
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

#[cfg(test)]
mod tests;
