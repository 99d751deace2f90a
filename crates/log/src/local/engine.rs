//! The engine `local`: a data directory, its lock, its checkpoints, and the logs in it.
//!
//! Invariant: one process has the directory. The mark of a clean stop is there only while nobody has it open and
//! everything in it is synced. Opening reads names, not logs.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak, mpsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use catchword_wire::Uuid;
use rustix::fs::{FlockOperation, fcntl_lock, flock};

use super::append::Stopped;
use super::cleaner::Cleaner;
use super::committer::Committer;
use super::disk::{Disk, DiskHook};
use super::journal::{self, JournalId, Replayed};
use super::log::LocalLog;
use super::maintain::Maintenance;
use super::segment::lock;
use super::{checkpoint, format, names, tidy};
use crate::api::{Engine, PartitionLog, StorageInfo, TopicPartition};
use crate::{CompactionPolicy, LatestValue, LogConfig, LogError};

/// Says how a topic, given by its name, is compacted.
pub type PolicyOfTopic = Arc<dyn Fn(&str) -> Arc<dyn CompactionPolicy> + Send + Sync>;

/// How a local engine runs.
#[derive(Clone)]
pub struct LocalOptions {
    /// The most threads that sync files. They are started when there is work for them.
    pub commit_threads: usize,
    /// The most that the journal may take, bytes: it makes all that waits durable with one write, and saves the files of
    /// each log a sync of their own. 0 is no journal.
    pub journal_bytes: u64,
    /// How often recovery points are written, ms: a restart after a crash checks what is newer.
    pub checkpoint_interval_ms: i64,
    /// `log.retention.check.interval.ms`: how often each log is looked at for records past their time.
    pub retention_check_interval_ms: i64,
    /// `log.initial.task.delay.ms`: how long after the start the first such look is.
    pub initial_task_delay_ms: i64,
    /// When more logs than this have their file open, idle ones are closed sooner.
    pub open_files: usize,
    /// The most memory for the keys of one compaction, bytes.
    pub compaction_memory_bytes: usize,
    /// How the logs of a topic are compacted.
    pub compaction_policy: PolicyOfTopic,
    /// Sees and may refuse each change to the disk: for tests.
    pub disk_hook: Option<Arc<dyn DiskHook>>,
}

impl Default for LocalOptions {
    fn default() -> LocalOptions {
        LocalOptions {
            commit_threads: 8,
            journal_bytes: 64 * 1024 * 1024,
            checkpoint_interval_ms: 60_000,
            retention_check_interval_ms: 0,
            initial_task_delay_ms: 0,
            open_files: 4096,
            compaction_memory_bytes: 128 * 1024 * 1024,
            compaction_policy: Arc::new(|_| Arc::new(LatestValue)),
            disk_hook: None,
        }
    }
}

/// What the logs of an engine share.
pub(crate) struct Core {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) committer: Committer,
    pub(crate) options: LocalOptions,
    /// Whether the last process to have the directory stopped cleanly.
    pub(crate) was_clean: bool,
    lock: Mutex<Option<File>>,
    closed: AtomicBool,
    clock_ms: AtomicI64,
    pub(crate) recovery_points: Mutex<BTreeMap<TopicPartition, i64>>,
    pub(crate) log_starts: Mutex<BTreeMap<TopicPartition, i64>>,
    pub(crate) cleaner_offsets: Mutex<BTreeMap<TopicPartition, i64>>,
    configs: Mutex<Vec<Weak<LogConfig>>>,
}

impl Core {
    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        self.clock_ms.fetch_max(now, Ordering::Relaxed);
        now
    }

    /// The time as it was when somebody last looked: good enough to tell busy logs from idle ones.
    pub(crate) fn coarse_now(&self) -> i64 {
        self.clock_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn recovery_point(&self, partition: &TopicPartition) -> Option<i64> {
        lock(&self.recovery_points).get(partition).copied()
    }

    pub(crate) fn log_start(&self, partition: &TopicPartition) -> Option<i64> {
        lock(&self.log_starts).get(partition).copied()
    }

    /// One copy of each configuration, however many partitions have it.
    pub(crate) fn shared_config(&self, config: LogConfig) -> Arc<LogConfig> {
        let mut configs = lock(&self.configs);
        configs.retain(|known| known.strong_count() > 0);
        if let Some(known) = configs
            .iter()
            .filter_map(Weak::upgrade)
            .find(|known| **known == config)
        {
            return known;
        }
        let config = Arc::new(config);
        configs.push(Arc::downgrade(&config));
        config
    }

    /// What a log that is loaded now is told about appends.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.closed
            .load(Ordering::Acquire)
            .then_some(Stopped::Closed)
    }

    pub(crate) fn store_offsets(
        &self,
        name: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), LogError> {
        self.disk.replace(
            &self.dir.join(name),
            checkpoint::write_offsets(offsets).as_bytes(),
        )?;
        self.disk.sync_dir(&self.dir)
    }
}

