//! Kafka's metadata directory: the newest snapshot that is whole, and the log behind it.

use std::path::{Path, PathBuf};

use catchword_log::{LogError, read_batch_file, read_stopped_log};

use crate::AdoptError;
use crate::metadata::KafkaMetadata;

/// Replays what is in the directory.
pub(crate) fn read_metadata(dir: &Path) -> Result<KafkaMetadata, AdoptError> {
    for (end, path) in snapshots(dir)? {
        let mut metadata = KafkaMetadata::default();
        match apply(&mut metadata, 0, |apply| read_batch_file(&path, apply)) {
            Ok(_) => {}
            // An older one and more of the log do as well, if they are there.
            Err(AdoptError::Log(LogError::Corrupt { .. })) => continue,
            Err(error) => return Err(error),
        }
        let first = apply(&mut metadata, end, |apply| read_stopped_log(dir, apply))?;
        return match first {
            Some(first) if first > end => Err(gap(first)),
            _ => Ok(metadata),
        };
    }
    let mut metadata = KafkaMetadata::default();
    match apply(&mut metadata, 0, |apply| read_stopped_log(dir, apply))? {
        Some(0) => Ok(metadata),
        Some(first) => Err(gap(first)),
        None => Err(AdoptError::Metadata(
            "it is empty; did this Kafka ever run?".into(),
        )),
    }
}

fn gap(first: i64) -> AdoptError {
    AdoptError::Metadata(format!(
        "the log begins at offset {first}, and there is no sound snapshot that goes so far. Start Kafka once and stop it again: it writes one"
    ))
}

/// Applies what `read` reads from the offset `from` on; returns the first offset that was there at all.
fn apply(
    metadata: &mut KafkaMetadata,
    from: i64,
    read: impl FnOnce(&mut dyn FnMut(&catchword_wire::batch::Batch)) -> Result<(), LogError>,
) -> Result<Option<i64>, AdoptError> {
    let (mut first, mut outcome) = (None, Ok(()));
    read(&mut |batch| {
        first.get_or_insert(batch.header.base_offset);
        if outcome.is_ok() && batch.header.last_offset() >= from {
            outcome = metadata.apply_batch(batch, from);
        }
    })?;
    outcome.map_err(AdoptError::Metadata)?;
    Ok(first)
}

/// The snapshots with the offset that each goes up to, the newest first.
fn snapshots(dir: &Path) -> Result<Vec<(i64, PathBuf)>, AdoptError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(AdoptError::io("list", dir))? {
        let entry = entry.map_err(AdoptError::io("list", dir))?;
        let name = entry.file_name().into_string().unwrap_or_default();
        // 00000000000000000000-0000000000.checkpoint: where it ends, and the epoch then.
        let end = name
            .strip_suffix(".checkpoint")
            .and_then(|name| name.split_once('-'))
            .and_then(|(end, _)| end.parse().ok());
        found.extend(end.map(|end| (end, entry.path())));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}
