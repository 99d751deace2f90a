//! What the members of a consumer group read, as far as they tell.
//!
//! Kafka's consumers say it in the metadata of their protocol; the first version's fields begin all later ones.

use std::collections::BTreeSet;

use bytes::Bytes;
use catchword_wire::{DecodeError, Decoder, Str};

use super::ClassicGroup;
use crate::group::member::Member;
use crate::group::roster::RosterMember;

impl ClassicGroup {
    /// Reads the members' subscriptions anew, at the begin of a generation.
    pub(super) fn compute_subscription(&mut self) {
        self.subscribed = self.read_subscriptions();
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<Str>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_ref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let own = subscribed_topics(member.metadata(protocol)?).ok()?;
            topics.extend(own.iter().map(Str::detached));
        }
        Some(topics)
    }

    /// Whether a member may be reading the topic. Where a consumer group does not tell, all topics may be read.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    /// The members, and what the leader gave them.
    pub(crate) fn roster(&self) -> Vec<RosterMember> {
        self.members()
            .map(|member| self.on_roster(member))
            .collect()
    }

    pub(super) fn on_roster(&self, member: &Member) -> RosterMember {
        let partitions = self
            .uses_consumer_protocol()
            .then(|| assigned_partitions(&member.assignment).ok())
            .flatten();
        RosterMember {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            partitions: partitions.unwrap_or_default(),
        }
    }
}

/// What a `ConsumerProtocolAssignment` of any version gives. No bytes give nothing.
fn assigned_partitions(assignment: &Bytes) -> Result<Vec<(Str, i32)>, DecodeError> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let mut fields = Decoder::new(assignment.clone());
    let version = fields.i16()?;
    if version < 0 {
        let message = "ConsumerProtocolAssignment";
        return Err(DecodeError::UnsupportedVersion { message, version });
    }
    let topics = fields.array(false, |fields| {
        let topic = fields.string(false)?.detached();
        let partitions = fields.array(false, |fields| fields.i32())?;
        Ok((topic, partitions))
    })?;
    let each = |(topic, partitions): (Str, Vec<i32>)| {
        let with = move |partition| (topic.clone(), partition);
        partitions.into_iter().map(with).collect::<Vec<_>>()
    };
    Ok(topics.into_iter().flat_map(each).collect())
}

/// The topics of a `ConsumerProtocolSubscription` of any version.
fn subscribed_topics(metadata: &Bytes) -> Result<Vec<Str>, DecodeError> {
    let mut fields = Decoder::new(metadata.clone());
    let version = fields.i16()?;
    if version < 0 {
        let message = "ConsumerProtocolSubscription";
        return Err(DecodeError::UnsupportedVersion { message, version });
    }
    let topics = fields.array(false, |fields| fields.string(false))?;
    fields.nullable_bytes(false)?;
    Ok(topics)
}
