//! The journal: one file in which whatever waits to be durable becomes so together, with one write.
//!
//! A round, led by the journal's thread or by a thread that let flushes gather, takes the logs in the queue, reads what each has gained since it was last durable back from the page cache,
//! writes all of it as one block, and answers who waited. The logs' own files are synced later, when the journal is half
//! full, so that their price is shared by thousands of appends. After a crash [`replay`] puts into those files what a power
//! cut kept from them.
//!
//! Invariant: a block is written over only when everything in it is synced in the logs' own files. A log that has anything
//! else to make durable than bytes of its active segment (names, epochs, closed segments) is synced by the pool, as is
//! every log while the journal is full, broken, or not there yet.

mod block;
mod file;
mod replay;
mod ring;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use block::JournalId;
use block::{BLOCK_HEADER, PAGE, block_size, entry_size};
use file::{Buffer, JournalFile};
pub(crate) use replay::{Replayed, remove, replay};
use ring::Ring;

use super::disk::Disk;
use super::log::LocalLog;
use super::names;
use super::pool::Pool;
use super::segment::lock;
use super::sync::{Tail, TailOf};
use crate::LogError;

/// The largest block.
const BLOCK: usize = 2 << 20;
/// A log that has gained more than this is synced by itself: written twice it would cost more than its sync.
const LARGE: u64 = 1 << 20;
/// The file's size at first; it doubles while it is used a lot.
const FIRST_BYTES: u64 = 1 << 20;
/// How long the thread waits for work before it gives its memory back and ends.
const IDLE: Duration = Duration::from_secs(10);
/// How often it is tried to empty the journal while others fill it.
const RETIRE_TRIES: usize = 5;
/// When a log could not be synced, how long until it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The journal of an engine.
#[derive(Clone)]
pub(crate) struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Disk,
    dir: PathBuf,
    path: PathBuf,
    id: JournalId,
    max_bytes: u64,
    pool: Pool,
    state: Mutex<State>,
    /// There is work for the thread.
    work: Condvar,
    /// A round or a checkpoint is over.
    done: Condvar,
}

/// Whether there is a file to write to.
#[derive(Clone, Default)]
enum Life {
    /// Nobody has wanted it yet.
    #[default]
    Cold,
    /// The thread is making it.
    Opening,
    Open(Arc<JournalFile>),
    /// It failed, or was closed.
    Stopped,
}

struct State {
    life: Life,
    queue: Vec<Arc<LocalLog>>,
    /// Who waits for a block that carries the tail.
    markers: Vec<mpsc::Sender<()>>,
    has_thread: bool,
    /// The thread waits for work.
    idle: bool,
    /// Those who let flushes gather, and will see to them: nobody need be woken.
    gathering: usize,
    /// A round is under way, led by the thread or by one who gathered.
    leading: bool,
    /// Kept from round to round, as long as there is a thread.
    buffer: Option<Buffer>,
    next_sequence: u64,
    /// The round under way.
    in_flight: Option<u64>,
    /// Blocks below are not needed.
    tail: u64,
    /// The tail that the newest block on disk names.
    durable_tail: u64,
    ring: Ring,
    /// Logs with something in blocks from the tail on.
    dirty: Vec<Arc<LocalLog>>,
    checkpointing: bool,
    not_before: Option<Instant>,
    /// The newest block on disk: the only one that is sure to name the tail, so it stays.
    last_written: u64,
    /// The engine is closed, or about to be.
    closed: bool,
}

/// What a round begins with.
struct Round {
    file: Arc<JournalFile>,
    buffer: Buffer,
    logs: Vec<Arc<LocalLog>>,
    markers: Vec<mpsc::Sender<()>>,
    sequence: u64,
}

/// A log's part of a round.
struct Part {
    log: Arc<LocalLog>,
    to: TailOf,
}

