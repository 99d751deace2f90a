//! The reference of all keys, made from the table: for `docs/config.md` and for `serve --keys`.

use std::fmt::Write;

use crate::broker_keys::BROKER_KEYS;
use crate::client_metrics::CLIENT_METRICS_KEYS;
use crate::group::GROUP_KEYS;
use crate::key::{Check, Effect, Key};
use crate::topic::TOPIC_KEYS;

/// A key's words, and why it changes nothing if it changes nothing.
pub fn words(key: &Key) -> String {
    match key.effect {
        Effect::Used => key.doc.to_owned(),
        Effect::Accepted(why) => format!("{} Accepted, without effect: {why}.", key.doc),
    }
}

/// The environment variable that sets a broker key.
pub fn environment_name(key: &str) -> String {
    format!("CATCHWORD_{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// The text of `docs/config.md`.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    section(&mut out, "Broker keys", BROKER_KEYS, |key| {
        matches!(key.effect, Effect::Used)
    });
    section(&mut out, "Topic keys", TOPIC_KEYS, |key| {
        matches!(key.effect, Effect::Used)
    });
    section(&mut out, "Group keys", GROUP_KEYS, |key| {
        matches!(key.effect, Effect::Used)
    });
    section(
        &mut out,
        "Client metrics keys",
        CLIENT_METRICS_KEYS,
        |key| matches!(key.effect, Effect::Used),
    );
    out.push_str(ACCEPTED);
    section(&mut out, "Group keys", GROUP_KEYS, |key| {
        matches!(key.effect, Effect::Used)
    });
    section(&mut out, "Broker keys without effect", BROKER_KEYS, |key| {
        key.effect != Effect::Used
    });
    section(&mut out, "Topic keys without effect", TOPIC_KEYS, |key| {
        key.effect != Effect::Used
    });
    section(&mut out, "Group keys without effect", GROUP_KEYS, |key| {
        key.effect != Effect::Used
    });
    section(
        &mut out,
        "Client metrics keys without effect",
        CLIENT_METRICS_KEYS,
        |key| key.effect != Effect::Used,
    );
    out
}

const HEAD: &str = "\
# Configuration
This page is made from the table in `crates/config`; `UPDATE=1 cargo test -p catchword-config` writes it anew.

A broker takes a key's value from the first of these that has it:
1. a flag: `catchword serve --set KEY=VALUE` (`--listen` and `--data` are short for `listeners` and `log.dir`),
2. the environment: `CATCHWORD_` and the key in capitals with underscores for dots, as in `CATCHWORD_NUM_PARTITIONS=3`,
3. a properties file as Kafka has it: `--properties server.properties`,
4. a TOML file: `--config catchword.toml`, where `num.partitions = 3` and `[num]` with `partitions = 3` mean the same,
5. the default.

Names, types and defaults are those of Kafka 4.3 where Kafka has the key; where our default differs, Kafka's stands
beside it. An unknown key on the command line or in the TOML file is an error that names the nearest known key. In a
properties file it is a warning, since Kafka lets plugins have keys there. A key that Kafka has and Catchword does
not is named in a warning of its own. What is changed while the broker runs (`kafka-configs`, `catchword topics config`)
comes before all of these; only keys marked *dynamic* can be changed so. Topic keys can always be.
";

const ACCEPTED: &str = "
# Keys without effect
These are known and checked, and tools can set and read them, but they change nothing; each says why.
";

fn section(out: &mut String, title: &str, keys: &[Key], wanted: impl Fn(&Key) -> bool) {
    if !keys.iter().any(&wanted) {
        return;
    }
    let _ = write!(out, "\n## {title}\n");
    for key in keys.iter().filter(|key| wanted(key)) {
        let _ = writeln!(
            out,
            "\n### `{}`\n{}\n\n{}",
            key.name,
            words(key),
            facts(key).join(" · ")
        );
    }
}

/// Type, default and the like, each as a short phrase.
fn facts(key: &Key) -> Vec<String> {
    let mut facts = vec![key.ty.word().to_owned()];
    facts.push(match key.default {
        None => "default: not set".into(),
        Some("") => "default: empty".into(),
        Some(default) => format!("default: `{default}`"),
    });
    if let Some(default) = key.kafka_default {
        facts.push(format!("Kafka's default: `{default}`"));
    }
    match key.check {
        Check::Any => {}
        check => facts.push(format!("allowed: {}", check.words())),
    }
    if !key.stands.is_empty() {
        let names: Vec<_> = key
            .stands
            .iter()
            .map(|stand| format!("`{}`", stand.name))
            .collect();
        facts.push(format!("without it: {}", names.join(", ")));
    }
    if key.dynamic && key.scope == crate::key::Scope::Broker {
        facts.push("dynamic".into());
    }
    if key.ours {
        facts.push("Catchword's own".into());
    }
    facts
}

/// The list that `serve --keys` prints, wrapped to `width` columns.
pub fn plain(width: usize) -> String {
    let mut out = String::new();
    for key in BROKER_KEYS.iter().filter(|key| key.effect == Effect::Used) {
        let default = match key.default {
            None => "not set",
            Some("") => "empty",
            Some(default) => default,
        };
        let _ = writeln!(out, "{} ({}, default: {default})", key.name, key.ty.word());
        wrap(&mut out, key.doc, width, "    ");
    }
    let accepted: Vec<_> = BROKER_KEYS
        .iter()
        .filter(|key| key.effect != Effect::Used)
        .map(|key| key.name)
        .collect();
    out.push_str("\nAccepted without effect (docs/config.md says why):\n");
    wrap(&mut out, &accepted.join(", "), width, "    ");
    out
}

fn wrap(out: &mut String, text: &str, width: usize, indent: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > width {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_key_once() {
        let text = markdown();
        for key in BROKER_KEYS.iter().chain(TOPIC_KEYS).chain(GROUP_KEYS) {
            assert!(
                text.contains(&format!("### `{}`\n", key.name)),
                "{}",
                key.name
            );
        }
    }

    /// The page in the repository must be what the table says. `UPDATE=1 cargo test -p catchword-config` writes it.
    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "docs/config.md is stale: UPDATE=1 cargo test -p catchword-config"
        );
    }
}