/// The engine `local`: logs in Kafka's own files in one directory.
pub struct LocalEngine {
    pub(crate) core: Arc<Core>,
    pub(crate) logs: RwLock<BTreeMap<TopicPartition, Arc<LocalLog>>>,
    /// One creation or deletion at a time.
    changing: Mutex<()>,
    /// Directories of deleted logs, still to be removed.
    pub(crate) removals: Mutex<VecDeque<PathBuf>>,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) cleaner: Mutex<Cleaner>,
}

impl LocalEngine {
    /// Opens the data directory, making it if it is not there.
    ///
    /// # Errors
    /// [`LogError::Locked`] if another broker has it; otherwise what the disk says.
    pub fn open(dir: &Path, options: LocalOptions) -> Result<LocalEngine, LogError> {
        let disk = Disk::new(options.disk_hook.clone());
        disk.create_dir(dir)?;
        let lock_file = acquire(dir)?;
        format::enter(&disk, dir)?;
        let marker = dir.join(names::CLEAN_SHUTDOWN);
        let was_clean = marker.exists();
        if was_clean {
            // Whoever had the directory last has closed it: a journal from before that is worth nothing. It goes before the
            // mark, else a crash in between would have it replayed.
            journal::remove(&disk, dir)?;
            // Before the first write, and durably: a crash from now on is a crash.
            disk.remove_file(&marker)?;
            disk.sync_dir(dir)?;
        } else {
            replay(&disk, dir)?;
        }
        let committer = Committer::new(
            &disk,
            dir,
            random_id()?,
            options.commit_threads,
            options.journal_bytes,
        );
        let core = Core {
            recovery_points: Mutex::new(read_offsets(dir, names::RECOVERY_POINTS)?),
            log_starts: Mutex::new(read_offsets(dir, names::LOG_STARTS)?),
            cleaner_offsets: Mutex::new(read_offsets(dir, names::CLEANER_OFFSETS)?),
            dir: dir.to_owned(),
            disk,
            committer,
            options,
            was_clean,
            lock: Mutex::new(Some(lock_file)),
            closed: AtomicBool::new(false),
            clock_ms: AtomicI64::new(0),
            configs: Mutex::default(),
        };
        core.now_ms();
        let engine = LocalEngine {
            core: Arc::new(core),
            logs: RwLock::default(),
            changing: Mutex::default(),
            removals: Mutex::default(),
            maintenance: Mutex::default(),
            cleaner: Mutex::default(),
        };
        engine.find_logs()?;
        Ok(engine)
    }

    fn find_logs(&self) -> Result<(), LogError> {
        let core = &self.core;
        let mut logs = BTreeMap::new();
        for name in tidy::list(&core.dir)? {
            let path = core.dir.join(&name);
            if name.ends_with(names::DELETE_DIR) {
                lock(&self.removals).push_back(path);
            } else if let Some(partition) = names::parse_directory(&name)
                && path.is_dir()
            {
                let topic_id = stored_topic_id(&path);
                let log = LocalLog::new(
                    partition.clone(),
                    topic_id,
                    &path,
                    core.clone(),
                    None,
                    false,
                );
                logs.insert(partition, log);
            }
        }
        *self.logs.write().unwrap_or_else(PoisonError::into_inner) = logs;
        Ok(())
    }

    pub(crate) fn log(&self, partition: &TopicPartition) -> Option<Arc<LocalLog>> {
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(partition)
            .cloned()
    }

