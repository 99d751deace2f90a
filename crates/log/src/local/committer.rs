//! How logs are made durable: together in the journal, or each in its own files.

use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::journal::{self, Journal, JournalId};
use super::log::LocalLog;
use super::pool::Pool;
use crate::LogError;

/// Makes the logs of an engine durable.
pub(crate) struct Committer {
    pool: Pool,
    journal: Option<Journal>,
}

impl Committer {
    /// A committer with up to `threads` threads for files, and a journal of at most `journal_bytes`; a journal too small
    /// to be of use is none.
    pub(crate) fn new(
        disk: &Disk,
        dir: &Path,
        id: JournalId,
        threads: usize,
        journal_bytes: u64,
    ) -> Committer {
        let pool = Pool::new(threads);
        let useful = journal_bytes >= journal::SMALLEST;
        let journal = useful.then(|| {
            let dir = dir.to_owned();
            Journal::new(disk.clone(), dir, id, journal_bytes, pool.clone())
        });
        Committer { pool, journal }
    }

    /// Has the log made durable the cheapest way. The caller sees to it that it is in no queue.
    pub(crate) fn enqueue(&self, log: Arc<LocalLog>) {
        let refused = match &self.journal {
            Some(journal) => journal.offer(log).err(),
            None => Some(log),
        };
        if let Some(log) = refused {
            self.pool.enqueue(log);
        }
    }

    /// Has the log's own files synced. The caller sees to it that it is in no queue.
    pub(crate) fn enqueue_files(&self, log: Arc<LocalLog>) {
        self.pool.enqueue(log);
    }

    /// See [`Engine::gather_flushes`](crate::Engine::gather_flushes).
    pub(crate) fn gather(&self) {
        if let Some(journal) = &self.journal {
            journal.gather();
        }
    }

    /// See [`Engine::gathered`](crate::Engine::gathered).
    pub(crate) fn gathered(&self) -> (usize, bool) {
        self.journal.as_ref().map_or((0, false), Journal::gathered)
    }

    /// See [`Engine::end_gathering`](crate::Engine::end_gathering).
    pub(crate) fn end_gathering(&self, lead: bool) {
        if let Some(journal) = &self.journal {
            journal.end_gathering(lead);
        }
    }

    /// Before files that may have been written by way of the journal are replaced: see [`Journal::retire`].
    ///
    /// # Errors
    /// What kept the journal from being emptied; the files must stay then.
    pub(crate) fn retire_journal(&self) -> Result<(), LogError> {
        self.journal.as_ref().map_or(Ok(()), Journal::retire)
    }

    /// Ends the journal once all logs are closed. It is kept if some log could not be, for the next start to replay.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn close_journal(&self, keep: bool) -> Result<(), LogError> {
        self.journal
            .as_ref()
            .map_or(Ok(()), |journal| journal.close(keep))
    }

    /// Waits until nothing is being synced, and nothing waits to be.
    pub(crate) fn wait_until_idle(&self) {
        self.pool.wait_until_idle();
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.pool.stop();
    }
}
