//! Which version of Catchword's layout a data directory has: the file `catchword.format`.
//!
//! The logs themselves are Kafka's files, whose formats carry versions of their own. This number changes when a directory
//! could be harmed by a broker that does not know what a later one keeps beside them. Kafka does not look at the file.

use std::path::Path;

use super::disk::Disk;
use crate::LogError;

const FILE: &str = "catchword.format";
/// The layout that this version reads and writes.
const VERSION: u32 = 1;

/// Whether the directory says its layout; an error if it is not one that is known here.
pub(crate) fn check(dir: &Path) -> Result<bool, LogError> {
    let path = dir.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(LogError::io("read", &path, error)),
    };
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("version="))
        .and_then(|version| version.trim().parse::<u32>().ok());
    match version {
        Some(1..=VERSION) => Ok(true),
        Some(found) if found > VERSION => Err(LogError::NewerFormat {
            path: dir.to_owned(),
            found,
            known: VERSION,
        }),
        _ => Err(LogError::corrupt(
            &path,
            format!(
                "it should say version={VERSION}; if no newer version had the directory, remove the file"
            ),
        )),
    }
}

/// Checks the directory's layout, and notes it where nothing says it yet.
pub(crate) fn enter(disk: &Disk, dir: &Path) -> Result<(), LogError> {
    if check(dir)? {
        return Ok(());
    }
    disk.replace(&dir.join(FILE), format!("version={VERSION}\n").as_bytes())?;
    disk.sync_dir(dir)
}
