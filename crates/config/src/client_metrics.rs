//! The keys of a subscription to metrics that clients push (KIP-714's resource CLIENT_METRICS).
//!
//! Invariant: a [`Subscription`] has patterns that compile, of bounded size. This file must not know who pushes what.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::error::{ConfigError, nearest};
use crate::key::{Key, Scope, key_table};

/// What a compiled pattern may take in memory, in bytes.
const PATTERN_BYTES: usize = 64 << 10;

/// What a pattern can be about.
const PARAMETERS: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

key_table! {
    /// Every key that is set on a subscription.
    CLIENT_METRICS_KEYS;
    /// The values of one subscription.
    ClientMetricsSettings;
    Scope::ClientMetrics;

    interval_ms: i32 = Key::int("interval.ms", "300000").between(100, 3_600_000)
        .doc("How often a client pushes, in milliseconds.");
    match_: Vec<String> = Key::list("match", "")
        .doc("Which clients are meant: items `PARAMETER=REGEX`, all of which must match wholly; without any, every client. Parameters: client_instance_id, client_id, client_software_name, client_software_version, client_source_address, client_source_port.");
    metrics: Vec<String> = Key::list("metrics", "")
        .doc("Prefixes of the names of metrics that are wanted; `*` means all.");
}

/// A subscription, ready to be matched against clients.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Prefixes of metrics' names; `*` means all.
    pub metrics: Vec<String>,
    /// How often a client pushes, in milliseconds.
    pub interval_ms: i32,
    /// Parameter and pattern: all must match.
    patterns: Vec<(String, Regex)>,
}

impl Subscription {
    /// The subscription on which `overrides` are set.
    ///
    /// # Errors
    /// A key that is not known, or a value that does not do.
    pub fn resolve(overrides: &BTreeMap<String, String>) -> Result<Subscription, ConfigError> {
        for name in overrides.keys() {
            if !CLIENT_METRICS_KEYS.iter().any(|key| key.name == name) {
                return Err(ConfigError::Unknown {
                    name: name.clone(),
                    scope: Scope::ClientMetrics,
                    nearest: nearest(name, CLIENT_METRICS_KEYS.iter().map(|key| key.name)),
                });
            }
        }
        let mut values = Vec::with_capacity(CLIENT_METRICS_KEYS.len());
        for key in CLIENT_METRICS_KEYS {
            values.push(match overrides.get(key.name) {
                Some(text) => key.parse(text)?,
                None => key.default_value(),
            });
        }
        let settings = ClientMetricsSettings::from_values(&values)?;
        let patterns = settings.match_.iter().map(|item| pattern(item));
        Ok(Subscription {
            patterns: patterns.collect::<Result<_, _>>()?,
            metrics: settings.metrics,
            interval_ms: settings.interval_ms,
        })
    }

    /// Whether a client is meant: `parameter` gives what is known of it under a name to the check that it is handed, and
    /// says what that said, or `false` if nothing is known.
    pub fn matches(&self, parameter: impl Fn(&str, &dyn Fn(&str) -> bool) -> bool) -> bool {
        self.patterns
            .iter()
            .all(|(name, pattern)| parameter(name, &|value| pattern.is_match(value)))
    }
}

fn pattern(item: &str) -> Result<(String, Regex), ConfigError> {
    let bad = |why: String| ConfigError::BadValue {
        name: "match".to_owned(),
        value: item.to_owned(),
        why,
    };
    let Some((name, pattern)) = item.split_once('=') else {
        return Err(bad("an item is PARAMETER=REGEX".to_owned()));
    };
    let (name, pattern) = (name.trim(), pattern.trim());
    if !PARAMETERS.contains(&name) || pattern.is_empty() || pattern.contains('=') {
        return Err(bad(format!("the parameters are {}", PARAMETERS.join(", "))));
    }
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES)
        .build()
        .map(|regex| (name.to_owned(), regex))
        .map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(matching: &str) -> Result<Subscription, ConfigError> {
        Subscription::resolve(&BTreeMap::from([("match".to_owned(), matching.to_owned())]))
    }

    #[test]
    fn every_pattern_must_match_the_whole_of_what_it_is_about() {
        let it = subscription("client_id=app-.*, client_software_name=librdkafka").unwrap();
        let client = |id: &'static str, name: Option<&'static str>| {
            it.matches(|parameter, check| match parameter {
                "client_id" => check(id),
                "client_software_name" => name.is_some_and(check),
                _ => false,
            })
        };
        assert!(client("app-1", Some("librdkafka")));
        assert!(!client("my-app-1", Some("librdkafka")));
        assert!(!client("app-1", Some("librdkafka2")));
        assert!(!client("app-1", None), "who says nothing is not meant");
    }

    #[test]
    fn patterns_that_do_not_compile_or_are_about_nothing_known_are_refused() {
        for bad in [
            "client_id",
            "colour=red",
            "client_id=[",
            "client_id=a=b",
            "client_id=(?:a{1000}){1000}",
        ] {
            assert!(subscription(bad).is_err(), "{bad}");
        }
    }
}