impl Journal {
    /// The journal of the engine in `dir`, of at most `max_bytes`. No file is made before it is wanted.
    pub(crate) fn new(
        disk: Disk,
        dir: PathBuf,
        id: JournalId,
        max_bytes: u64,
        pool: Pool,
    ) -> Journal {
        // Direct IO knows whole pages only.
        let max_bytes = max_bytes - max_bytes % PAGE as u64;
        let state = State {
            closed: false,
            last_written: 0,
            life: Life::Cold,
            queue: Vec::new(),
            markers: Vec::new(),
            has_thread: false,
            idle: false,
            gathering: 0,
            leading: false,
            buffer: None,
            next_sequence: 0,
            in_flight: None,
            tail: 0,
            durable_tail: 0,
            ring: Ring::new(FIRST_BYTES.min(max_bytes)),
            dirty: Vec::new(),
            checkpointing: false,
            not_before: None,
        };
        let inner = Inner {
            path: dir.join(names::JOURNAL),
            disk,
            dir,
            id,
            max_bytes,
            pool,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
        };
        Journal {
            inner: Arc::new(inner),
        }
    }

    /// Takes the log into the next round, or gives it back if there is no journal now.
    pub(crate) fn offer(&self, log: Arc<LocalLog>) -> Result<(), Arc<LocalLog>> {
        let mut state = lock(&self.inner.state);
        match state.life {
            Life::Open(_) => {}
            Life::Cold => {
                state.life = Life::Opening;
                self.inner.start_thread(&mut state);
                return Err(log);
            }
            Life::Opening | Life::Stopped => return Err(log),
        }
        state.queue.push(log);
        self.inner.wake(&mut state, false);
        Ok(())
    }

    /// Lets flushes gather until [`end_gathering`](Journal::end_gathering).
    pub(crate) fn gather(&self) {
        lock(&self.inner.state).gathering += 1;
    }

    /// How many logs have gathered that nobody makes durable yet, and whether others may bring more.
    pub(crate) fn gathered(&self) -> (usize, bool) {
        let state = lock(&self.inner.state);
        let count = if state.leading { 0 } else { state.queue.len() };
        (count, state.gathering > 1)
    }

    /// Sees to what has gathered: with `lead` on this thread, which blocks for one write to the disk.
    pub(crate) fn end_gathering(&self, lead: bool) {
        let inner = &self.inner;
        let mut state = lock(&inner.state);
        state.gathering -= 1;
        if state.queue.is_empty() {
            return;
        }
        if !lead {
            return inner.wake(&mut state, true);
        }
        if let Some(round) = inner.take_round(&mut state) {
            drop(state);
            inner.round(round);
        } else if matches!(state.life, Life::Stopped) {
            inner.give_up(&mut state);
        }
    }

    /// Sees to it that nothing the journal holds now will ever be replayed: what it holds of files that are about to be
    /// replaced would spoil those that take their place.
    ///
    /// # Errors
    /// What kept a log from being synced, or the journal from being written.
    pub(crate) fn retire(&self) -> Result<(), LogError> {
        let inner = &self.inner;
        for _ in 0..RETIRE_TRIES {
            {
                let state = lock(&inner.state);
                // What a round under way has gathered may be of a file that is closed by now.
                let under_way = state.in_flight;
                let is_same =
                    |state: &mut State| under_way.is_some() && state.in_flight == under_way;
                let state = inner
                    .done
                    .wait_while(state, is_same)
                    .unwrap_or_else(PoisonError::into_inner);
                if state.closed {
                    return Err(LogError::Closed);
                }
                if state.next_sequence == 0 {
                    // Nothing was ever written.
                    return Ok(());
                }
            }
            inner.checkpoint()?;
            let mut state = lock(&inner.state);
            match state.life {
                Life::Open(_) => {
                    let (marker, written) = mpsc::channel();
                    state.markers.push(marker);
                    inner.wake(&mut state, true);
                    drop(state);
                    if written.recv().is_ok() {
                        return Ok(());
                    }
                    // There was no room for it, or it could not be written: that shows in the next turn.
                }
                _ if state.closed => return Err(LogError::Closed),
                // It is written no more, so the file can go.
                Life::Stopped => {
                    drop(state);
                    return inner.remove_file();
                }
                Life::Cold | Life::Opening => return Ok(()),
            }
        }
        let busy = std::io::ErrorKind::ResourceBusy.into();
        Err(LogError::io("empty", &inner.path, busy))
    }

