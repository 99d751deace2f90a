//! Which settings of a group a guardian can heed, and why not the others. They are kept in its own directory, since a Kafka knows
//! no such keys.

use crate::plane::PlaneError;

/// Refuses a setting that somebody else would have to heed.
pub(crate) fn check(key: &str, value: Option<&str>) -> Result<(), PlaneError> {
    let (why, what_to_do) = match (key, value) {
        ("lag.objective.age.ms" | "lag.objective.records" | "offsets.pin", _) | (_, None) => {
            return Ok(());
        }
        ("offsets.retention.minutes", Some("-1")) => return Ok(()),
        ("offsets.retention.minutes", Some(_)) => (
            "how long offsets are kept is said by the guarded Kafka's own offsets.retention.minutes, for all groups alike",
            "`catchword keep GROUP never` has the guardian see to it that they stay; what has expired is put back by `catchword restore GROUP`",
        ),
        ("offsets.protect", _) => (
            "the guarded Kafka takes a reset from whoever has the right to commit, and asks nobody else",
            "let kafka-acls give READ on the group to its consumers alone; what is reset all the same is taken back by `catchword undo`",
        ),
        ("retention.hold", _) => (
            "the guarded Kafka deletes records by the settings of their topic, and asks nobody else",
            "raise the topic's retention.ms there for as long as it is needed; `catchword slo GROUP` tells when a group falls behind",
        ),
        _ => (
            "a guardian heeds no such setting of a group; the guarded Kafka may",
            "set it there with kafka-configs --entity-type groups",
        ),
    };
    Err(PlaneError::new(
        409,
        "guarded",
        format!("{key} cannot be set: {why}; nothing was changed"),
        what_to_do,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guardian_can_see_to_is_taken_and_the_rest_refused_with_a_reason() {
        check("lag.objective.age.ms", Some("5000")).unwrap();
        check("offsets.pin", Some("*")).unwrap();
        check("offsets.retention.minutes", Some("-1")).unwrap();
        check("offsets.protect", None).unwrap();
        for (key, value, why) in [
            ("offsets.retention.minutes", "60", "for all groups alike"),
            (
                "offsets.protect",
                "frozen",
                "whoever has the right to commit",
            ),
            ("retention.hold", "true", "by the settings of their topic"),
            ("share.isolation.level", "x", "heeds no such setting"),
        ] {
            let refused = check(key, Some(value)).unwrap_err();
            assert!(refused.message.contains(why), "{}", refused.message);
        }
    }
}
