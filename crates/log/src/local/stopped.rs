//! A data directory that nobody has open, read as it is: what another broker left, before it is taken over.
//!
//! Invariant: nothing is changed, but that an empty lock file is made where there is none. As long as the value lives no
//! broker, of Kafka's or of ours, can open the directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use catchword_wire::Uuid;
use catchword_wire::batch::Batch;

use super::engine::{acquire, read_offsets, stored_topic_id};
use super::recover::holds_whole_batch;
use super::segment::file_len;
use super::walk::{Walk, WalkError, read_batch};
use super::{names, tidy};
use crate::{LogError, TopicPartition};

/// A stopped data directory, locked.
#[derive(Debug)]
pub struct StoppedDir {
    dir: PathBuf,
    _lock: File,
}

/// A partition in a stopped directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedPartition {
    /// Topic and number, by the directory's name.
    pub partition: TopicPartition,
    /// The topic's id as `partition.metadata` says it; zero if it does not.
    pub topic_id: Uuid,
    /// The directory.
    pub dir: PathBuf,
}

/// A file of offsets by partition that brokers keep in a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// Up to where each log was on stable storage.
    RecoveryPoints,
    /// Where each log begins, if records were deleted.
    LogStarts,
    /// High watermarks; Kafka alone writes them.
    HighWatermarks,
}

impl StoppedDir {
    /// Takes the directory.
    ///
    /// # Errors
    /// [`LogError::Locked`] if a broker runs on it; otherwise what the disk says.
    pub fn open(dir: &Path) -> Result<StoppedDir, LogError> {
        tidy::list(dir)?;
        let lock = acquire(dir)?;
        Ok(StoppedDir {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Whether its broker was stopped in order. If not, whoever opens the directory checks what was written last.
    pub fn was_stopped_cleanly(&self) -> bool {
        self.dir.join(names::CLEAN_SHUTDOWN).exists()
    }

    /// The partitions, by name; and the names of directories that are none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn partitions(&self) -> Result<(Vec<StoppedPartition>, Vec<String>), LogError> {
        let (mut partitions, mut others) = (Vec::new(), Vec::new());
        for name in tidy::list(&self.dir)? {
            let dir = self.dir.join(&name);
            if !dir.is_dir() {
                continue;
            }
            match names::parse_directory(&name) {
                Some(partition) => partitions.push(StoppedPartition {
                    partition,
                    topic_id: stored_topic_id(&dir),
                    dir,
                }),
                None => others.push(name),
            }
        }
        Ok((partitions, others))
    }

    /// A file of offsets; empty if it is not there.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if it is no such file.
    pub fn checkpoint(&self, which: Checkpoint) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
        let name = match which {
            Checkpoint::RecoveryPoints => names::RECOVERY_POINTS,
            Checkpoint::LogStarts => names::LOG_STARTS,
            Checkpoint::HighWatermarks => "replication-offset-checkpoint",
        };
        read_offsets(&self.dir, name)
    }
}

/// Reads every batch of a partition's directory in offset order; each is checked against its CRC. A write that a crash
/// left unfinished at the end is passed over: it was never acknowledged.
///
/// # Errors
/// [`LogError::Corrupt`] at the first batch that is damaged and not at the end; otherwise what the disk says.
pub fn read_stopped_log(dir: &Path, on_batch: &mut dyn FnMut(&Batch)) -> Result<(), LogError> {
    let paths = segments(dir)?;
    for (at, path) in paths.iter().enumerate() {
        read(path, at + 1 == paths.len(), on_batch)?;
    }
    Ok(())
}

/// Reads every batch of one file.
///
/// # Errors
/// [`LogError::Corrupt`] if one of them is damaged or cut short; otherwise what the disk says.
pub fn read_batch_file(path: &Path, on_batch: &mut dyn FnMut(&Batch)) -> Result<(), LogError> {
    read(path, false, on_batch)
}

/// The oldest message format among the first batches of a partition's segments: 2 is today's, 0 and 1 are those of
/// brokers before 0.11. `None` if there are no records.
///
/// # Errors
/// What the disk says.
pub fn oldest_message_format(dir: &Path) -> Result<Option<u8>, LogError> {
    let mut oldest = None;
    for path in segments(dir)? {
        // The format's number stands at the same place in each of them.
        let mut magic = [0];
        if file_len(&path)? > 16 {
            File::open(&path)
                .and_then(|file| file.read_exact_at(&mut magic, 16))
                .map_err(|error| LogError::io("read", &path, error))?;
            oldest = Some(oldest.unwrap_or(u8::MAX).min(magic[0]));
        }
    }
    Ok(oldest)
}

/// Bytes of record batches in a partition's directory.
///
/// # Errors
/// What the disk says.
pub fn bytes_of_records(dir: &Path) -> Result<u64, LogError> {
    segments(dir)?.iter().map(|path| file_len(path)).sum()
}

fn segments(dir: &Path) -> Result<Vec<PathBuf>, LogError> {
    let names = tidy::list(dir)?;
    let logs = names
        .iter()
        .filter(|name| matches!(names::parse_file_name(name), Some((_, names::LOG))));
    Ok(logs.map(|name| dir.join(name)).collect())
}

fn read(path: &Path, may_be_torn: bool, on_batch: &mut dyn FnMut(&Batch)) -> Result<(), LogError> {
    let file = fs::File::open(path).map_err(|error| LogError::io("open", path, error))?;
    let len = file_len(path)?;
    let mut walk = Walk::new(&file, 0, len);
    let (mut position, mut next) = (0, 0);
    loop {
        let batch = match walk.step() {
            Ok(None) => return Ok(()),
            Ok(Some(located)) => read_batch(&file, &located).and_then(|batch| {
                batch
                    .verify_crc()
                    .map_err(|error| WalkError::NotABatch { position, error })?;
                Ok((located, batch))
            }),
            Err(error) => Err(error),
        };
        match batch {
            Ok((located, batch)) => {
                on_batch(&batch);
                position = located.end();
                next = located.header.next_offset();
            }
            Err(WalkError::Io(error)) => return Err(LogError::io("read", path, error)),
            Err(_) if may_be_torn && !holds_whole_batch(&file, position + 1, len, next) => {
                return Ok(());
            }
            Err(error) => return Err(LogError::corrupt(path, error.to_string())),
        }
    }
}