    /// Ends the journal when nothing is being written; the file stays if `keep`, for the next start to replay.
    pub(crate) fn close(&self, keep: bool) -> Result<(), LogError> {
        let inner = &self.inner;
        {
            let mut state = lock(&inner.state);
            state.closed = true;
            let was_open = !matches!(
                std::mem::replace(&mut state.life, Life::Stopped),
                Life::Cold
            );
            state.markers.clear();
            inner.work.notify_all();
            let busy = |state: &mut State| state.has_thread || state.leading || state.checkpointing;
            let mut state = inner
                .done
                .wait_while(state, busy)
                .unwrap_or_else(PoisonError::into_inner);
            // They hold the engine, which holds this.
            state.dirty.clear();
            if !was_open {
                return Ok(());
            }
        }
        if keep { Ok(()) } else { inner.remove_file() }
    }
}

impl Inner {
    /// Has somebody take the queue who is not doing so anyway.
    fn wake(self: &Arc<Inner>, state: &mut State, now: bool) {
        if state.leading || (state.gathering > 0 && !now) {
            return;
        }
        if !state.has_thread {
            self.start_thread(state);
        } else if state.idle {
            state.idle = false;
            self.work.notify_one();
        }
    }

    fn start_thread(self: &Arc<Inner>, state: &mut State) {
        let inner = self.clone();
        let started = thread::Builder::new()
            .name("log-journal".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || inner.run());
        match started {
            Ok(_) => state.has_thread = true,
            Err(error) => {
                tracing::warn!(%error, "the journal's thread could not be started");
                self.give_up(state);
            }
        }
    }

    /// From now on each log syncs its own files.
    fn give_up(&self, state: &mut State) {
        state.life = Life::Stopped;
        state.markers.clear();
        for log in state.queue.drain(..) {
            self.pool.enqueue(log);
        }
    }

    fn run(self: Arc<Inner>) {
        self.open_if_wanted();
        while let Some(round) = self.next_round() {
            self.round(round);
        }
    }

