//! Files beside a log that are somebody else's: `00000000000000000042.cw-NAME`, what NAME's owner knows of the log up to
//! offset 42.
//!
//! Invariant: a crash leaves the old file or the new one, or both, each whole; the new one is durable before the old one
//! goes. What they say is not known here, nor whether it still fits the log.

use std::fs;

use bytes::Bytes;

use super::log::LocalLog;
use super::{names, tidy};
use crate::LogError;
use crate::api::PartitionLog;

fn extension(name: &str) -> String {
    format!("{}{name}", names::SIDE_FILE)
}

pub(crate) fn put(log: &LocalLog, name: &str, offset: i64, content: &[u8]) -> Result<(), LogError> {
    // What speaks of a log that may not be what it seems is worth nothing.
    log.ready()?;
    let disk = &log.core.disk;
    let own = extension(name);
    disk.replace(&log.dir.join(names::file_name(offset, &own)), content)?;
    disk.sync_dir(&log.dir)?;
    let unfinished = format!("{own}.tmp");
    for file in tidy::list(&log.dir)? {
        let is_older = names::parse_file_name(&file).is_some_and(|(at, extension)| {
            extension == unfinished || (extension == own && at != offset)
        });
        if is_older {
            disk.remove_file(&log.dir.join(file))?;
        }
    }
    Ok(())
}

pub(crate) fn offsets(log: &LocalLog, name: &str) -> Result<Vec<i64>, LogError> {
    let own = extension(name);
    let files = tidy::list(&log.dir)?;
    let parsed = files
        .iter()
        .rev()
        .filter_map(|file| names::parse_file_name(file));
    Ok(parsed
        .filter(|(_, extension)| *extension == own)
        .map(|(offset, _)| offset)
        .collect())
}

pub(crate) fn read(log: &LocalLog, name: &str, offset: i64) -> Result<Bytes, LogError> {
    let path = log.dir.join(names::file_name(offset, &extension(name)));
    let content = fs::read(&path).map_err(|error| LogError::io("read", &path, error))?;
    Ok(content.into())
}
