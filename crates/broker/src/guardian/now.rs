//! The groups of the guarded Kafka as they are now: their states asked of it, their bookmarks as its log told them last.

use std::collections::{BTreeMap, BTreeSet};

use catchword_client::{Client, ClientError, ListAt, TopicPartition};
use catchword_coordinator::ledger::Key;
use catchword_wire::Str;

use super::refusal::unanswered;
use super::topics::Known;
use super::{Guardian, Known as Place, Terms};
use crate::plane::{GroupList, GroupView, MemberView, PartitionLag, PlaneError, kind};

/// Where logs begin and end.
type Ends = BTreeMap<TopicPartition, (Option<i64>, Option<i64>)>;

impl Guardian {
    /// All groups, without their members. Blocks.
    pub(crate) fn groups(&self, terms: &Terms) -> Result<GroupList, PlaneError> {
        let asked = |client: &mut Client| {
            let listed = client.list_groups()?;
            let wanted: BTreeSet<Key> = {
                let places = self.places();
                places.values().flat_map(BTreeMap::keys).cloned().collect()
            };
            let ends = self.ends(client, wanted)?;
            Ok((listed, ends, self.retention_ms(client, terms)))
        };
        let (listed, ends, retention_ms) = self.ask(asked)?;
        let places = self.places();
        let one = |listing: &catchword_client::GroupListing| {
            let own = places.get(listing.group.as_str());
            let partitions = lags(own, &ends);
            let kind_there = listing.kind.to_lowercase();
            let kind = kind(&kind_there, &listing.protocol_type);
            let kept = self.kept(&listing.group, &listing.state, own, (terms, retention_ms));
            GroupView::of(&listing.group, &listing.state, kind, Vec::new(), partitions).kept(kept)
        };
        Ok(GroupList {
            groups: listed.iter().map(one).collect(),
        })
    }

    /// One group. Blocks.
    pub(crate) fn group(&self, group: &Str, terms: &Terms) -> Result<GroupView, PlaneError> {
        let places = self.places().get(group).cloned();
        let asked = |client: &mut Client| {
            let described = client.describe_group(group)?;
            let listed = client.list_groups()?;
            let listed = listed.into_iter().find(|one| one.group == **group);
            let wanted = places.iter().flat_map(BTreeMap::keys).cloned();
            let ends = self.ends(client, wanted.collect())?;
            Ok((described, listed, ends, self.retention_ms(client, terms)))
        };
        let mut client = Client::connect(self.kafka.clone()).map_err(|e| unanswered(&e))?;
        let (described, listed, ends, retention_ms) =
            asked(&mut client).map_err(|e| self.unseen(group, &e))?;
        let Some(listed) = listed else {
            return Err(PlaneError::no_group(group));
        };
        let members = described.map_or_else(Vec::new, |group| group.members);
        let members = members.into_iter().map(|member| MemberView {
            member_id: member.member_id,
            instance_id: member.instance_id,
            client_id: member.client_id,
            host: member.host.trim_start_matches('/').to_owned(),
        });
        let kind_there = listed.kind.to_lowercase();
        let with = (terms, retention_ms);
        let kept = self.kept(group, &listed.state, places.as_ref(), with);
        Ok(GroupView::of(
            group,
            &listed.state,
            kind(&kind_there, &listed.protocol_type),
            members.collect(),
            lags(places.as_ref(), &ends),
        )
        .kept(kept))
    }

    /// Where the oldest record that a group has not read has waited for longer than `age_ms`. Kafka is asked for the first record
    /// that is younger: what lies between is older. So no record is read, for which there may be no right. Blocks.
    pub(crate) fn waits_longer(
        &self,
        group: &Str,
        age_ms: i64,
        now_ms: i64,
    ) -> Result<BTreeSet<Key>, PlaneError> {
        let places = self.places().get(group).cloned().unwrap_or_default();
        self.ask(|client| {
            let ends = self.ends(client, places.keys().cloned().collect())?;
            let time = ListAt::Time(now_ms.saturating_sub(age_ms));
            let asked: Vec<_> = ends.keys().map(|one| (one.clone(), time)).collect();
            let mut late = BTreeSet::new();
            for (partition, young) in client.list_offsets(&asked)? {
                let (start, end) = ends.get(&partition).copied().unwrap_or_default();
                let key = (Str::copy(&partition.topic), partition.partition);
                let Some(place) = places.get(&key) else {
                    continue;
                };
                // Nothing is so young: all that there is has waited for longer.
                let young = young.offset.or(end);
                let unread = place.offset.max(start.unwrap_or(0));
                if young.is_some_and(|young| unread < young) {
                    late.insert(key);
                }
            }
            Ok(late)
        })
    }

    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, PlaneError> {
        let mut client = Client::connect(self.kafka.clone()).map_err(|e| unanswered(&e))?;
        question(&mut client).map_err(|e| unanswered(&e))
    }

    /// Where the logs of these partitions begin and end, of those that exist.
    fn ends(&self, client: &mut Client, wanted: BTreeSet<Key>) -> Result<Ends, ClientError> {
        self.topics.refresh(client)?;
        let topics = self.topics.all();
        let exists = |(topic, partition): &Key| {
            let known: Option<&Known> = topics.get(topic.as_str());
            known.is_some_and(|known| *partition < known.partitions)
        };
        let wanted: Vec<TopicPartition> = wanted
            .into_iter()
            .filter(exists)
            .map(|(topic, partition)| TopicPartition::new(topic.as_str(), partition))
            .collect();
        let mut ends = Ends::new();
        if wanted.is_empty() {
            return Ok(ends);
        }
        for at in [ListAt::Earliest, ListAt::End] {
            let asked: Vec<_> = wanted.iter().map(|one| (one.clone(), at)).collect();
            for (partition, found) in client.list_offsets(&asked)? {
                let slot = ends.entry(partition).or_default();
                match at {
                    ListAt::Earliest => slot.0 = found.offset,
                    _ => slot.1 = found.offset,
                }
            }
        }
        Ok(ends)
    }
}

fn lags(places: Option<&BTreeMap<Key, Place>>, ends: &Ends) -> Vec<PartitionLag> {
    let places = places.into_iter().flatten();
    let one = |((topic, partition), place): (&Key, &Place)| {
        let there = ends.get(&TopicPartition::new(topic.as_str(), *partition));
        let (start, end) = there.copied().unwrap_or_default();
        PartitionLag {
            committed_ms: Some(place.at_ms),
            ..PartitionLag::of(topic, *partition, place.offset, start, end)
        }
    };
    places.map(one).collect()
}
