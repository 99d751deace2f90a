//! After a crash: what the journal holds goes into the logs' own files.
//!
//! Invariant: a whole batch that somebody else wrote meanwhile stays, and replaying twice does what replaying once does. The journal is removed when everything from it is synced.

use std::collections::HashMap;
use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use catchword_wire::Uuid;
use catchword_wire::batch::{Batch, BatchHeader, split};

use super::super::disk::Disk;
use super::super::names;
use super::block::{
    self, BlockHeader, Entry, JournalId, NoJournal, PAGE, entries, parse_file_header, parse_header,
};
use crate::LogError;

/// A block that was found, and where.
#[derive(Debug, Clone, Copy)]
struct Found {
    position: u64,
    header: BlockHeader,
}

/// What a replay did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Blocks that were still needed.
    pub(crate) blocks: usize,
    /// Batches that were written.
    pub(crate) batches: usize,
}

/// Puts what the directory's journal holds into the logs' files, and removes it.
///
/// # Errors
/// [`LogError::Corrupt`] if a newer program wrote the journal; otherwise what the disk says. The journal is still there.
pub(crate) fn replay(disk: &Disk, dir: &Path) -> Result<Replayed, LogError> {
    let path = dir.join(names::JOURNAL);
    let Some((file, id)) = open(&path)? else {
        return Ok(Replayed::default());
    };
    let found = scan(&file, &id).map_err(|error| LogError::io("read", &path, error))?;
    let blocks = needed(found, &path);
    let mut files = Files::new(disk, dir);
    let mut replayed = Replayed::default();
    for found in blocks {
        let block =
            read_block(&file, &found).map_err(|error| LogError::io("read", &path, error))?;
        for entry in entries(&block, &found.header) {
            replayed.batches += files.apply(&entry)?;
        }
        replayed.blocks += 1;
    }
    files.sync()?;
    remove(disk, dir)?;
    Ok(replayed)
}

/// Removes the directory's journal, if it has one, durably.
pub(crate) fn remove(disk: &Disk, dir: &Path) -> Result<(), LogError> {
    let path = dir.join(names::JOURNAL);
    if path.exists() {
        disk.remove_file(&path)?;
        disk.sync_dir(dir)?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Option<(File, JournalId)>, LogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("open", path, error)),
    };
    let mut page = [0; PAGE];
    // A file that is shorter was never finished, so nothing was ever promised by it.
    let header = match file.read_exact_at(&mut page, 0) {
        Ok(()) => parse_file_header(&page),
        Err(_) => Err(NoJournal::Unfinished),
    };
    match header {
        Ok(id) => Ok(Some((file, id))),
        // No id fits: nothing is found, and the file is removed.
        Err(NoJournal::Unfinished) => Ok(Some((file, [0; 16]))),
        Err(NoJournal::Newer(version)) => Err(LogError::corrupt(
            path,
            format!(
                "it is a journal of version {version}, which a newer Catchword wrote: start that one on this directory, and stop it with SIGTERM, before you go back to this one"
            ),
        )),
    }
}

/// All whole blocks of the journal.
fn scan(file: &File, id: &JournalId) -> std::io::Result<Vec<Found>> {
    let len = file.metadata()?.len();
    let mut found = Vec::new();
    let mut position = PAGE as u64;
    while position < len {
        let mut first = [0; block::BLOCK_HEADER];
        file.read_exact_at(&mut first, position)?;
        let header =
            parse_header(&first, id).filter(|header| position + header.size() as u64 <= len);
        let whole = match header {
            Some(header) => {
                let block = read_block(file, &Found { position, header })?;
                block::is_whole(&block, &header).then_some(header)
            }
            None => None,
        };
        match whole {
            Some(header) => {
                found.push(Found { position, header });
                position += header.size() as u64;
            }
            None => position += PAGE as u64,
        }
    }
    Ok(found)
}

