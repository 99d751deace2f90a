//! DescribeTopicPartitions (75): topics and their partitions, page by page (KIP-966).

use std::sync::Arc;

use catchword_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use catchword_wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use catchword_wire::{ErrorCode, Str};

use super::metadata::TOPIC_OPERATIONS;
use crate::catalog::{Topic, is_valid_name};
use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> Outcome<DescribeTopicPartitionsResponse> {
    let catalog = &call.broker.catalog;
    let everything = request.topics.is_empty();
    let mut names: Vec<Str> = if everything {
        catalog.topics().iter().map(|t| t.name.clone()).collect()
    } else {
        request.topics.into_iter().map(|t| t.name).collect()
    };
    names.sort();
    names.dedup();
    let (from_topic, mut from_partition) = match request.cursor {
        Some(cursor) => (cursor.topic_name, cursor.partition_index),
        None => (Str::EMPTY, 0),
    };
    names.retain(|name| *name >= from_topic);
    if names.first() != Some(&from_topic) {
        from_partition = 0;
    }
    let mut page = Page {
        left: request
            .response_partition_limit
            .clamp(1, catalog.config().max_request_partition_size_limit),
        response: Default::default(),
    };
    for name in names {
        match catalog.topic(&name) {
            Some(topic) => {
                if !page.add(call, &topic, std::mem::take(&mut from_partition)) {
                    break;
                }
            }
            None if everything => {}
            None => page.unknown(name),
        }
    }
    Outcome::Now(page.response)
}

struct Page {
    left: i32,
    response: DescribeTopicPartitionsResponse,
}

impl Page {
    /// Adds a topic from a partition on; false once the page is full.
    fn add(&mut self, call: &Call, topic: &Arc<Topic>, from: i32) -> bool {
        let cursor = |partition_index| {
            Some(Cursor {
                topic_name: topic.name.clone(),
                partition_index,
            })
        };
        if self.left == 0 {
            self.response.next_cursor = cursor(from);
            return false;
        }
        let total = topic.partitions.len() as i32;
        let end = total.min(from.max(0).saturating_add(self.left));
        let node = call.broker.node_id;
        let partition = |index: i32| DescribeTopicPartitionsResponsePartition {
            partition_index: index,
            leader_id: node,
            leader_epoch: topic.partition(index).map_or(0, |p| p.leader_epoch),
            replica_nodes: vec![node],
            isr_nodes: vec![node],
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..Default::default()
        };
        let partitions: Vec<_> = (from.max(0)..end).map(partition).collect();
        self.left -= partitions.len() as i32;
        self.response
            .topics
            .push(DescribeTopicPartitionsResponseTopic {
                name: Some(topic.name.clone()),
                topic_id: topic.id,
                is_internal: topic.is_internal(),
                partitions,
                topic_authorized_operations: TOPIC_OPERATIONS,
                ..Default::default()
            });
        if end < total {
            self.response.next_cursor = cursor(end);
        }
        end == total
    }

    fn unknown(&mut self, name: Str) {
        let error = if is_valid_name(&name) {
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::InvalidTopicException
        };
        self.response
            .topics
            .push(DescribeTopicPartitionsResponseTopic {
                error_code: error.code(),
                name: Some(name),
                ..Default::default()
            });
    }
}
