//! Adopting a directory where it is.
//!
//! The order makes it safe to be killed anywhere. Up to the replaced `meta.properties` the directory is Kafka's, and what
//! was made in it has names that Kafka passes over. From there on Kafka refuses it (an unknown version), and so does
//! `catchword serve` until the last rename; asking again finishes it.

use std::path::{Path, PathBuf};

use catchword_broker::{ADOPTED_VERSION, METADATA_DIR, QUORUM_STATE, import_catalog};
use catchword_log::{Engine, LocalEngine, LocalOptions, StoppedDir};

use crate::AdoptError;
use crate::disk::{remove_dir, rename, replace, sync_tree, with_suffix};
use crate::survey::{State, Survey};

/// Kafka's metadata directory, once it is set aside.
pub(crate) const KEPT_METADATA: &str = "__cluster_metadata-0.kafka";
/// Kafka's `meta.properties`, once it is replaced.
const KEPT_PROPERTIES: &str = "meta.properties.kafka";
/// Where the new catalog is made. Kafka passes over directories of its metadata topic; ours removes what ends so.
pub(crate) const BUILDING: &str = "__cluster_metadata-0.adopting-delete";

/// A step that is about to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The directory of a deleted topic gets another name.
    SetAside(PathBuf),
    /// A partition is copied.
    Copy(PathBuf),
    /// The new catalog is written.
    WriteCatalog,
    /// Kafka's `meta.properties` is copied to a file beside it.
    KeepProperties,
    /// `meta.properties` is replaced: from here on the directory is not Kafka's any more.
    TakeOver,
    /// Kafka's metadata get another name.
    KeepMetadata,
    /// The new catalog takes their place.
    PlaceCatalog,
    /// What is not needed any more is removed.
    TidyUp,
}

/// Told of each step before it is taken; false stops there.
pub type Watch<'a> = &'a mut dyn FnMut(&Step) -> bool;

pub(crate) fn before(watch: Watch<'_>, step: Step) -> Result<(), AdoptError> {
    match watch(&step) {
        true => Ok(()),
        false => Err(AdoptError::Stopped),
    }
}

/// Adopts the directory that was surveyed.
///
/// # Errors
/// [`AdoptError::Refused`] if something stands against it; then, and up to [`Step::TakeOver`], Kafka can still open it.
pub fn adopt_in_place(survey: Survey, watch: Watch<'_>) -> Result<(), AdoptError> {
    if !survey.is_adoptable() {
        return Err(AdoptError::Refused(survey.dir));
    }
    let dir = &survey.dir;
    for stray in &survey.directories.strays {
        before(watch, Step::SetAside(stray.clone()))?;
        // The form in which Kafka names them.
        let unique = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        rename(
            stray,
            &with_suffix(stray, &format!(".{:032x}-stray", unique.as_nanos())),
        )?;
    }
    before(watch, Step::WriteCatalog)?;
    write_catalog(&survey, &dir.join(BUILDING))?;
    before(watch, Step::KeepProperties)?;
    let properties = dir.join("meta.properties");
    let text = std::fs::read_to_string(&properties).map_err(AdoptError::io("read", &properties))?;
    replace(&dir.join(KEPT_PROPERTIES), &text)?;
    before(watch, Step::TakeOver)?;
    replace(&properties, &adopted_properties(&text))?;
    finish(dir, watch)
}

/// Finishes an adoption that was interrupted.
///
/// # Errors
/// [`AdoptError::NotThis`] if there is none to finish.
pub fn finish_adoption(dir: &Path, watch: Watch<'_>) -> Result<(), AdoptError> {
    let _locked = StoppedDir::open(dir)?;
    match State::of(dir)? {
        State::Interrupted => finish(dir, watch),
        State::Ours => Err(AdoptError::Already(dir.to_owned())),
        State::Kafkas => Err(AdoptError::NotThis(format!(
            "{} is Kafka's, no adoption of it was begun",
            dir.display()
        ))),
    }
}

fn finish(dir: &Path, watch: Watch<'_>) -> Result<(), AdoptError> {
    let metadata = dir.join(METADATA_DIR);
    let building = dir.join(BUILDING);
    if metadata.join(QUORUM_STATE).exists() {
        before(watch, Step::KeepMetadata)?;
        rename(&metadata, &dir.join(KEPT_METADATA))?;
    }
    if !metadata.exists() {
        before(watch, Step::PlaceCatalog)?;
        rename(&building.join(METADATA_DIR), &metadata)?;
    }
    before(watch, Step::TidyUp)?;
    remove_dir(&building)
}

/// Makes a directory with the new catalog in it.
pub(crate) fn write_catalog(survey: &Survey, building: &Path) -> Result<(), AdoptError> {
    remove_dir(building)?;
    let engine = LocalEngine::open(building, LocalOptions::default())?;
    import_catalog(&engine, &survey.import)?;
    engine.close()?;
    sync_tree(building)?;
    crate::disk::sync_dir(crate::disk::parent(building))
}

/// The file with a version that Kafka does not know, so that it does not start on our metadata.
pub(crate) fn adopted_properties(kafkas: &str) -> String {
    let lines = kafkas
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim_start().starts_with("version"));
    let mut text = format!(
        "# Catchword has adopted this directory: Apache Kafka refuses the version. The way back: docs/adopt.md.\nversion={ADOPTED_VERSION}\n"
    );
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}
