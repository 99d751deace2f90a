//! What can be wrong with a configuration, said so that the reader can mend it.

use std::fmt;
use std::path::PathBuf;

use crate::key::Scope;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nobody knows this key.
    #[error("unknown {} key \"{name}\"{}", scope.word(), did_you_mean(nearest))]
    Unknown {
        /// The key as it was written.
        name: String,
        /// Where it was set.
        scope: Scope,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The value is not of the key's type or not within its bounds.
    #[error("{name}={value} does not do: {why}")]
    BadValue {
        /// The key.
        name: String,
        /// The value as it was written.
        value: String,
        /// What is allowed.
        why: String,
    },
    /// The value is beyond that of another key, which bounds it. What it must be is said as Kafka says it, since tools
    /// look for these words.
    #[error("{name} must be {relation} {bound}, which is {limit}; it would be {value}")]
    OutOfBounds {
        /// The key.
        name: &'static str,
        /// Its value.
        value: i64,
        /// What it must be to the bound.
        relation: Relation,
        /// The key that bounds it.
        bound: &'static str,
        /// That key's value.
        limit: i64,
    },
    /// Two values that do not go together.
    #[error("{first} and {second} do not go together: {why}")]
    Conflict {
        /// One key with its value.
        first: String,
        /// The other.
        second: String,
        /// What is wrong.
        why: String,
    },
    /// The key cannot be changed while the broker runs.
    #[error("{name} cannot be changed while the broker runs: set it where the broker is started")]
    ReadOnly {
        /// The key.
        name: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        why: String,
    },
    /// A file is not in its format.
    #[error("{}, line {line}: {why}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// An error, and where the value came from.
    #[error("{origin}: {error}")]
    At {
        /// The origin, in words.
        origin: String,
        /// The error.
        error: Box<ConfigError>,
    },
}

/// What a value must be to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    MoreThan,
}

impl Relation {
    /// Whether it holds between these two.
    pub fn holds(self, value: i64, limit: i64) -> bool {
        match self {
            Self::AtLeast => value >= limit,
            Self::AtMost => value <= limit,
            Self::MoreThan => value > limit,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeast => "greater than or equal to",
            Self::AtMost => "less than or equal to",
            Self::MoreThan => "greater than",
        })
    }
}

impl ConfigError {
    /// Adds where the value came from.
    pub(crate) fn at(self, origin: impl ToString) -> Self {
        Self::At {
            origin: origin.to_string(),
            error: Box::new(self),
        }
    }
}

fn did_you_mean(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => "; `catchword serve --keys` lists all".into(),
    }
}

/// Something the user should hear about that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Kafka has this key, we do not.
    #[error("{origin}: not used by Catchword: {name} ({why})")]
    NotUsed {
        /// Where it was set.
        origin: String,
        /// The key.
        name: String,
        /// Why it has no meaning here.
        why: &'static str,
    },
    /// Known and checked, but without effect.
    #[error("{origin}: {name} is accepted and changes nothing: {why}")]
    WithoutEffect {
        /// Where it was set.
        origin: String,
        /// The key.
        name: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Neither Kafka nor we know this key; in a properties file it may belong to a plugin.
    #[error("{origin}: unknown key \"{name}\" is ignored{}", nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default())]
    Unknown {
        /// Where it was set.
        origin: String,
        /// The key.
        name: String,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A listener of Kafka's controller was left out.
    #[error("listener {name} is left out: Catchword has no separate controller")]
    ControllerListener {
        /// The listener's name.
        name: String,
    },
}

/// The name most like `name`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace(['_', '-'], ".");
    known
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len().min(name.len()) / 4))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance over bytes (keys are ASCII).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        let known = ["num.partitions", "offsets.retention.minutes", "node.id"];
        let find = |name| nearest(name, known.into_iter());
        assert_eq!(find("num.partition"), Some("num.partitions"));
        assert_eq!(find("num_partitions"), Some("num.partitions"));
        assert_eq!(
            find("offset.retention.minutes"),
            Some("offsets.retention.minutes")
        );
        assert_eq!(find("colour.of.the.sky"), None);
    }
}
