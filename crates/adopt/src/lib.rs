//! Moving in: the data directory of a stopped Apache Kafka (KRaft, one node) becomes one of ours.
//!
//! Partition logs, checkpoints and `__consumer_offsets` are Kafka's own files here as well and stay as they are. Only the
//! metadata log is written anew, and Kafka's is kept beside it. [`Survey::of`] looks and changes nothing; what it finds
//! that does not come along is named, and what makes moving in unsafe refuses it. [`adopt_in_place`] and [`adopt_copy`]
//! do it.
//!
//! Invariant: killed at any point, the directory is one that Kafka can open, or one whose adoption can be finished by
//! asking for it again, or one that is adopted; never one that either broker opens wrongly.

mod copy;
mod directories;
mod disk;
mod groups;
mod metadata;
mod remark;
mod settings;
mod source;
mod survey;
mod switch;
#[cfg(test)]
mod tests;

pub use copy::adopt_copy;
pub use remark::{Remark, Weight};
pub use survey::{State, Survey, SurveyedTopic};
pub use switch::{Step, Watch, adopt_in_place, finish_adoption};

use std::path::{Path, PathBuf};

use catchword_broker::CatalogError;
use catchword_log::LogError;

/// The version of Apache Kafka whose directories are known; what a later one writes is refused.
pub const KNOWN_KAFKA: &str = "4.3";

/// Why a directory is not adopted. Nothing of it was changed, unless the words say so.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is not what adopting is for.
    #[error("{0}")]
    NotThis(String),
    /// It was adopted before.
    #[error("{} is adopted already: `catchword serve --data {}` starts on it", .0.display(), .0.display())]
    Already(PathBuf),
    /// The survey found what makes it unsafe.
    #[error("{} cannot be adopted as it is", .0.display())]
    Refused(PathBuf),
    /// A log cannot be read, or a broker is running on it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The new catalog cannot be written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Kafka's metadata cannot be understood.
    #[error("Kafka's metadata cannot be read: {0}")]
    Metadata(String),
    /// The disk.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Whoever watches the steps wants no more of them.
    #[error("stopped")]
    Stopped,
}

impl AdoptError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AdoptError {
        let path = path.to_owned();
        move |source| AdoptError::Io { what, path, source }
    }
}
