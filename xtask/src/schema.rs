//! Kafka's message schemas as they stand in its jars: JSON with `//` comments.

use std::collections::BTreeMap;
use std::path::Path;

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

/// Reads every schema below `dir`, by name.
pub(crate) fn read_all(dir: &Path) -> BTreeMap<String, Schema> {
    let mut schemas = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                let text = std::fs::read_to_string(&path).expect("a readable schema");
                let bare: Vec<&str> = text
                    .lines()
                    .filter(|l| !l.trim_start().starts_with("//"))
                    .collect();
                let schema: Schema = serde_json::from_str(&bare.join("\n"))
                    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                schemas.insert(schema.name.clone(), schema);
            }
        }
    }
    schemas
}
