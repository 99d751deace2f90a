//! What the members of a consumer group read, as far as they tell.
//!
//! Kafka's consumers say it in the metadata of their protocol; the first version's fields begin all later ones.

use std::collections::BTreeSet;

use bytes::Bytes;
use catchword_wire::{DecodeError, Decoder, Str};

use super::ClassicGroup;

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
