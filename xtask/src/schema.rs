//! Kafka's message schemas as they stand in its jars: JSON with `//` comments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A range of versions, both ends included; empty if `first > last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl Versions {
    pub(crate) const NONE: Versions = Versions { first: 1, last: 0 };

    fn parse(text: &str) -> Versions {
        if text == "none" {
            return Versions::NONE;
        }
        let number = |t: &str| {
            t.parse::<i16>()
                .unwrap_or_else(|_| panic!("versions {text:?}"))
        };
        if let Some(first) = text.strip_suffix('+') {
            Versions {
                first: number(first),
                last: i16::MAX,
            }
        } else if let Some((first, last)) = text.split_once('-') {
            Versions {
                first: number(first),
                last: number(last),
            }
        } else {
            Versions {
                first: number(text),
                last: number(text),
            }
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub(crate) fn and(self, other: Versions) -> Versions {
        Versions {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Versions, D::Error> {
        Ok(Versions::parse(&String::deserialize(from)?))
    }
}

fn no_versions() -> Versions {
    Versions::NONE
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Schema {
    #[serde(default)]
    pub(crate) api_key: Option<i16>,
    pub(crate) name: String,
    pub(crate) valid_versions: Versions,
    #[serde(default = "no_versions")]
    pub(crate) flexible_versions: Versions,
    #[serde(default)]
    pub(crate) latest_version_unstable: bool,
    #[serde(default)]
    pub(crate) fields: Vec<Field>,
    #[serde(default)]
    pub(crate) common_structs: Vec<CommonStruct>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CommonStruct {
    pub(crate) name: String,
    pub(crate) versions: Versions,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) versions: Option<Versions>,
    #[serde(default = "no_versions")]
    pub(crate) nullable_versions: Versions,
    #[serde(default)]
    pub(crate) flexible_versions: Option<Versions>,
    #[serde(default)]
    pub(crate) tagged_versions: Option<Versions>,
    #[serde(default)]
    pub(crate) tag: Option<u32>,
    #[serde(default)]
    pub(crate) default: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) fields: Vec<Field>,
}

impl Field {
    pub(crate) fn versions(&self) -> Versions {
        self.versions
            .or(self.tagged_versions)
            .unwrap_or(Versions::NONE)
    }
}

/// Why there is no schema to generate from.
#[derive(Debug)]
pub(crate) enum SchemaError {
    /// A folder or file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// A file that is named like a message is no schema.
    Malformed(PathBuf, serde_json::Error),
    /// No file below the folder is named like these messages.
    Missing(PathBuf, Vec<String>),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::Malformed(path, why) => write!(f, "{} is no schema: {why}", path.display()),
            Self::Missing(dir, names) => write!(
                f,
                "no schema below {} for {}; unpack common/message of the jar that has it (kafka-clients, \
                 kafka-group-coordinator, ...) there, or give a source tree of Kafka",
                dir.display(),
                names.join(", ")
            ),
        }
    }
}

impl std::error::Error for SchemaError {}

/// Reads the schemas of these names below `dir`. Each stands in a file that is named like it; all other files are passed
/// over, since a source tree of Kafka has more that is JSON, and messages of Kafka's own with more than line comments.
pub(crate) fn read(
    dir: &Path,
    wanted: &BTreeSet<String>,
) -> Result<BTreeMap<String, Schema>, SchemaError> {
    let mut schemas = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let unreadable = |why| SchemaError::Unreadable(dir.clone(), why);
        for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_json = path.extension().is_some_and(|e| e == "json");
            let name = path.file_stem().and_then(|stem| stem.to_str());
            if path.is_dir() {
                dirs.push(path);
            } else if is_json && name.is_some_and(|name| wanted.contains(name)) {
                let schema = read_one(&path)?;
                schemas.insert(schema.name.clone(), schema);
            }
        }
    }
    let missing = wanted.iter().filter(|name| !schemas.contains_key(*name));
    let missing: Vec<String> = missing.cloned().collect();
    match missing.is_empty() {
        true => Ok(schemas),
        false => Err(SchemaError::Missing(dir.to_owned(), missing)),
    }
}

fn read_one(path: &Path) -> Result<Schema, SchemaError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|why| SchemaError::Unreadable(path.to_owned(), why))?;
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let bare: Vec<&str> = text.lines().filter(|line| !is_comment(line)).collect();
    let schema = serde_json::from_str(&bare.join("\n"));
    schema.map_err(|why| SchemaError::Malformed(path.to_owned(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder like a source tree: two schemas, and what else such a tree has that is JSON.
    fn tree(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let messages = dir.join("clients/src/main/resources/common/message");
        std::fs::create_dir_all(&messages).unwrap();
        let write = |name: &str, text: &str| std::fs::write(messages.join(name), text).unwrap();
        let schema = "// A comment.\n{\"name\": \"Ours\", \"validVersions\": \"0-1\"}";
        write("Ours.json", schema);
        write(
            "Other.json",
            "/*** what we do not read ***/ {\"name\": \"Other\"}",
        );
        write("package.json", "{\"private\": true}");
        dir
    }

    fn read_these(dir: &Path, names: &[&str]) -> Result<BTreeMap<String, Schema>, SchemaError> {
        read(dir, &names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn what_is_no_message_of_ours_is_passed_over() {
        let dir = tree("passed-over");
        let schemas = read_these(&dir, &["Ours"]).unwrap();
        assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Ours"]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_missing_or_no_schema_is_named() {
        let dir = tree("missing");
        let missing = read_these(&dir, &["Ours", "Theirs"]).unwrap_err();
        assert!(missing.to_string().contains("for Theirs;"), "{missing}");
        let malformed = read_these(&dir, &["Other"]).unwrap_err();
        let said = malformed.to_string();
        assert!(said.contains("Other.json is no schema: "), "{said}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
