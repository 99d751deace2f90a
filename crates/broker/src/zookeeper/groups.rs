//! Which groups are mirrored: `zookeeper.groups` and `zookeeper.groups.exclude`.

use catchword_config::BrokerConfig;
use catchword_coordinator::fits;
use catchword_zookeeper::Groups;

/// As the configuration says.
pub(super) fn configured(config: &BrokerConfig) -> Groups {
    Groups {
        include: config.zookeeper_groups.clone(),
        exclude: config.zookeeper_groups_exclude.clone(),
    }
}

/// Whether a group is one of them.
pub(super) fn has(groups: &Groups, group: &str) -> bool {
    is_in(&groups.include, &groups.exclude, group)
}

/// Whether a group is one of those that the configuration names now.
pub(super) fn names(config: &BrokerConfig, group: &str) -> bool {
    let (include, exclude) = (&config.zookeeper_groups, &config.zookeeper_groups_exclude);
    is_in(include, exclude, group)
}

fn is_in(include: &[String], exclude: &[String], group: &str) -> bool {
    let is_any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, group));
    is_any(include) && !is_any(exclude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_out_whatever_includes_it() {
        let groups = |include: &[&str], exclude: &[&str]| Groups {
            include: include.iter().map(ToString::to_string).collect(),
            exclude: exclude.iter().map(ToString::to_string).collect(),
        };
        assert!(has(&Groups::default(), "any"));
        let some = groups(&["billing-*", "audit"], &["*-test", "billing-eu"]);
        for (group, is_in) in [
            ("billing-us", true),
            ("audit", true),
            ("audit-2", false),
            ("billing-eu", false),
            ("billing-us-test", false),
        ] {
            assert_eq!(has(&some, group), is_in, "{group}");
        }
    }
}
