//! What transactions look like from outside: DescribeTransactions and ListTransactions.

use catchword_wire::messages::describe_transactions_response::{TopicData, TransactionState};
use catchword_wire::messages::list_transactions_response::TransactionState as Listed;
use catchword_wire::messages::{ListTransactionsRequest, ListTransactionsResponse};
use catchword_wire::{ErrorCode, Str};

use super::TransactionShard;
use super::state::{Status, Transaction};

impl TransactionShard {
    pub(super) fn describe(&self, transactional_id: Str) -> TransactionState {
        let refused = |error: ErrorCode, transactional_id| TransactionState {
            error_code: error.code(),
            transactional_id,
            ..TransactionState::default()
        };
        if transactional_id.is_empty() {
            return refused(ErrorCode::InvalidRequest, transactional_id);
        }
        let Some(found) = self.transactions.get(&transactional_id) else {
            return refused(ErrorCode::TransactionalIdNotFound, transactional_id);
        };
        let mut topics: Vec<TopicData> = Vec::new();
        for (topic, partition) in &found.partitions {
            match topics.last_mut().filter(|last| last.topic == *topic) {
                Some(last) => last.partitions.push(*partition),
                None => topics.push(TopicData {
                    topic: topic.clone(),
                    partitions: vec![*partition],
                }),
            }
        }
        TransactionState {
            error_code: ErrorCode::None.code(),
            transactional_id,
            transaction_state: found.status.name().into(),
            transaction_timeout_ms: found.timeout_ms,
            transaction_start_time_ms: found.start_ms,
            producer_id: found.producer_id,
            producer_epoch: found.epoch,
            topics,
        }
    }

    pub(super) fn list(
        &self,
        now_ms: i64,
        request: &ListTransactionsRequest,
    ) -> ListTransactionsResponse {
        let passes = |found: &Transaction| {
            let (ids, states) = (&request.producer_id_filters, &request.state_filters);
            (ids.is_empty() || ids.contains(&found.producer_id))
                && (states.is_empty() || states.iter().any(|name| *name == found.status.name()))
                && (request.duration_filter < 0
                    || now_ms.saturating_sub(found.start_ms) > request.duration_filter)
        };
        let unknown = request.state_filters.iter();
        let unknown = unknown.filter(|name| !Status::is_name(name));
        let all = self.transactions.iter().filter(|(_, found)| passes(found));
        let listed = all.map(|(id, found)| Listed {
            transactional_id: id.clone(),
            producer_id: found.producer_id,
            transaction_state: found.status.name().into(),
        });
        ListTransactionsResponse {
            unknown_state_filters: unknown.cloned().collect(),
            transaction_states: listed.collect(),
            ..ListTransactionsResponse::default()
        }
    }
}
