//! From flags, environment and files to a [`BrokerConfig`].
//!
//! Invariant: every key that somebody set is either used, or named in a warning or an error together with where it was
//! set. This file must not read the process's environment itself: it is handed in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::broker::BrokerConfig;
use crate::broker_keys::BROKER_KEYS;
use crate::docs::environment_name;
use crate::error::{ConfigError, Warning, nearest};
use crate::key::{Effect, Key, Scope};
use crate::value::Value;
use crate::{properties, toml_file, unused};

/// Where to look for values; the first that has a key wins, in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// From flags: key and value. The flag's text is for messages, as in `--set num.partitions`.
    pub flags: Vec<Flag>,
    /// The environment: all variables; those that begin with `CATCHWORD_` are looked at.
    pub environment: Vec<(String, String)>,
    /// A properties file as Kafka has it.
    pub properties: Option<PathBuf>,
    /// A TOML file.
    pub toml: Option<PathBuf>,
}

/// One value from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user typed it, for messages.
    pub flag: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl Flag {
    /// Reads `KEY=VALUE` as given to `--set`.
    pub fn set(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not KEY=VALUE, as in num.partitions=3"))?;
        let key = key.trim().to_owned();
        Ok(Self {
            flag: format!("--set {key}"),
            key,
            value: value.to_owned(),
        })
    }
}