    fn open_if_wanted(&self) {
        let state = lock(&self.state);
        if !matches!(state.life, Life::Opening) {
            return;
        }
        let bytes = state.ring.capacity();
        drop(state);
        let made = JournalFile::create(&self.disk, &self.dir, &self.path, &self.id, bytes);
        let mut state = lock(&self.state);
        match made {
            Ok(file) if matches!(state.life, Life::Opening) => {
                state.life = Life::Open(Arc::new(file));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "no journal could be made: commits sync their own files, which is as safe and slower");
                self.give_up(&mut state);
            }
        }
    }

    /// Waits for work. `None` ends the thread.
    fn next_round(self: &Arc<Inner>) -> Option<Round> {
        let mut state = lock(&self.state);
        let nothing =
            |state: &State| state.leading || (state.queue.is_empty() && state.markers.is_empty());
        let mut timed_out = false;
        while nothing(&state) && matches!(state.life, Life::Open(_)) && !timed_out {
            // Anew each time: whoever wakes us takes the mark away, and somebody else may have led the round meanwhile.
            state.idle = true;
            let (woken, timeout) = self
                .work
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle = false;
            timed_out = timeout.timed_out() && !state.leading;
        }
        let round = self.take_round(&mut state);
        if round.is_none() {
            if matches!(state.life, Life::Stopped) {
                self.give_up(&mut state);
            }
            state.buffer = None;
            state.has_thread = false;
            self.done.notify_all();
        }
        round
    }

    /// Takes what waits, unless somebody leads a round already.
    fn take_round(&self, state: &mut State) -> Option<Round> {
        let Life::Open(file) = &state.life else {
            return None;
        };
        if state.leading || (state.queue.is_empty() && state.markers.is_empty()) {
            return None;
        }
        let file = file.clone();
        let sequence = state.next_sequence;
        state.next_sequence += 1;
        state.in_flight = Some(sequence);
        state.leading = true;
        Some(Round {
            file,
            buffer: state.buffer.take().unwrap_or_else(|| Buffer::new(BLOCK)),
            logs: std::mem::take(&mut state.queue),
            markers: std::mem::take(&mut state.markers),
            sequence,
        })
    }

    fn round(self: &Arc<Inner>, round: Round) {
        let Round {
            file,
            mut buffer,
            logs,
            markers,
            sequence,
        } = round;
        let (parts, payload, later) = self.gather(&mut buffer, logs);
        let written = if parts.is_empty() && markers.is_empty() {
            self.skip(sequence);
            Ok(true)
        } else {
            self.write(&file, &mut buffer, &parts, payload, sequence)
        };
        let mut again = later;
        let cramped = matches!(written, Ok(false));
        match written {
            Ok(true) => {
                for marker in markers {
                    // Whoever gave up waiting does not mind.
                    let _ = marker.send(());
                }
                for part in parts {
                    if part.log.journaled(&part.to) {
                        again.push(part.log);
                    }
                }
            }
            Ok(false) => parts
                .into_iter()
                .for_each(|part| self.pool.enqueue(part.log)),
            Err(error) => {
                tracing::error!(%error, "the journal cannot be written any more: commits sync their own files from now on, which is as safe and slower. Check the disk");
                let mut state = lock(&self.state);
                state.queue.extend(parts.into_iter().map(|part| part.log));
                self.give_up(&mut state);
            }
        }
        self.finish_round(buffer, again, cramped);
    }

    fn finish_round(self: &Arc<Inner>, buffer: Buffer, again: Vec<Arc<LocalLog>>, cramped: bool) {
        let mut state = lock(&self.state);
        state.in_flight = None;
        state.leading = false;
        state.buffer = Some(buffer);
        state.queue.splice(0..0, again);
        self.done.notify_all();
        if matches!(state.life, Life::Stopped) {
            self.give_up(&mut state);
        } else if !state.queue.is_empty() || !state.markers.is_empty() {
            let has_markers = !state.markers.is_empty();
            self.wake(&mut state, has_markers);
        }
        let due = (cramped || state.ring.live_bytes() * 2 > state.ring.capacity())
            && !state.checkpointing
            && state.not_before.is_none_or(|then| Instant::now() >= then);
        if due {
            self.start_checkpoint(&mut state);
        }
    }

    /// Reads what the logs have gained into the buffer. Says which are in it, how many bytes, and which have to wait for
    /// the next round.
    fn gather(
        &self,
        buffer: &mut Buffer,
        logs: Vec<Arc<LocalLog>>,
    ) -> (Vec<Part>, usize, Vec<Arc<LocalLog>>) {
        let mut parts = Vec::with_capacity(logs.len());
        let mut later = Vec::new();
        let mut at = BLOCK_HEADER;
        let limit = BLOCK.min(usize::try_from(self.max_bytes / 2).unwrap_or(BLOCK));
        for log in logs {
            let to = match log.tail() {
                Tail::Bytes(to) if to.len() <= LARGE.min(limit as u64 / 2) => to,
                Tail::Nothing(to) => {
                    if log.journaled(&to) {
                        later.push(log);
                    }
                    continue;
                }
                Tail::Bytes(_) | Tail::Files => {
                    self.pool.enqueue(log);
                    continue;
                }
            };
            // At most LARGE.
            let len = to.len() as usize;
            if at + entry_size(&log.partition.topic, len) > limit {
                later.push(log);
                continue;
            }
            let out = &mut buffer.bytes()[at..];
            let base = to.segment.base;
            let id = *lock(&log.topic_id);
            let head = block::write_entry_head(out, &log.partition, id, base, to.from, len);
            let read = to
                .segment
                .file(&log.dir)
                .map(|file| file.read_exact_at(&mut out[head..head + len], to.from));
            match read {
                Ok(Ok(())) => {
                    at += head + len;
                    parts.push(Part { log, to });
                }
                // The sync of its own files will say what is the matter.
                _ => self.pool.enqueue(log),
            }
        }
        (parts, at - BLOCK_HEADER, later)
    }

    /// A round that wrote nothing: its sequence is given to the next.
    fn skip(&self, sequence: u64) {
        let mut state = lock(&self.state);
        debug_assert_eq!(state.next_sequence, sequence + 1);
        state.next_sequence = sequence;
    }

    /// Writes the block. False if there is no room for it.
    fn write(
        &self,
        file: &JournalFile,
        buffer: &mut Buffer,
        parts: &[Part],
        payload: usize,
        sequence: u64,
    ) -> Result<bool, LogError> {
        let size = block_size(payload);
        let (place, tail) = {
            let mut state = lock(&self.state);
            for part in parts {
                if !part.log.in_journal.swap(true, Ordering::AcqRel) {
                    state.dirty.push(part.log.clone());
                }
            }
            let tail = state.tail;
            (state.ring.place(sequence, size as u64), tail)
        };
        let Some(position) = place else {
            self.skip(sequence);
            return Ok(false);
        };
        let pages = &mut buffer.bytes()[..size];
        block::seal(pages, &self.id, sequence, tail, payload);
        file.write(&self.disk, position, pages)?;
        let mut state = lock(&self.state);
        state.durable_tail = tail;
        state.last_written = sequence;
        Ok(true)
    }

    fn start_checkpoint(self: &Arc<Inner>, state: &mut MutexGuard<'_, State>) {
        state.checkpointing = true;
        let inner = self.clone();
        let started = thread::Builder::new()
            .name("log-checkpoint".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                if let Err(error) = inner.run_checkpoint() {
                    tracing::warn!(%error, "the journal stays full: commits sync their own files until this log can be synced");
                }
            });
        if let Err(error) = started {
            state.checkpointing = false;
            tracing::warn!(%error, "a thread to empty the journal could not be started");
        }
    }

    /// Has everything that the journal holds now synced in the logs' own files.
    fn checkpoint(&self) -> Result<(), LogError> {
        let state = lock(&self.state);
        let mut state = self
            .done
            .wait_while(state, |state| state.checkpointing)
            .unwrap_or_else(PoisonError::into_inner);
        state.checkpointing = true;
        drop(state);
        self.run_checkpoint()
    }

    /// The caller has set `checkpointing`.
    fn run_checkpoint(&self) -> Result<(), LogError> {
        let grown = self.grow();
        let (until, dirty) = {
            let mut state = lock(&self.state);
            let until = state.in_flight.unwrap_or(state.next_sequence);
            let dirty = std::mem::take(&mut state.dirty);
            for log in &dirty {
                log.in_journal.store(false, Ordering::Release);
            }
            (until, dirty)
        };
        let failed = sync_all(dirty);
        let mut state = lock(&self.state);
        if let Some(capacity) = grown {
            state.ring.grow(capacity);
        }
        let outcome = match failed.first() {
            None => {
                state.tail = until;
                let last_written = state.last_written;
                state.ring.release(until.min(last_written));
                Ok(())
            }
            Some((_, error)) => {
                state.not_before = Some(Instant::now() + RETRY);
                Err(error.clone())
            }
        };
        for (log, _) in failed {
            if !log.in_journal.swap(true, Ordering::AcqRel) {
                state.dirty.push(log);
            }
        }
        state.checkpointing = false;
        self.done.notify_all();
        outcome
    }

    /// Doubles the file, as long as it may grow: it is used a lot.
    fn grow(&self) -> Option<u64> {
        let (file, from) = {
            let state = lock(&self.state);
            let Life::Open(file) = &state.life else {
                return None;
            };
            (file.clone(), state.ring.capacity())
        };
        let to = (2 * from).min(self.max_bytes);
        if to <= from {
            return None;
        }
        // A disk without room for a larger journal goes on with this one.
        file.extend(&self.disk, from, to).ok().map(|()| to)
    }

    fn remove_file(&self) -> Result<(), LogError> {
        remove(&self.disk, &self.dir)?;
        let mut state = lock(&self.state);
        state.tail = state.next_sequence;
        state.durable_tail = state.tail;
        let tail = state.tail;
        state.ring.release(tail);
        Ok(())
    }
}

/// Syncs the logs' own files, several at a time. Gives back those that could not be.
fn sync_all(logs: Vec<Arc<LocalLog>>) -> Vec<(Arc<LocalLog>, LogError)> {
    const THREADS: usize = 8;
    let failed = Mutex::new(Vec::new());
    let threads = THREADS.min(logs.len());
    let queue = Mutex::new(logs.into_iter());
    let work = || {
        loop {
            let Some(log) = lock(&queue).next() else {
                return;
            };
            if let Err(error) = log.sync_journaled() {
                lock(&failed).push((log, error));
            }
        }
    };
    if threads <= 2 {
        work();
    } else {
        thread::scope(|scope| {
            for _ in 1..threads {
                // Without it the others have more to do.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of the smallest journal that is of any use.
pub(crate) const SMALLEST: u64 = 4 * PAGE as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_entry_fits_a_block() {
        let largest = entry_size(&"t".repeat(249), LARGE as usize);
        assert!(BLOCK_HEADER + largest <= BLOCK);
    }
}
