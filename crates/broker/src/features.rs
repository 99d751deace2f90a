//! The features of the cluster (KIP-584): which there are here, and at which levels. Pure.
//!
//! This is the one list: a protocol that hangs on a feature adds a line. What is not listed is not served.

use std::collections::BTreeMap;

use catchword_coordinator::EPOCH_BUMP;
use catchword_wire::ErrorCode;

/// A feature and the levels at which it is supported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// The level of a cluster on which nobody has set one.
    pub(crate) level: i16,
}

/// Kafka's number for 4.3-IV0, whose records and requests are spoken here.
const METADATA_4_3: i16 = 30;

pub(crate) static FEATURES: &[Feature] = &[
    Feature {
        name: "metadata.version",
        min: METADATA_4_3,
        max: METADATA_4_3,
        level: METADATA_4_3,
    },
    // Tells clients that the groups of KIP-848 are served.
    Feature {
        name: "group.version",
        min: 0,
        max: 1,
        level: 1,
    },
    // Tells clients that their epoch rises with each end of a transaction (KIP-890).
    Feature {
        name: "transaction.version",
        min: 0,
        max: EPOCH_BUMP,
        level: EPOCH_BUMP,
    },
    // Share groups (KIP-932).
    Feature {
        name: "share.version",
        min: 0,
        max: 1,
        level: 1,
    },
    // Streams groups (KIP-1071).
    Feature {
        name: "streams.version",
        min: 0,
        max: 1,
        level: 1,
    },
];

/// The levels in force, given those that were set. One that is not supported any more falls back to the default.
pub(crate) fn finalized(set: &BTreeMap<String, i16>) -> Vec<(&'static Feature, i16)> {
    let level = |feature: &'static Feature| {
        let set = set.get(feature.name).copied();
        let level = set.filter(|level| *level == 0 || (feature.min..=feature.max).contains(level));
        (feature, level.unwrap_or(feature.level))
    };
    FEATURES.iter().map(level).collect()
}

/// Whether a protocol that hangs on a feature is to be served.
pub(crate) fn is_on(finalized: &[(&'static Feature, i16)], name: &str) -> bool {
    let mut features = finalized.iter();
    features.any(|(feature, level)| feature.name == name && *level > 0)
}

/// Which way a feature may go by a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
    /// A number that Kafka does not have.
    Unknown,
}

/// Checks one update against the levels in force.
///
/// # Errors
/// Kafka's code, and why.
pub(crate) fn check(
    finalized: &[(&'static Feature, i16)],
    name: &str,
    wanted: i16,
    way: Way,
) -> Result<(), (ErrorCode, String)> {
    let refuse = |why: String| {
        let message = format!("Invalid update version {wanted} for feature {name}. {why}");
        Err((ErrorCode::InvalidUpdateVersion, message))
    };
    if way == Way::Unknown {
        return refuse("The controller does not support the given upgrade type.".into());
    }
    if wanted < 0 {
        return refuse("A feature version cannot be less than 0.".into());
    }
    let Some((feature, now)) = finalized.iter().find(|(f, _)| f.name == name) else {
        return refuse("It is not among the features that are supported here.".into());
    };
    if !(feature.min..=feature.max).contains(&wanted) {
        let (min, max) = (feature.min, feature.max);
        return refuse(format!("Versions {min}-{max} are supported here."));
    }
    match way {
        Way::Up if wanted < *now => refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.".into(),
        ),
        Way::Down if wanted > *now => refuse("Can't downgrade to a newer version.".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TEST: Feature = Feature {
        name: "x.version",
        min: 0,
        max: 2,
        level: 1,
    };

    #[test]
    fn a_feature_goes_down_only_if_that_was_said() {
        let now = [(&TEST, 1)];
        assert!(check(&now, "x.version", 2, Way::Up).is_ok());
        assert!(check(&now, "x.version", 0, Way::Up).is_err());
        assert!(check(&now, "x.version", 0, Way::Down).is_ok());
        assert!(check(&now, "x.version", 2, Way::Down).is_err());
        assert!(check(&now, "x.version", 3, Way::Up).is_err());
        assert!(check(&now, "x.version", -1, Way::Down).is_err());
        assert!(check(&now, "y.version", 1, Way::Up).is_err());
        assert!(check(&now, "x.version", 1, Way::Unknown).is_err());
    }

    #[test]
    fn a_level_that_is_not_supported_any_more_does_not_count() {
        let set = BTreeMap::from([("metadata.version".to_owned(), 7)]);
        assert_eq!(finalized(&set)[0].1, METADATA_4_3);
    }
}