/// A configuration, and what the user should hear about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: BrokerConfig,
    /// What stops nothing but should be said.
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone)]
enum Origin {
    Flag(String),
    Environment(String),
    Properties(PathBuf, usize),
    Toml(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Properties(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Toml(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Origin {
    /// Whether a key that nobody knows may be somebody else's business.
    fn is_shared(&self) -> bool {
        matches!(self, Self::Properties(..) | Self::Environment(_))
    }
}

/// Variables of the command line's own, which set no key.
const OTHER_VARIABLES: &[&str] = &["CATCHWORD_BOOTSTRAP", "CATCHWORD_GUARDIAN", "CATCHWORD_LOG"];

/// Gathers the values, checks them and resolves the configuration. All mistakes are reported, not only the first.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    let mut statics: BTreeMap<&'static str, Value> = BTreeMap::new();
    let entries = gather(sources, &mut errors);
    for (origin, name, text) in entries {
        match classify(&origin, &name) {
            Ok(Known::Key(key)) => match key.parse(&text) {
                Ok(value) => {
                    if let (Effect::Accepted(why), true) =
                        (key.effect, value != key.default_value())
                    {
                        let origin = origin.to_string();
                        warnings.push(Warning::WithoutEffect {
                            origin,
                            name: key.name,
                            why,
                        });
                    }
                    statics.insert(key.name, value);
                }
                Err(error) => errors.push(error.at(&origin)),
            },
            Ok(Known::Warning(warning)) => warnings.push(warning),
            Ok(Known::NotOurs) => {}
            Err(error) => errors.push(error.at(&origin)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let config = BrokerConfig::resolve(statics, BTreeMap::new()).map_err(|error| vec![error])?;
    for name in &config.controller_listener_names {
        if !name.is_empty() {
            warnings.push(Warning::ControllerListener { name: name.clone() });
        }
    }
    Ok(Loaded { config, warnings })
}

enum Known {
    Key(&'static Key),
    Warning(Warning),
    NotOurs,
}

fn classify(origin: &Origin, name: &str) -> Result<Known, ConfigError> {
    let key = match origin {
        Origin::Environment(variable) => BROKER_KEYS
            .iter()
            .find(|key| environment_name(key.name) == *variable),
        _ => BrokerConfig::key(name),
    };
    if let Some(key) = key {
        return Ok(Known::Key(key));
    }
    if let Some(why) = unused::reason(name) {
        let (origin, name) = (origin.to_string(), name.to_owned());
        return Ok(Known::Warning(Warning::NotUsed { origin, name, why }));
    }
    let nearest = nearest(name, BROKER_KEYS.iter().map(|key| key.name));
    match origin {
        // Kubernetes sets CATCHWORD_PORT_9092_TCP and the like for a service of this name.
        Origin::Environment(_) if nearest.is_none() => Ok(Known::NotOurs),
        _ if origin.is_shared() => {
            let (origin, name) = (origin.to_string(), name.to_owned());
            Ok(Known::Warning(Warning::Unknown {
                origin,
                name,
                nearest,
            }))
        }
        _ => Err(ConfigError::Unknown {
            name: name.to_owned(),
            scope: Scope::Broker,
            nearest,
        }),
    }
}

/// All entries, the weakest source first, and each source in its own order: the last entry of a key counts, as Java has it.
fn gather(sources: &Sources, errors: &mut Vec<ConfigError>) -> Vec<(Origin, String, String)> {
    let mut entries = Vec::new();
    if let Some(path) = &sources.toml {
        match read(path).and_then(|text| toml_file::parse(&text).map_err(|e| syntax(path, e))) {
            Ok(found) => entries.extend(
                found
                    .into_iter()
                    .map(|(key, value)| (Origin::Toml(path.clone()), key, value)),
            ),
            Err(error) => errors.push(error),
        }
    }
    if let Some(path) = &sources.properties {
        match read(path).and_then(|text| properties::parse(&text).map_err(|e| syntax(path, e))) {
            Ok(found) => entries.extend(found.into_iter().map(|property| {
                (
                    Origin::Properties(path.clone(), property.line),
                    property.key,
                    property.value,
                )
            })),
            Err(error) => errors.push(error),
        }
    }
    for (variable, value) in &sources.environment {
        let Some(name) = variable.strip_prefix("CATCHWORD_") else {
            continue;
        };
        if !OTHER_VARIABLES.contains(&variable.as_str()) {
            let name = name.to_ascii_lowercase().replace('_', ".");
            entries.push((Origin::Environment(variable.clone()), name, value.clone()));
        }
    }
    for flag in &sources.flags {
        entries.push((
            Origin::Flag(flag.flag.clone()),
            flag.key.clone(),
            flag.value.clone(),
        ));
    }
    entries
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::File {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

fn syntax(path: &Path, (line, why): (usize, String)) -> ConfigError {
    ConfigError::Syntax {
        path: path.to_owned(),
        line,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(pairs: &[&str]) -> Vec<Flag> {
        pairs.iter().map(|text| Flag::set(text).unwrap()).collect()
    }

    fn file(name: &str, text: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("catchword-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_flag_comes_before_the_environment_before_properties_before_toml() {
        let mut sources = Sources {
            flags: flags(&["num.partitions=1", "num.partitions=2"]),
            environment: vec![("CATCHWORD_NUM_PARTITIONS".into(), "3".into())],
            properties: Some(file(
                "order.properties",
                "num.partitions=4\nnum.partitions=5\n",
            )),
            toml: Some(file("order.toml", "num.partitions = 6\n")),
        };
        let partitions = |sources: &Sources| load(sources).unwrap().config.num_partitions;
        assert_eq!(partitions(&sources), 2);
        sources.flags.clear();
        assert_eq!(partitions(&sources), 3);
        sources.environment.clear();
        assert_eq!(partitions(&sources), 5);
        sources.properties = None;
        assert_eq!(partitions(&sources), 6);
        sources.toml = None;
        assert_eq!(partitions(&sources), 1);
    }

    #[test]
    fn a_slip_on_the_command_line_stops_and_names_the_nearest_key() {
        let sources = Sources {
            flags: flags(&["num.partitons=3"]),
            ..Sources::default()
        };
        let errors = load(&sources).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "--set num.partitons: unknown broker key \"num.partitons\"; did you mean \"num.partitions\"?"
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_its_place() {
        let path = file("bad.properties", "num.partitions=none\n\nnode.id=-3\n");
        let errors = load(&Sources {
            properties: Some(path),
            ..Sources::default()
        })
        .unwrap_err();
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2);
        assert!(
            texts
                .iter()
                .any(|text| text.contains("line 1: num.partitions=none")),
            "{texts:?}"
        );
        assert!(
            texts.iter().any(|text| text.contains("line 3: node.id=-3")),
            "{texts:?}"
        );
    }

    #[test]
    fn keys_of_kafkas_that_mean_nothing_here_are_named() {
        let text = "zookeeper.set.acl=true\nnum.io.threads=8\nnum.network.threads=5\nmy.plugin=1\n";
        let path = file("kafka.properties", text);
        let loaded = load(&Sources {
            properties: Some(path),
            ..Sources::default()
        })
        .unwrap();
        let texts: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        // In the file's order; num.io.threads has its default value, and nobody need hear of it.
        let said = [
            "line 1: not used by Catchword: zookeeper.set.acl",
            "line 3: num.network.threads is accepted",
            "line 4: unknown key \"my.plugin\" is ignored",
        ];
        assert_eq!(texts.len(), said.len(), "{texts:?}");
        for (text, said) in texts.iter().zip(said) {
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn a_servers_file_of_kafkas_own_is_taken() {
        let path = file(
            "server.properties",
            include_str!("../tests/server.properties"),
        );
        let loaded = load(&Sources {
            properties: Some(path),
            ..Sources::default()
        })
        .unwrap();
        assert_eq!(loaded.config.listeners.len(), 1);
        assert_eq!(loaded.config.node_id, 1);
        assert_eq!(
            loaded.config.data_dir,
            PathBuf::from("/var/lib/kraft-combined-logs")
        );
    }

    #[test]
    fn variables_that_others_set_are_left_alone() {
        let environment = vec![
            ("CATCHWORD_BOOTSTRAP".into(), "x:1".into()),
            ("CATCHWORD_SERVICE_HOST".into(), "10.0.0.1".into()),
            ("PATH".into(), "/bin".into()),
        ];
        let loaded = load(&Sources {
            environment,
            ..Sources::default()
        })
        .unwrap();
        assert_eq!(loaded.warnings, []);
    }
}
