//! Durability: who waits for what, and the sync that answers them.
//!
//! Invariant: `durable_end` moves only after everything below it was synced, the names of its files included. After a
//! failed sync nothing more is promised: the kernel may have dropped the pages, so a second sync that succeeds proves
//! nothing.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
    /// The log is in the committer's queue, or being synced.
    queued: bool,
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

    /// Calls `done` after a sync that begins from now on, of all that is written, names included.
    pub(crate) fn flush_all(&self, loaded: &Loaded, done: FlushCallback) {
        let end_offset = lock(&loaded.view).log_end;
        let mut sync = lock(&loaded.sync);
        if let Some(cause) = &sync.failed {
            let error = self.poisoned(cause);
            drop(sync);
            return done(Err(error));
        }
        sync.waiters.push((end_offset, done));
        let enqueue = !std::mem::replace(&mut sync.queued, true);
        drop(sync);
        if enqueue {
            self.core.committer.enqueue(self.arc());
        }
    }

    /// Has the log synced though nobody waits.
    pub(crate) fn enqueue_sync(&self, loaded: &Loaded) {
        let enqueue = {
            let mut sync = lock(&loaded.sync);
            sync.failed.is_none() && !std::mem::replace(&mut sync.queued, true)
        };
        if enqueue {
            self.core.committer.enqueue(self.arc());
        }
    }

    fn poisoned(&self, cause: &str) -> FlushError {
        let (partition, cause) = (self.partition.clone(), cause.to_owned());
        FlushError(LogError::Poisoned { partition, cause })
    }

    /// Syncs what is written now and answers who waited for it. True if somebody waits for more. Called by one thread at
    /// a time.
    pub(crate) fn sync_once(&self) -> bool {
        let Some(loaded) = self.if_loaded() else {
            return false;
        };
        // The end before the files: a segment that is closed meanwhile is then among the closed ones.
        let (end, active) = {
            let view = lock(&loaded.view);
            (view.log_end, view.active().clone())
        };
        let outcome = if self.is_deleted() {
            let partition = self.partition.clone();
            Err(Failure::Passing(LogError::NotFound { partition }))
        } else {
            self.sync_to(loaded, end, &active)
        };
        if let Err(Failure::Fatal(error)) = &outcome {
            self.stop_writing(loaded, error);
        }
        let mut sync = lock(&loaded.sync);
        let mut answers = std::mem::take(&mut sync.waiters);
        match &outcome {
            Ok(()) => {
                loaded.durable_end.fetch_max(end, Ordering::AcqRel);
                let (through, waiting) = answers.into_iter().partition(|(to, _)| *to <= end);
                answers = through;
                sync.waiters = waiting;
            }
            Err(Failure::Fatal(error)) => sync.failed = Some(error.to_string()),
            Err(Failure::Passing(_)) => {}
        }
        let more = !sync.waiters.is_empty();
        sync.queued = more;
        drop(sync);
        for (_, done) in answers {
            done(match &outcome {
                Ok(()) => Ok(()),
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
        if loaded.durable_end.load(Ordering::Acquire) >= end && !self.has_sync_work(loaded) {
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

    pub(crate) fn has_sync_work(&self, loaded: &Loaded) -> bool {
        let sync = lock(&loaded.sync);
        !sync.sealed.is_empty()
            || sync.names_changed
            || sync.directory_is_new
            || sync.epochs_changed
    }

    fn take_work(&self, loaded: &Loaded) -> Work {
        let (mut work, epochs_changed) = {
            let mut sync = lock(&loaded.sync);
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