    pub(crate) fn all_logs(&self) -> Vec<Arc<LocalLog>> {
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// An existing log, if it is the topic's.
    fn reopen(
        &self,
        log: Arc<LocalLog>,
        topic_id: Uuid,
        config: LogConfig,
    ) -> Result<Arc<dyn PartitionLog>, LogError> {
        {
            let mut found = lock(&log.topic_id);
            if found.is_zero() && !topic_id.is_zero() {
                // Its metadata were lost with the power, or are older than topic ids.
                self.store_topic_id(&log.dir, topic_id)?;
                let path = log.dir.join(names::PARTITION_METADATA);
                let file = File::open(&path).map_err(|error| LogError::io("open", &path, error))?;
                self.core.disk.sync(&file, &path)?;
                self.core.disk.sync_dir(&log.dir)?;
                *found = topic_id;
            } else if *found != topic_id {
                return Err(LogError::TopicIdMismatch {
                    partition: log.partition.clone(),
                    wanted: topic_id.to_string(),
                    found: found.to_string(),
                });
            }
        }
        log.set_config(config);
        Ok(log)
    }

    /// Writes the topic's id beside its log. It is synced together with the first records.
    fn store_topic_id(&self, dir: &Path, topic_id: Uuid) -> Result<(), LogError> {
        let path = dir.join(names::PARTITION_METADATA);
        let text = names::partition_metadata(topic_id);
        let disk = &self.core.disk;
        let file = disk.open(&path)?;
        disk.truncate(&file, &path, 0)?;
        disk.write_at(
            &file,
            &path,
            0,
            &mut [std::io::IoSlice::new(text.as_bytes())],
        )
    }

    fn refuse_if_closed(&self) -> Result<(), LogError> {
        match self.core.closed.load(Ordering::Acquire) {
            true => Err(LogError::Closed),
            false => Ok(()),
        }
    }

    /// Removes what checkpoints say of a deleted log: one of the same name must not inherit it.
    fn forget(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let core = &self.core;
        lock(&core.recovery_points).remove(partition);
        lock(&core.cleaner_offsets).remove(partition);
        let mut log_starts = lock(&core.log_starts);
        if log_starts.remove(partition).is_some() {
            core.store_offsets(names::LOG_STARTS, &log_starts)?;
        }
        Ok(())
    }
}

impl Engine for LocalEngine {
    fn partitions(&self) -> Vec<(TopicPartition, Uuid)> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.values()
            .map(|log| (log.partition.clone(), *lock(&log.topic_id)))
            .collect()
    }

    fn create(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        config: LogConfig,
    ) -> Result<Arc<dyn PartitionLog>, LogError> {
        self.refuse_if_closed()?;
        let _only_one = lock(&self.changing);
        if let Some(log) = self.log(partition) {
            return self.reopen(log, topic_id, config);
        }
        let dir = self.core.dir.join(partition.to_string());
        self.core.disk.create_dir(&dir)?;
        self.store_topic_id(&dir, topic_id)?;
        let core = self.core.clone();
        let log = LocalLog::new(partition.clone(), topic_id, &dir, core, Some(config), true);
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        logs.insert(partition.clone(), log.clone());
        Ok(log)
    }

    fn get(&self, partition: &TopicPartition) -> Option<Arc<dyn PartitionLog>> {
        self.log(partition).map(|log| log as Arc<dyn PartitionLog>)
    }

    fn delete(&self, partition: &TopicPartition) -> Result<(), LogError> {
        self.refuse_if_closed()?;
        let _only_one = lock(&self.changing);
        let Some(log) = self.log(partition) else {
            return Err(LogError::NotFound {
                partition: partition.clone(),
            });
        };
        let unique = self.core.now_ms() as u128;
        let to = self
            .core
            .dir
            .join(names::deleted_directory(partition, unique));
        log.mark_deleted();
        self.core.disk.rename(&log.dir, &to)?;
        self.core.disk.sync_dir(&self.core.dir)?;
        self.logs
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(partition);
        lock(&self.removals).push_back(to);
        self.forget(partition)
    }

    fn keep_house(&self, now_ms: i64) {
        super::maintain::step(self, now_ms);
    }

    fn compact(&self, now_ms: i64, bytes_per_second: f64) {
        super::cleaner::step(self, now_ms, bytes_per_second);
    }

    fn gather_flushes(&self) {
        self.core.committer.gather();
    }

    fn gathered(&self) -> (usize, bool) {
        self.core.committer.gathered()
    }

    fn end_gathering(&self, lead: bool) {
        self.core.committer.end_gathering(lead);
    }

    fn close(&self) -> Result<(), LogError> {
        if self.core.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let _only_one = lock(&self.changing);
        let mut outcome = Ok(());
        let mut note = |result: Result<(), LogError>| {
            if let Err(error) = result {
                tracing::error!(%error, "a log could not be closed; the next start recovers it");
                outcome = Err(error);
            }
        };
        let logs = self.all_logs();
        let (answers, answered) = mpsc::channel();
        for log in &logs {
            // A log that was never looked at is as the last process left it: recovered logs must be closed as such.
            if log.if_loaded().is_none() && (self.core.was_clean || log.created) {
                continue;
            }
            note(log.close(&answers));
        }
        drop(answers);
        answered.into_iter().for_each(note);
        let emptied = self.core.committer.close_journal(outcome.is_err());
        let saved = outcome.and(emptied).and_then(|()| self.mark_clean(&logs));
        *lock(&self.core.lock) = None;
        saved
    }

