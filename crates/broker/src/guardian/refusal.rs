//! What a refusal of the guarded Kafka means here, and what to do about it: that it does not answer, that it does not give a right,
//! and that it has a rule of its own are three things, and somebody else mends each.

use std::collections::BTreeSet;

use catchword_client::ClientError;
use catchword_wire::ErrorCode;

use super::Guardian;
use super::rights::{Changed, Right};
use crate::plane::PlaneError;

impl Guardian {
    /// Why that Kafka did not do what takes these rights.
    pub(super) fn refused(
        &self,
        error: &ClientError,
        takes: &BTreeSet<Right>,
        changed: Changed,
    ) -> PlaneError {
        let kind = match error.code() {
            None => return unreachable(error, changed),
            Some(ErrorCode::GroupAuthorizationFailed) => "group",
            Some(ErrorCode::TopicAuthorizationFailed) => "topic",
            Some(ErrorCode::PolicyViolation) => return by_a_rule(changed),
            Some(_) => return otherwise(error, changed),
        };
        let missing = takes.iter().filter(|right| right.kind() == kind);
        let missing: BTreeSet<Right> = missing.cloned().collect();
        match missing.is_empty() {
            true => otherwise(error, changed),
            false => self.not_authorized(&missing, changed),
        }
    }

    /// A group cannot be looked at.
    pub(super) fn unseen(&self, group: &str, error: &ClientError) -> PlaneError {
        let takes = BTreeSet::from([Right::DescribeGroup(group.to_owned())]);
        self.refused(error, &takes, Changed::Nothing)
    }
}

/// The guarded Kafka does not answer.
fn unreachable(error: &ClientError, changed: Changed) -> PlaneError {
    let what_to_do = match changed {
        Changed::Nothing => {
            "see that it runs and can be reached from the guardian's machine; history can be asked for meanwhile (catchword log, at, trash)"
        }
        Changed::Perhaps => {
            "see that it runs and can be reached from the guardian's machine; then `catchword log GROUP` tells whether the change was made"
        }
    };
    PlaneError::new(
        503,
        "kafka-away",
        format!("the guarded Kafka cannot be asked: {error}"),
        what_to_do,
    )
}

/// It let the guardian in, and has something against the change itself.
fn by_a_rule(changed: Changed) -> PlaneError {
    PlaneError::new(
        409,
        "protected",
        format!(
            "the guarded Kafka has a rule of its own against this move (POLICY_VIOLATION); {}",
            changed.words()
        ),
        "the rule is lifted there, by whoever administers it: where that is a Catchword, by `catchword protect GROUP off` or `catchword pin GROUP --off` given its own address; then do it again",
    )
}

fn otherwise(error: &ClientError, changed: Changed) -> PlaneError {
    PlaneError::new(
        502,
        "kafka-refused",
        format!("the guarded Kafka refuses: {error}; {}", changed.words()),
        "`catchword show GROUP` shows where the group is; do it again when the reason is gone",
    )
}

/// A question to which no right of a group or topic belongs was not answered.
pub(super) fn unanswered(error: &ClientError) -> PlaneError {
    match error.code() {
        None => unreachable(error, Changed::Nothing),
        Some(_) => otherwise(error, Changed::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use catchword_client::ClientOptions;

    use super::*;
    use crate::guardian::Guarded;

    fn told(code: ErrorCode, changed: Changed) -> PlaneError {
        let guardian = Guardian::new(Guarded {
            kafka: ClientOptions::to("127.0.0.1:1"),
            restore_expired: false,
        });
        let takes = BTreeSet::from([
            Right::ReadGroup("billing".into()),
            Right::ReadTopic("invoices".into()),
        ]);
        let error = ClientError::Refused {
            what: "commit".into(),
            code,
            message: None,
        };
        guardian.refused(&error, &takes, changed)
    }

    #[test]
    fn a_right_that_is_missing_is_named_with_the_command_that_gives_it() {
        for (code, right, command) in [
            (
                ErrorCode::TopicAuthorizationFailed,
                "READ on topic invoices",
                "--operation Read --topic invoices",
            ),
            (
                ErrorCode::GroupAuthorizationFailed,
                "READ on group billing",
                "--operation Read --group billing",
            ),
        ] {
            let error = told(code, Changed::Nothing);
            assert_eq!((error.status, error.error), (403, "not-authorized"));
            assert!(error.message.contains(right), "{}", error.message);
            assert!(error.message.ends_with("nothing was changed"));
            assert!(error.what_to_do.contains(command), "{}", error.what_to_do);
        }
    }

    #[test]
    fn that_nothing_was_changed_is_said_only_if_it_is_known() {
        for code in [
            ErrorCode::TopicAuthorizationFailed,
            ErrorCode::PolicyViolation,
            ErrorCode::OffsetMetadataTooLarge,
        ] {
            let error = told(code, Changed::Perhaps);
            assert!(
                error.message.ends_with("may have been made"),
                "{}",
                error.message
            );
        }
    }
}
