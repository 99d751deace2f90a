//! Subscriptions by regular expression, resolved here: linear in time whatever the expression.
//!
//! An expression must match a topic's whole name, as in Kafka, whose syntax (RE2) this crate's is but for rarities.

use std::collections::BTreeSet;

use catchword_wire::records::ConsumerGroupRegularExpressionValue;
use catchword_wire::{ErrorCode, Str};
use regex::{Regex, RegexBuilder};

use super::{ConsumerGroup, Env, Refused};
use crate::effect::Output;
use crate::group::Scope;
use crate::metadata::MetadataImage;

/// The most memory that a compiled expression may take, in bytes.
const MAX_SIZE: usize = 1 << 20;
/// So long at least lies between two looks at changed topics: where many are created, the names are not read for each.
const REFRESH_INTERVAL_MS: i64 = 1000;

/// The topics that an expression stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Resolved {
    pub(super) topics: BTreeSet<Str>,
    /// Of the image that it was resolved with.
    pub(super) version: i64,
    pub(super) at_ms: i64,
}

/// Reads an expression; the error is Kafka's.
pub(crate) fn compile(expression: &str) -> Result<Regex, Refused> {
    const WHY: &str =
        "the subscription is not a valid regular expression, or one of excessive size";
    let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_SIZE).build();
    // By itself first: what is put around it must not make it valid.
    compile(expression)
        .and_then(|_| compile(&format!(r"\A(?:{expression})\z")))
        .map_err(|_| (ErrorCode::InvalidRegularExpression, WHY))
}

fn resolve(expression: &str, image: &MetadataImage, now_ms: i64) -> Resolved {
    // What cannot be read (another broker could) stands for nothing.
    let regex = compile(expression).ok();
    let matches = |name: &&Str| regex.as_ref().is_some_and(|regex| regex.is_match(name));
    Resolved {
        topics: image.names().filter(matches).cloned().collect(),
        version: i64::try_from(image.version()).unwrap_or(i64::MAX),
        at_ms: now_ms,
    }
}

impl ConsumerGroup {
    /// A member's expression changed from `old`: what nobody uses goes, what nobody used before is resolved.
    pub(super) fn regex_changed(
        &mut self,
        old: &Str,
        new: &Str,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) {
        self.forget_regex(old, scope.out);
        if !new.is_empty() && !self.regexes.contains_key(new) {
            let resolved = resolve(new, env.image, scope.now_ms);
            self.set_regex(new.clone(), resolved, scope.out);
        }
    }

    /// Takes an expression away that no member uses.
    pub(super) fn forget_regex(&mut self, regex: &Str, out: &mut Output) {
        if !self.patterns.contains_key(regex) && self.regexes.remove(regex).is_some() {
            self.writer(out).regex(regex, None);
        }
    }

    /// Topics have changed: resolves all expressions anew. Whether any stands for something else now.
    pub(super) fn refresh_regexes(&mut self, env: &Env<'_>, scope: &mut Scope<'_>) -> bool {
        let version = env.image.version();
        if self.regexes.is_empty() || self.resolved_version == Some(version) {
            return false;
        }
        if scope.now_ms < self.resolved_at_ms.saturating_add(REFRESH_INTERVAL_MS) {
            return false;
        }
        self.resolved_version = Some(version);
        self.resolved_at_ms = scope.now_ms;
        let mut changed = false;
        let expressions: Vec<Str> = self.regexes.keys().cloned().collect();
        for expression in expressions {
            let resolved = resolve(&expression, env.image, scope.now_ms);
            if self.regexes[&expression].topics != resolved.topics {
                self.set_regex(expression, resolved, scope.out);
                changed = true;
            }
        }
        changed
    }

    fn set_regex(&mut self, expression: Str, resolved: Resolved, out: &mut Output) {
        self.writer(out).regex(&expression, Some(&resolved.value()));
        self.regexes.insert(expression, resolved);
    }
}

impl Resolved {
    pub(super) fn value(&self) -> ConsumerGroupRegularExpressionValue {
        ConsumerGroupRegularExpressionValue {
            topics: self.topics.iter().cloned().collect(),
            version: self.version,
            timestamp: self.at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_must_match_the_whole_name_and_cannot_break_out() {
        let matches = |regex: &str, name: &str| compile(regex).map(|r| r.is_match(name));
        assert_eq!(matches("a|b", "b"), Ok(true));
        assert_eq!(matches("a|b", "ab"), Ok(false));
        assert_eq!(matches("orders-.*", "orders-eu"), Ok(true));
        assert_eq!(matches("orders", "orders-eu"), Ok(false));
        for bad in ["(", "a)(b", "(?<x", "(((a{1000}){1000}){1000})"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }
}
