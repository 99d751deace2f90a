//! Durability: who waits for what, and the sync that answers them.
//!
//! Invariant: `durable_end` moves only after everything below it was synced, the names of its files included, or is in the
//! journal and was so before; `synced_end` moves only by syncs of the log's own files. After a failed sync nothing more is promised: the kernel may have dropped the pages, so a second sync that succeeds proves
//! nothing.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use super::append::Stopped;
use super::disk::{SYNC, SYNC_DIR};
use super::log::{Loaded, LocalLog};
use super::segment::{Segment, lock};
use super::{checkpoint, names};
use crate::api::FlushCallback;
use crate::{FlushError, LogError};

/// Who waits, and what besides the active segment is to be synced.
#[derive(Default)]
pub(crate) struct SyncState {
    waiters: Vec<(i64, FlushCallback)>,
    /// Those who wait for a sync of the log's own files.
    file_waiters: Vec<FlushCallback>,
    /// The log is in one of the committer's queues, or being made durable.
    queued: bool,
    /// What was to be synced is being synced.
    syncing: bool,
    /// The log's own files are to be synced, whatever the journal holds.
    files_wanted: bool,
    /// The segment, and its length, up to which everything is durable; `None` where that is not known.
    pub(crate) durable_at: Option<(u64, u64)>,
    /// Segments that were closed since the last sync.
    sealed: Vec<(Arc<Segment>, Arc<File>)>,
    /// Files were made in, or removed from, the log's directory.
    pub(crate) names_changed: bool,
    /// The directory itself is new.
    pub(crate) directory_is_new: bool,
    /// The leader epochs in memory are not those on disk.
    pub(crate) epochs_changed: bool,
    failed: Option<String>,
}

impl SyncState {
    pub(crate) fn add_sealed(&mut self, segment: Arc<Segment>, file: Arc<File>) {
        self.sealed.push((segment, file));
        self.names_changed = true;
    }

    fn has_unsynced_files(&self) -> bool {
        self.syncing
            || !self.sealed.is_empty()
            || self.names_changed
            || self.directory_is_new
            || self.epochs_changed
    }

    /// Whether the journal is not enough.
    fn has_file_work(&self) -> bool {
        self.files_wanted || self.failed.is_some() || self.has_unsynced_files()
    }
}

impl Loaded {
    /// The log's end, and the active segment with its length there.
    fn end(&self) -> (i64, Arc<Segment>, u64) {
        let view = lock(&self.view);
        (view.log_end, view.active().clone(), view.active_len)
    }
}

/// What the journal can do for a log.
pub(crate) enum Tail {
    /// Take these bytes.
    Bytes(TailOf),
    /// Nothing: all is durable already.
    Nothing(TailOf),
    /// Nothing: there is more to sync than bytes of the active segment.
    Files,
}

/// What a log has gained since it was last durable.
pub(crate) struct TailOf {
    /// The active segment.
    pub(crate) segment: Arc<Segment>,
    /// From where in its file.
    pub(crate) from: u64,
    upto: u64,
    log_end: i64,
}

impl TailOf {
    /// How many bytes.
    pub(crate) fn len(&self) -> u64 {
        self.upto - self.from
    }
}

/// What one sync has to do.
struct Work {
    sealed: Vec<(Arc<Segment>, Arc<File>)>,
    names_changed: bool,
    directory_is_new: bool,
    epochs: Option<Vec<(i32, i64)>>,
}

/// Why a sync did not succeed.
enum Failure {
    /// What is on disk is not known any more.
    Fatal(LogError),
    /// Nothing is wrong with what is on disk; it may be tried again.
    Passing(LogError),
}

impl LocalLog {
    pub(crate) fn flush(&self, loaded: &Loaded, end_offset: i64, done: FlushCallback) {
        let end_offset = end_offset.min(lock(&loaded.view).log_end);
        let mut sync = lock(&loaded.sync);
        if let Some(cause) = &sync.failed {
            let error = self.poisoned(cause);
            drop(sync);
            return done(Err(error));
        }
        if loaded.durable_end.load(Ordering::Acquire) >= end_offset {
            drop(sync);
            return done(Ok(()));
        }
        sync.waiters.push((end_offset, done));
        let enqueue = !std::mem::replace(&mut sync.queued, true);
        drop(sync);
        if enqueue {
            self.core.committer.enqueue(self.arc());
        }
    }

    /// Calls `done` after a sync, which begins from now on, of the log's own files with all that is written, names
    /// included.
    pub(crate) fn flush_all(&self, loaded: &Loaded, done: FlushCallback) {
        let mut sync = lock(&loaded.sync);
        if let Some(cause) = &sync.failed {
            let error = self.poisoned(cause);
            drop(sync);
            return done(Err(error));
        }
        sync.file_waiters.push(done);
        drop(sync);
        self.enqueue_sync(loaded);
    }

