//! What the catalog holds beside topics: groups' settings, quotas, features.
//!
//! Invariant: it is read from the image, so that nobody who serves clients waits for a change that is being synced.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use catchword_config::{BrokerConfig, GroupSettings};
use catchword_coordinator::{Pins, Protection, Retention, RetentionRules};
use catchword_wire::Str;
use catchword_wire::records::{ClientQuotaRecord, FeatureLevelRecord};
use tracing::warn;

use super::record::CatalogRecord;
use super::state::CatalogState;
use super::{Catalog, CatalogError, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP};
use crate::features;
use crate::quota::QuotaTable;
use crate::telemetry::Subscriptions;

/// The image of what hangs on no topic.
#[derive(Default)]
pub(super) struct AdminImage {
    /// Groups on which something is set.
    groups: HashMap<Str, Arc<GroupSettings>>,
    /// What all other groups have.
    group_defaults: Option<Arc<GroupSettings>>,
    /// How long committed offsets are kept, where it is not as everywhere.
    retention: Arc<RetentionRules>,
    protected: HashMap<Str, Protection>,
    /// Groups that retention waits for.
    holders: Arc<BTreeSet<Str>>,
    quotas: Arc<QuotaTable>,
    features: Arc<Finalized>,
    subscriptions: Arc<Subscriptions>,
}

/// The features in force.
#[derive(Default)]
pub(crate) struct Finalized {
    /// Grows with every change.
    pub(crate) epoch: i64,
    pub(crate) levels: Vec<(&'static features::Feature, i16)>,
}

impl AdminImage {
    pub(super) fn of(
        state: &CatalogState,
        config: &BrokerConfig,
        before: &Arc<Subscriptions>,
    ) -> AdminImage {
        let group = |overrides| match GroupSettings::resolve(config, overrides) {
            Ok(settings) => Some(Arc::new(settings)),
            Err(error) => {
                warn!("a group's settings: {error}; it runs with the broker's defaults");
                None
            }
        };
        let of_clients = state.configured(RESOURCE_CLIENT_METRICS);
        let set = of_clients.map(|(name, set)| (name.clone(), set.clone()));
        let subscriptions = before.with(set.collect(), state.applied());
        let of_groups = state.configured(RESOURCE_GROUP);
        AdminImage {
            groups: of_groups
                .filter_map(|(name, set)| Some((name.clone(), group(set)?)))
                .collect(),
            group_defaults: group(&Default::default()),
            retention: Arc::new(retention_rules(state, config)),
            protected: protections(state),
            holders: Arc::new(holders(state)),
            quotas: Arc::new(state.quotas().clone()),
            features: Arc::new(Finalized {
                epoch: state.applied(),
                levels: features::finalized(state.features()),
            }),
            subscriptions: subscriptions.map_or_else(|| before.clone(), Arc::new),
        }
    }
}

fn retention_rules(state: &CatalogState, config: &BrokerConfig) -> RetentionRules {
    let retention = |minutes: i32| match minutes {
        ..0 => Retention::Forever,
        minutes => Retention::Ms(i64::from(minutes) * 60_000),
    };
    let own = |(name, set): (&Str, &BTreeMap<String, String>)| {
        let minutes = set.get("offsets.retention.minutes")?.parse().ok()?;
        Some((name.clone(), retention(minutes)))
    };
    // The configuration was checked when it was taken.
    let patterns = config.retention_rules().unwrap_or_default().into_iter();
    RetentionRules {
        groups: state.configured(RESOURCE_GROUP).filter_map(own).collect(),
        patterns: patterns
            .map(|(pattern, minutes)| (pattern, retention(minutes)))
            .collect(),
        pins: pins(state, config),
    }
}

fn pins(state: &CatalogState, config: &BrokerConfig) -> BTreeMap<Str, Pins> {
    let own = |(name, set): (&Str, &BTreeMap<String, String>)| {
        set.get("offsets.pin")?;
        // What is set on a group was checked when it was taken.
        let pins = GroupSettings::resolve(config, set).ok()?.pins().ok()?;
        let pins = pins.into_iter();
        let pins = Pins::new(pins.map(|(topic, partition)| (Str::from(topic), partition)));
        (!pins.is_empty()).then(|| (name.clone(), pins))
    };
    state.configured(RESOURCE_GROUP).filter_map(own).collect()
}

fn holders(state: &CatalogState) -> BTreeSet<Str> {
    let of_groups = state.configured(RESOURCE_GROUP);
    let holders =
        of_groups.filter(|(_, set)| set.get("retention.hold").is_some_and(|on| on == "true"));
    holders.map(|(name, _)| name.clone()).collect()
}

fn protections(state: &CatalogState) -> HashMap<Str, Protection> {
    let own = |(name, set): (&Str, &BTreeMap<String, String>)| {
        let protection = match set.get("offsets.protect")?.as_str() {
            "forward-only" => Protection::ForwardOnly,
            "frozen" => Protection::Frozen,
            _ => return None,
        };
        Some((name.clone(), protection))
    };
    state.configured(RESOURCE_GROUP).filter_map(own).collect()
}

impl Catalog {
    /// What outsiders may not do to a group's offsets.
    pub(crate) fn protection(&self, group_id: &str) -> Option<Protection> {
        self.read(|image| image.admin.protected.get(group_id).copied())
    }

