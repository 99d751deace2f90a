//! Which quotas are set, and which of them holds for a client (KIP-55, KIP-546). Pure.

use std::collections::BTreeMap;

use catchword_wire::records::ClientQuotaRecord;

/// What is limited.
pub(crate) const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub(crate) const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub(crate) const REQUEST_PERCENTAGE: &str = "request_percentage";
pub(crate) const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
pub(crate) const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// Whom a quota is for: type of entity and name; no name is the default of the type.
pub(crate) type Entity = BTreeMap<String, Option<String>>;

/// All quotas.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QuotaTable {
    quotas: BTreeMap<Entity, BTreeMap<String, f64>>,
}

/// The quota that holds for a client, and with whom it is shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// A second's worth.
    pub(crate) bound: f64,
    /// Whether each user has it alone.
    pub(crate) by_user: bool,
    /// Whether each client id has it alone.
    pub(crate) by_client_id: bool,
}

impl QuotaTable {
    pub(crate) fn apply(&mut self, record: &ClientQuotaRecord) {
        let named = record.entity.iter().map(|e| {
            let name = e.entity_name.as_ref().map(ToString::to_string);
            (e.entity_type.to_string(), name)
        });
        let entity: Entity = named.collect();
        let of = self.quotas.entry(entity.clone()).or_default();
        if record.remove {
            of.remove(record.key.as_str());
            if of.is_empty() {
                self.quotas.remove(&entity);
            }
        } else {
            of.insert(record.key.to_string(), record.value);
        }
    }

    pub(crate) fn get(&self, entity: &Entity) -> Option<&BTreeMap<String, f64>> {
        self.quotas.get(entity)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Entity, &BTreeMap<String, f64>)> {
        self.quotas.iter()
    }

    /// Whether anybody has a quota of that kind.
    pub(crate) fn any(&self, key: &str) -> bool {
        self.quotas.values().any(|of| of.contains_key(key))
    }

    /// How many connections a second may come from an address: each address has that many alone.
    pub(crate) fn connections_of(&self, address: &str) -> Option<f64> {
        let of = |name: Option<String>| {
            let entity = Entity::from([("ip".to_owned(), name)]);
            self.quotas.get(&entity)?.get(CONNECTION_CREATION_RATE)
        };
        of(Some(address.to_owned())).or_else(|| of(None)).copied()
    }

    /// The most specific quota of that kind: a user's with the client id before the user's, that before the client id's.
    pub(crate) fn limit(&self, key: &str, user: &str, client_id: &str) -> Option<Limit> {
        let (user, client) = (Some(user.to_owned()), Some(client_id.to_owned()));
        // None: the entity does not have this type; Some(None): its default.
        let order = [
            (Some(&user), Some(&client)),
            (Some(&user), Some(&None)),
            (Some(&user), None),
            (Some(&None), Some(&client)),
            (Some(&None), Some(&None)),
            (Some(&None), None),
            (None, Some(&client)),
            (None, Some(&None)),
        ];
        order.into_iter().find_map(|(user, client)| {
            let types = [("user", user), ("client-id", client)];
            let named = types
                .into_iter()
                .filter_map(|(of, name)| Some((of.to_owned(), name?.clone())));
            let bound = *self.quotas.get(&named.collect::<Entity>())?.get(key)?;
            let (by_user, by_client_id) = (user.is_some(), client.is_some());
            Some(Limit {
                bound,
                by_user,
                by_client_id,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_wire::Str;
    use catchword_wire::records::client_quota_record::EntityData;

    fn set(table: &mut QuotaTable, entity: &[(&str, Option<&str>)], value: f64, remove: bool) {
        let data = |(of, name): &(&str, Option<&str>)| EntityData {
            entity_type: Str::copy(of),
            entity_name: name.map(Str::copy),
        };
        table.apply(&ClientQuotaRecord {
            entity: entity.iter().map(data).collect(),
            key: PRODUCER_BYTE_RATE.into(),
            value,
            remove,
        });
    }

    #[test]
    fn an_address_has_its_own_rate_or_the_default_one() {
        let mut table = QuotaTable::default();
        let mut set = |name: Option<&str>, value: f64| {
            table.apply(&ClientQuotaRecord {
                entity: vec![EntityData {
                    entity_type: "ip".into(),
                    entity_name: name.map(Str::copy),
                }],
                key: CONNECTION_CREATION_RATE.into(),
                value,
                remove: false,
            });
            ["10.0.0.1", "10.0.0.2"].map(|address| table.connections_of(address))
        };
        assert_eq!(set(Some("10.0.0.1"), 5.0), [Some(5.0), None]);
        assert_eq!(set(None, 7.0), [Some(5.0), Some(7.0)]);
    }

    #[test]
    fn the_most_specific_quota_holds() {
        let mut table = QuotaTable::default();
        let bound = |table: &QuotaTable| table.limit(PRODUCER_BYTE_RATE, "u", "c").map(|l| l.bound);
        assert_eq!(bound(&table), None);
        let weaker_first: [&[(&str, Option<&str>)]; 8] = [
            &[("client-id", None)],
            &[("client-id", Some("c"))],
            &[("user", None)],
            &[("user", None), ("client-id", None)],
            &[("user", None), ("client-id", Some("c"))],
            &[("user", Some("u"))],
            &[("user", Some("u")), ("client-id", None)],
            &[("user", Some("u")), ("client-id", Some("c"))],
        ];
        for (n, entity) in weaker_first.into_iter().enumerate() {
            set(&mut table, entity, n as f64, false);
            assert_eq!(bound(&table), Some(n as f64), "{entity:?}");
        }
        set(&mut table, weaker_first[7], 0.0, true);
        assert_eq!(bound(&table), Some(6.0));
        assert_eq!(table.limit(CONSUMER_BYTE_RATE, "u", "c"), None);
    }
}