    /// Has the log's own files synced though nobody waits.
    pub(crate) fn enqueue_sync(&self, loaded: &Loaded) {
        let enqueue = {
            let mut sync = lock(&loaded.sync);
            sync.files_wanted |= sync.failed.is_none();
            sync.failed.is_none() && !std::mem::replace(&mut sync.queued, true)
        };
        if enqueue {
            self.core.committer.enqueue_files(self.arc());
        }
    }

    fn poisoned(&self, cause: &str) -> FlushError {
        let (partition, cause) = (self.partition.clone(), cause.to_owned());
        FlushError(LogError::Poisoned { partition, cause })
    }

    /// Syncs the log's own files as they are written now and answers who waited for it. True if somebody waits for more.
    /// Called by one thread at a time.
    pub(crate) fn sync_once(&self) -> bool {
        let Some(loaded) = self.if_loaded() else {
            return false;
        };
        let file_waiters = {
            let mut sync = lock(&loaded.sync);
            sync.files_wanted = false;
            std::mem::take(&mut sync.file_waiters)
        };
        // The end before the files: a segment that is closed meanwhile is then among the closed ones.
        let (end, active, len) = loaded.end();
        let only_one = lock(&loaded.file_sync);
        let failed = lock(&loaded.sync).failed.clone();
        let outcome = if self.is_deleted() {
            let partition = self.partition.clone();
            Err(Failure::Passing(LogError::NotFound { partition }))
        } else if let Some(cause) = failed {
            // While it waited for its turn, a sync of what the journal holds has failed: another would prove nothing.
            Err(Failure::Passing(self.poisoned(&cause).0))
        } else {
            self.sync_to(loaded, end, &active)
        };
        if let Err(Failure::Fatal(error)) = &outcome {
            self.stop_writing(loaded, error);
            lock(&loaded.sync).failed = Some(error.to_string());
        }
        drop(only_one);
        if outcome.is_ok() {
            loaded.synced_end.fetch_max(end, Ordering::AcqRel);
        }
        let outcome = outcome.map(|()| (end, (active.id, len)));
        self.answer_waiters(loaded, outcome, file_waiters)
    }

    /// What the journal is to take of the log.
    pub(crate) fn tail(&self) -> Tail {
        let Some(loaded) = self.if_loaded().filter(|_| !self.is_deleted()) else {
            return Tail::Files;
        };
        // The end before the work: a segment that is closed meanwhile is seen there.
        let (log_end, segment, upto) = loaded.end();
        let sync = lock(&loaded.sync);
        let from = match sync.durable_at {
            Some((id, from)) if id == segment.id && !sync.has_file_work() => from,
            _ => return Tail::Files,
        };
        let tail = TailOf {
            segment,
            from,
            upto,
            log_end,
        };
        if tail.len() == 0 {
            Tail::Nothing(tail)
        } else {
            Tail::Bytes(tail)
        }
    }

    /// The journal holds the log up to here: answers who waited for that. True if somebody waits for more.
    pub(crate) fn journaled(&self, to: &TailOf) -> bool {
        let Some(loaded) = self.if_loaded() else {
            return false;
        };
        let outcome = Ok((to.log_end, (to.segment.id, to.upto)));
        self.answer_waiters(loaded, outcome, Vec::new())
    }

    /// Syncs what the journal holds of the log, which is in the active segment or waits for a sync of all files.
    ///
    /// # Errors
    /// What kept the files from being synced; the journal has to keep what it holds.
    pub(crate) fn sync_journaled(&self) -> Result<(), LogError> {
        let Some(loaded) = self.if_loaded().filter(|_| !self.is_deleted()) else {
            return Ok(());
        };
        let (end, active, _) = loaded.end();
        let has_file_work = {
            let sync = lock(&loaded.sync);
            if let Some(cause) = &sync.failed {
                return Err(self.poisoned(cause).0);
            }
            sync.has_file_work()
        };
        if has_file_work {
            let (done, answer) = mpsc::channel();
            self.flush_all(
                loaded,
                Box::new(move |result| {
                    let _ = done.send(result);
                }),
            );
            let answer = answer.recv().unwrap_or(Err(FlushError(LogError::Closed)));
            return answer.or_else(|error| match self.is_deleted() {
                true => Ok(()),
                false => Err(error.0),
            });
        }
        let path = active.path(&self.dir);
        let file = active.file(&self.dir)?;
        let _only_one = lock(&loaded.file_sync);
        if let Some(cause) = &lock(&loaded.sync).failed {
            return Err(self.poisoned(cause).0);
        }
        if let Err(error) = self.core.disk.sync(&file, &path) {
            if self.is_deleted() {
                return Ok(());
            }
            self.stop_writing(loaded, &error);
            lock(&loaded.sync).failed = Some(error.to_string());
            return Err(error);
        }
        loaded.synced_end.fetch_max(end, Ordering::AcqRel);
        Ok(())
    }

