//! Adopting a copy: Kafka's directory stays as it is.
//!
//! Invariant: the copy has its name only when it is whole. Files are copied, never linked, since a recovery cuts files in
//! place; file systems that can share blocks (btrfs, XFS) do so by themselves.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use catchword_broker::METADATA_DIR;

use crate::AdoptError;
use crate::disk::{list, parent, remove_dir, rename, replace, sync_dir, sync_tree, with_suffix};
use crate::survey::Survey;
use crate::switch::{BUILDING, Step, Watch, adopted_properties, before, write_catalog};

/// A file that says whose a half-made copy is.
const MARKER: &str = "adoption-in-progress";
/// Kafka's files that mean nothing here, or are written anew.
const NOT_COPIED: &[&str] = &[".lock", "meta.properties", "bootstrap.checkpoint"];

/// Adopts a copy of the directory that was surveyed. `to` must not exist, or be empty.
///
/// # Errors
/// [`AdoptError::Refused`] if something stands against it. Kafka's directory is never changed.
pub fn adopt_copy(survey: &Survey, to: &Path, watch: Watch<'_>) -> Result<(), AdoptError> {
    if !survey.is_adoptable() {
        return Err(AdoptError::Refused(survey.dir.clone()));
    }
    if to.exists() && !list(to)?.is_empty() {
        return Err(AdoptError::NotThis(format!(
            "{} is not empty; name a directory that does not exist yet",
            to.display()
        )));
    }
    let half = begin(to)?;
    enough_room(survey, &half)?;
    for dir in survey.directories.known.values() {
        before(watch, Step::Copy(dir.clone()))?;
        copy_dir(dir, &half)?;
    }
    for path in list(&survey.dir)? {
        let name = path.file_name().unwrap_or_default();
        if path.is_file() && !NOT_COPIED.iter().any(|not| name == *not) {
            copy_file(&path, &half.join(name))?;
        }
    }
    before(watch, Step::WriteCatalog)?;
    let building = half.join(BUILDING);
    write_catalog(survey, &building)?;
    rename(&building.join(METADATA_DIR), &half.join(METADATA_DIR))?;
    remove_dir(&building)?;
    let properties = survey.dir.join("meta.properties");
    let text = fs::read_to_string(&properties).map_err(AdoptError::io("read", &properties))?;
    replace(&half.join("meta.properties"), &adopted_properties(&text))?;
    sync_tree(&half)?;
    before(watch, Step::PlaceCatalog)?;
    let marker = half.join(MARKER);
    fs::remove_file(&marker).map_err(AdoptError::io("remove", &marker))?;
    sync_dir(&half)?;
    rename(&half, to)
}

/// An empty directory beside the one that is wanted; what an interrupted copy left there is removed.
fn begin(to: &Path) -> Result<PathBuf, AdoptError> {
    let half = with_suffix(&to.components().collect::<PathBuf>(), ".adopting");
    if half.exists() {
        if !half.join(MARKER).exists() && !list(&half)?.is_empty() {
            return Err(AdoptError::NotThis(format!(
                "{} is there, and no half-made copy: move it away, the copy is made under that name first",
                half.display()
            )));
        }
        remove_dir(&half)?;
    }
    fs::create_dir_all(&half).map_err(AdoptError::io("make", &half))?;
    replace(
        &half.join(MARKER),
        "catchword adopt copies a directory here; if it does not run any more, remove this\n",
    )?;
    sync_dir(parent(&half))?;
    Ok(half)
}

fn enough_room(survey: &Survey, half: &Path) -> Result<(), AdoptError> {
    let space =
        rustix::fs::statvfs(half).map_err(|error| AdoptError::io("examine", half)(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < survey.bytes {
        remove_dir(half)?;
        return Err(AdoptError::NotThis(format!(
            "{} has {free} bytes free, the records alone have {}: free some space, copy to another disk, or adopt the directory where it is (--yes)",
            parent(half).display(),
            survey.bytes
        )));
    }
    Ok(())
}

fn copy_dir(from: &Path, into: &Path) -> Result<(), AdoptError> {
    let to = into.join(from.file_name().unwrap_or_default());
    fs::create_dir(&to).map_err(AdoptError::io("make", &to))?;
    for file in list(from)?.iter().filter(|path| path.is_file()) {
        copy_file(file, &to.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), AdoptError> {
    let entry = match from.extension().and_then(|extension| extension.to_str()) {
        Some("index") => 8,
        Some("timeindex") => 12,
        _ => {
            fs::copy(from, to).map_err(AdoptError::io("copy", from))?;
            return Ok(());
        }
    };
    // While it runs Kafka keeps indexes at their full size, 10 MB, most of it zeros that were never written.
    let bytes = fs::read(from).map_err(AdoptError::io("read", from))?;
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let used = used.next_multiple_of(entry).min(bytes.len());
    File::create(to)
        .and_then(|mut file| file.write_all(&bytes[..used]))
        .map_err(AdoptError::io("write", to))
}