    fn describe(&self) -> StorageInfo {
        let space = rustix::fs::statvfs(&self.core.dir).ok();
        let bytes =
            |blocks: u64, size: u64| i64::try_from(blocks.saturating_mul(size)).unwrap_or(i64::MAX);
        StorageInfo {
            directory: self.core.dir.clone(),
            total_bytes: space
                .as_ref()
                .map_or(-1, |space| bytes(space.f_blocks, space.f_frsize)),
            usable_bytes: space.map_or(-1, |space| bytes(space.f_bavail, space.f_frsize)),
        }
    }
}

/// Without a close the directory is left as a crash leaves it, but it is left: nobody writes to it any more.
impl Drop for LocalEngine {
    fn drop(&mut self) {
        if !self.core.closed.swap(true, Ordering::AcqRel) {
            self.all_logs()
                .iter()
                .for_each(|log| log.stop(Stopped::Closed));
            // It only fails to remove what is to stay.
            let _ = self.core.committer.close_journal(true);
            self.core.committer.wait_until_idle();
            *lock(&self.core.lock) = None;
        }
    }
}

impl LocalEngine {
    /// Stores where each log ends, and that it all was closed in order.
    fn mark_clean(&self, logs: &[Arc<LocalLog>]) -> Result<(), LogError> {
        let core = &self.core;
        let mut points = lock(&core.recovery_points);
        for log in logs {
            if let Some(loaded) = log.if_loaded() {
                points.insert(
                    log.partition.clone(),
                    loaded.synced_end.load(Ordering::Acquire),
                );
            }
        }
        core.store_offsets(names::RECOVERY_POINTS, &points)?;
        core.store_offsets(names::CLEANER_OFFSETS, &lock(&core.cleaner_offsets))?;
        // What Kafka 4 writes when it does not know its epoch.
        core.disk.replace(
            &core.dir.join(names::CLEAN_SHUTDOWN),
            b"{\"version\":0,\"brokerEpoch\":-1}",
        )?;
        core.disk.sync_dir(&core.dir)
    }
}

/// Puts into the logs what a crash left in the journal.
fn replay(disk: &Disk, dir: &Path) -> Result<(), LogError> {
    let began = Instant::now();
    let Replayed { blocks, batches } = journal::replay(disk, dir)?;
    if blocks > 0 {
        tracing::info!(
            blocks,
            batches,
            ms = began.elapsed().as_millis(),
            "the journal was put into the logs"
        );
    }
    Ok(())
}

fn random_id() -> Result<JournalId, LogError> {
    let mut id = JournalId::default();
    let got = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty());
    match got {
        Ok(len) if len == id.len() => Ok(id),
        Ok(_) => Err(LogError::io(
            "read",
            Path::new("/dev/urandom"),
            std::io::ErrorKind::UnexpectedEof.into(),
        )),
        Err(error) => Err(LogError::io(
            "read",
            Path::new("/dev/urandom"),
            error.into(),
        )),
    }
}

/// Takes the directory for this process: by `flock` against brokers like this one, and by a record lock against Kafka.
pub(crate) fn acquire(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(names::LOCK);
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| LogError::io("open", &path, error))?;
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    let locked = flock(&file, exclusive).and_then(|()| fcntl_lock(&file, exclusive));
    match locked {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::ACCESS) => Err(LogError::Locked {
            path: dir.to_owned(),
        }),
        Err(error) => Err(LogError::io("lock", &path, error.into())),
    }
}

pub(crate) fn read_offsets(
    dir: &Path,
    name: &str,
) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => {
            checkpoint::read_offsets(&text).map_err(|detail| LogError::corrupt(&path, detail))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(LogError::io("read", &path, error)),
    }
}

/// The topic's id as the directory says it; zero if it does not.
pub(crate) fn stored_topic_id(dir: &Path) -> Uuid {
    let text = fs::read_to_string(dir.join(names::PARTITION_METADATA)).unwrap_or_default();
    names::parse_partition_metadata(&text).unwrap_or(Uuid::ZERO)
}