fn read_block(file: &File, found: &Found) -> std::io::Result<Vec<u8>> {
    let mut block = vec![0; found.header.size()];
    file.read_exact_at(&mut block, found.position)?;
    Ok(block)
}

/// The blocks from the tail on, oldest first.
fn needed(mut found: Vec<Found>, path: &Path) -> Vec<Found> {
    found.sort_by_key(|found| found.header.sequence);
    let tail = found.last().map_or(0, |newest| newest.header.tail);
    found.retain(|found| found.header.sequence >= tail);
    let holes = found
        .windows(2)
        .filter(|pair| pair[1].header.sequence != pair[0].header.sequence + 1)
        .count();
    if holes > 0 {
        // The oldest may be written over when their logs were synced just before the crash; those between may not.
        tracing::error!(path = %path.display(), holes,
            "the journal has lost blocks: what they held is missing if it is not in the logs' own files. Check the disk");
    }
    found
}

/// The segment files that are written to.
struct Files<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    topic_ids: HashMap<PathBuf, Uuid>,
    /// Whether something was written to each, which is `None` if it is not there.
    open: HashMap<PathBuf, Option<File>>,
}

impl<'a> Files<'a> {
    fn new(disk: &'a Disk, dir: &'a Path) -> Files<'a> {
        Files {
            disk,
            dir,
            topic_ids: HashMap::new(),
            open: HashMap::new(),
        }
    }

    /// Writes what of the entry is not there. Returns the number of batches written.
    fn apply(&mut self, entry: &Entry<'_>) -> Result<usize, LogError> {
        let dir = self.dir.join(entry.partition.to_string());
        let topic_id = *self
            .topic_ids
            .entry(dir.clone())
            .or_insert_with(|| super::super::engine::stored_topic_id(&dir));
        // A topic of the same name that came later, or a segment that has been deleted: names were durable before the
        // journal took anything for them.
        if topic_id != entry.topic_id {
            return Ok(0);
        }
        let path = dir.join(names::file_name(entry.base, names::LOG));
        let file = match self.open.entry(path.clone()) {
            std::collections::hash_map::Entry::Occupied(slot) => slot.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let file = match path.exists() {
                    true => Some(self.disk.open(&path)?),
                    false => None,
                };
                slot.insert(file)
            }
        };
        let Some(file) = file else { return Ok(0) };
        let mut position = entry.position;
        let mut written = 0;
        for batch in split(Bytes::copy_from_slice(entry.data)) {
            let Ok(batch) = batch else { break };
            if !is_anothers(file, position, &batch) {
                let slices = &mut [IoSlice::new(&batch.bytes)];
                self.disk.write_at(file, &path, position, slices)?;
                written += 1;
            }
            position += batch.bytes.len() as u64;
        }
        Ok(written)
    }

    fn sync(self) -> Result<(), LogError> {
        for (path, file) in &self.open {
            if let Some(file) = file {
                self.disk.sync(file, path)?;
            }
        }
        Ok(())
    }
}

/// Whether the file has another whole batch of the same offset at this place. The same one is written again: what a read
/// shows may be in memory alone, if the sync of it failed.
fn is_anothers(file: &File, position: u64, batch: &Batch) -> bool {
    let mut header = [0; catchword_wire::batch::HEADER_LEN];
    if file.read_exact_at(&mut header, position).is_err() {
        return false;
    }
    let Ok(header) = BatchHeader::parse(&header) else {
        return false;
    };
    let end = position + header.size_in_bytes() as u64;
    let fits = file.metadata().is_ok_and(|metadata| end <= metadata.len());
    if !fits || header.base_offset != batch.header.base_offset {
        return false;
    }
    let mut bytes = vec![0; header.size_in_bytes()];
    if file.read_exact_at(&mut bytes, position).is_err() {
        return false;
    }
    Batch::parse(&Bytes::from(bytes))
        .is_ok_and(|found| found.verify_crc().is_ok() && found.bytes != batch.bytes)
}
