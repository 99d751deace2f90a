//! Changes to the disk, each durable when it returns.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::AdoptError;

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), AdoptError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(AdoptError::io("sync", dir))
}

/// Gives a file or directory another name, durable where it arrives.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), AdoptError> {
    fs::rename(from, to).map_err(AdoptError::io("rename", from))?;
    sync_dir(parent(to))
}

/// Replaces the file: after a crash it is the old one or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), AdoptError> {
    let temporary = with_suffix(path, ".tmp");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(AdoptError::io("write", &temporary))?;
    rename(&temporary, path)
}

/// Removes a directory with all that is in it; one that is not there is fine.
pub(crate) fn remove_dir(dir: &Path) -> Result<(), AdoptError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AdoptError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a directory, and all that is in it, durable.
pub(crate) fn sync_tree(dir: &Path) -> Result<(), AdoptError> {
    for entry in list(dir)? {
        if entry.is_dir() {
            sync_tree(&entry)?;
        } else {
            File::open(&entry)
                .and_then(|file| file.sync_all())
                .map_err(AdoptError::io("sync", &entry))?;
        }
    }
    sync_dir(dir)
}

/// What is in a directory, in order.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, AdoptError> {
    let listed = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>, std::io::Error>>()
    });
    let mut paths = listed.map_err(AdoptError::io("list", dir))?;
    paths.sort_unstable();
    Ok(paths)
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