    /// Notes how far the log is durable now, and answers those whose wait is over: with an error all of them.
    fn answer_waiters(
        &self,
        loaded: &Loaded,
        outcome: Result<(i64, (u64, u64)), Failure>,
        mut answers: Vec<FlushCallback>,
    ) -> bool {
        let mut sync = lock(&loaded.sync);
        match &outcome {
            Ok((end, at)) => {
                loaded.durable_end.fetch_max(*end, Ordering::AcqRel);
                sync.durable_at = Some(*at);
                let through = sync.waiters.extract_if(.., |(to, _)| *to <= *end);
                answers.extend(through.map(|(_, done)| done));
            }
            Err(_) => {
                answers.extend(sync.waiters.drain(..).map(|(_, done)| done));
                answers.append(&mut sync.file_waiters);
                sync.files_wanted = false;
            }
        }
        let more = !sync.waiters.is_empty() || sync.files_wanted;
        sync.syncing = false;
        sync.queued = more;
        drop(sync);
        for done in answers {
            done(match &outcome {
                Ok(_) => Ok(()),
                Err(failure) => Err(self.answer(failure)),
            });
        }
        more
    }

    /// After a failed sync the log is closed for writing; unless it was deleted, when it does not matter.
    fn stop_writing(&self, loaded: &Loaded, error: &LogError) {
        let mut writer = lock(&loaded.writer);
        if !matches!(writer.stopped, Some(Stopped::Deleted)) {
            tracing::error!(partition = %self.partition, %error,
                "a sync failed: what was written last may be lost. Check the disk, then restart the broker; it reads back what is really there");
            writer
                .stopped
                .get_or_insert(Stopped::Poisoned(error.to_string()));
        }
    }

    fn answer(&self, failure: &Failure) -> FlushError {
        match failure {
            Failure::Fatal(error) => self.poisoned(&error.to_string()),
            Failure::Passing(error) => FlushError(error.clone()),
        }
    }

    fn sync_to(&self, loaded: &Loaded, end: i64, active: &Segment) -> Result<(), Failure> {
        if loaded.synced_end.load(Ordering::Acquire) >= end && !self.has_sync_work(loaded) {
            return Ok(());
        }
        let work = self.take_work(loaded);
        let synced = self
            .sync_files(&work, active)
            .and_then(|()| self.store_epochs(&work))
            .and_then(|()| self.sync_names(&work));
        synced.map_err(|error| match &error {
            LogError::Io {
                operation: SYNC | SYNC_DIR,
                ..
            } => Failure::Fatal(error),
            // No room, no more files: what could not be done is done the next time.
            _ => {
                let mut sync = lock(&loaded.sync);
                sync.epochs_changed |= work.epochs.is_some();
                sync.names_changed |= work.names_changed;
                sync.directory_is_new |= work.directory_is_new;
                sync.sealed.splice(0..0, work.sealed);
                Failure::Passing(error)
            }
        })
    }

    fn sync_files(&self, work: &Work, active: &Segment) -> Result<(), LogError> {
        let disk = &self.core.disk;
        for (segment, file) in &work.sealed {
            disk.sync(file, &segment.path(&self.dir))?;
            for extension in [names::INDEX, names::TIME_INDEX] {
                let path = self.dir.join(names::file_name(segment.base, extension));
                if let Ok(file) = File::open(&path) {
                    disk.sync(&file, &path)?;
                }
            }
        }
        if active.len() > 0 {
            disk.sync(&*active.file(&self.dir)?, &active.path(&self.dir))?;
        }
        Ok(())
    }

    /// Stores the leader epochs if they have changed.
    fn store_epochs(&self, work: &Work) -> Result<(), LogError> {
        let Some(epochs) = &work.epochs else {
            return Ok(());
        };
        let text = checkpoint::write_epochs(epochs);
        self.core
            .disk
            .replace(&self.dir.join(names::LEADER_EPOCHS), text.as_bytes())
    }

    fn sync_names(&self, work: &Work) -> Result<(), LogError> {
        let disk = &self.core.disk;
        if work.directory_is_new {
            let path = self.dir.join(names::PARTITION_METADATA);
            // A directory older than topic ids has none.
            if let Ok(file) = File::open(&path) {
                disk.sync(&file, &path)?;
            }
        }
        if work.names_changed || work.epochs.is_some() || work.directory_is_new {
            disk.sync_dir(&self.dir)?;
        }
        if work.directory_is_new {
            disk.sync_dir(&self.core.dir)?;
        }
        Ok(())
    }

    /// Whether something besides the active segment's bytes is to be synced.
    pub(crate) fn has_sync_work(&self, loaded: &Loaded) -> bool {
        lock(&loaded.sync).has_unsynced_files()
    }

    fn take_work(&self, loaded: &Loaded) -> Work {
        let (mut work, epochs_changed) = {
            let mut sync = lock(&loaded.sync);
            sync.syncing = true;
            let work = Work {
                sealed: std::mem::take(&mut sync.sealed),
                names_changed: std::mem::take(&mut sync.names_changed),
                directory_is_new: std::mem::take(&mut sync.directory_is_new),
                epochs: None,
            };
            (work, std::mem::take(&mut sync.epochs_changed))
        };
        if epochs_changed {
            work.epochs = Some(lock(&loaded.writer).epochs.entries().to_vec());
        }
        work
    }
}