    /// The groups that retention waits for.
    pub(crate) fn holders(&self) -> Arc<BTreeSet<Str>> {
        self.read(|image| image.admin.holders.clone())
    }

    /// How long committed offsets are kept, where it is not as everywhere.
    pub(crate) fn retention_rules(&self) -> Arc<RetentionRules> {
        self.read(|image| image.admin.retention.clone())
    }

    /// The settings of a group: what is set on it, else the broker's. `None` only if the broker's own do not do.
    pub(crate) fn group_configs(&self, group_id: &str) -> Option<Arc<GroupSettings>> {
        self.read(|image| {
            let own = image.admin.groups.get(group_id);
            own.or(image.admin.group_defaults.as_ref()).cloned()
        })
    }

    /// The groups that have settings of their own, with all that holds for them.
    pub(crate) fn groups_with_settings(&self) -> Vec<(Str, Arc<GroupSettings>)> {
        let own = |(name, settings): (&Str, &Arc<GroupSettings>)| (name.clone(), settings.clone());
        self.read(|image| image.admin.groups.iter().map(own).collect())
    }

    /// The quotas of clients.
    pub(crate) fn quotas(&self) -> Arc<QuotaTable> {
        self.read(|image| image.admin.quotas.clone())
    }

    /// The subscriptions to clients' metrics.
    pub(crate) fn subscriptions(&self) -> Arc<Subscriptions> {
        self.read(|image| image.admin.subscriptions.clone())
    }

    /// The features in force.
    pub(crate) fn features(&self) -> Arc<Finalized> {
        self.read(|image| image.admin.features.clone())
    }

    /// The names of the resources of a type on which anything is set.
    pub(crate) fn configured(&self, resource_type: i8) -> Vec<Str> {
        let writer = self.writer();
        let names = writer.state.configured(resource_type);
        names.map(|(name, _)| name.clone()).collect()
    }

    /// Changes quotas, all or none, after `change` has made the records out of those there are. Blocks; durable on return.
    pub(crate) fn alter_quotas(
        &self,
        change: impl FnOnce(&QuotaTable) -> Vec<ClientQuotaRecord>,
    ) -> Result<(), CatalogError> {
        let mut writer = self.writer();
        let records: Vec<_> = change(writer.state.quotas())
            .into_iter()
            .map(CatalogRecord::ClientQuota)
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        writer.append(&records, true)?;
        self.republish_admin(&writer.state);
        Ok(())
    }

    /// Sets levels of features, which must be checked already. Blocks; durable on return.
    pub(crate) fn set_features(&self, levels: &[(&str, i16)]) -> Result<(), CatalogError> {
        if levels.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        let record = |(name, feature_level): &(&str, i16)| {
            CatalogRecord::FeatureLevel(FeatureLevelRecord {
                name: Str::copy(name),
                feature_level: *feature_level,
            })
        };
        let records: Vec<_> = levels.iter().map(record).collect();
        writer.append(&records, true)?;
        self.republish_admin(&writer.state);
        Ok(())
    }

    pub(super) fn republish_admin(&self, state: &CatalogState) {
        let admin = AdminImage::of(state, &self.config(), &self.subscriptions());
        self.image
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .admin = admin;
    }
}
