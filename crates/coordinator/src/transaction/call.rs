//! What goes into the shard and what comes out of it. Nothing in this file decides anything.

use catchword_wire::messages::describe_transactions_response::TransactionState;
use catchword_wire::messages::{
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ListTransactionsResponse,
};
use catchword_wire::{ErrorCode, Str};

use crate::call::ReplyTo;
use crate::effect::{Marker, ProducerEpoch};

/// A request to the shard that its transactional id lives in.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum TransactionCall {
    InitProducerId(InitCall),
    /// Partitions that don't exist must have been refused before.
    AddPartitions(PartitionsCall),
    /// Whether partitions are part of the transaction. Changes nothing.
    VerifyPartitions(PartitionsCall),
    EndTxn(EndTxnRequest),
    /// One transactional id of a DescribeTransactions request.
    Describe(Str),
    /// The transactions of this shard. The pattern is left to the caller, who knows regular expressions.
    List(ListTransactionsRequest),
}

/// InitProducerId with a transactional id.
#[derive(Debug, Clone, PartialEq)]
pub struct InitCall {
    /// The request; its transactional id is not null.
    pub request: InitProducerIdRequest,
    /// A producer id that was never given out, in case one is needed.
    pub spare_id: i64,
}

/// Partitions that a producer writes to.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionsCall {
    /// Whose transaction.
    pub transactional_id: Str,
    /// Who says that it writes.
    pub producer: ProducerEpoch,
    /// Topics and partitions.
    pub partitions: Vec<(Str, i32)>,
    /// The transaction version that the client speaks: [`CLIENT_MANAGED`](super::CLIENT_MANAGED) or
    /// [`EPOCH_BUMP`](super::EPOCH_BUMP).
    pub version: i16,
}

/// The answer to the [`TransactionCall`] of the same name.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum TransactionReply {
    InitProducerId(InitProducerIdResponse),
    /// For each partition that was asked for, in order.
    Partitions(Vec<ErrorCode>),
    EndTxn(EndTxnResponse),
    Describe(TransactionState),
    List(ListTransactionsResponse),
}

/// A transaction that was decided: its markers are to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfTransaction {
    /// Whose.
    pub transactional_id: Str,
    /// What every marker says; the coordinator's epoch is the driver's to fill in.
    pub marker: Marker,
    /// Where.
    pub partitions: Vec<(Str, i32)>,
}

/// Something for the driver to do once the records before it are durable.
#[derive(Debug, Clone, PartialEq)]
pub enum TransactionEffect {
    /// Answer a call. Each call is answered exactly once.
    Reply {
        /// Where to.
        to: ReplyTo,
        /// What.
        reply: TransactionReply,
    },
    /// Write a marker into every partition; when all are durable call
    /// [`markers_written`](super::TransactionShard::markers_written). A partition that is gone has its marker.
    WriteMarkers(EndOfTransaction),
    /// Draw a producer id and call [`give_producer_id`](super::TransactionShard::give_producer_id).
    WantProducerId,
}

impl TransactionCall {
    /// The transactional id that is called; `None` if the call is not about one.
    pub fn transactional_id(&self) -> Option<&Str> {
        match self {
            TransactionCall::InitProducerId(call) => call.request.transactional_id.as_ref(),
            TransactionCall::AddPartitions(call) | TransactionCall::VerifyPartitions(call) => {
                Some(&call.transactional_id)
            }
            TransactionCall::EndTxn(request) => Some(&request.transactional_id),
            TransactionCall::Describe(transactional_id) => Some(transactional_id),
            TransactionCall::List(_) => None,
        }
    }

    /// The reply to a call that no shard has seen: it is loading, or it is elsewhere.
    pub fn refuse(self, error: ErrorCode) -> TransactionReply {
        match self {
            TransactionCall::InitProducerId(_) => {
                TransactionReply::InitProducerId(refused_init(error))
            }
            TransactionCall::AddPartitions(call) | TransactionCall::VerifyPartitions(call) => {
                TransactionReply::Partitions(vec![error; call.partitions.len()])
            }
            TransactionCall::EndTxn(_) => TransactionReply::EndTxn(refused_end(error)),
            TransactionCall::Describe(transactional_id) => {
                TransactionReply::Describe(TransactionState {
                    transactional_id,
                    error_code: error.code(),
                    ..TransactionState::default()
                })
            }
            TransactionCall::List(_) => TransactionReply::List(ListTransactionsResponse {
                error_code: error.code(),
                ..ListTransactionsResponse::default()
            }),
        }
    }
}

impl TransactionReply {
    /// The same reply with `error` in place of success, for when the records that it waits for could not be stored.
    pub fn into_error(self, error: ErrorCode) -> TransactionReply {
        match self {
            TransactionReply::InitProducerId(_) => {
                TransactionReply::InitProducerId(refused_init(error))
            }
            TransactionReply::Partitions(all) => {
                TransactionReply::Partitions(vec![error; all.len()])
            }
            TransactionReply::EndTxn(_) => TransactionReply::EndTxn(refused_end(error)),
            TransactionReply::Describe(found) => TransactionReply::Describe(TransactionState {
                transactional_id: found.transactional_id,
                error_code: error.code(),
                ..TransactionState::default()
            }),
            TransactionReply::List(_) => TransactionReply::List(ListTransactionsResponse {
                error_code: error.code(),
                ..ListTransactionsResponse::default()
            }),
        }
    }
}

pub(super) fn refused_init(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    }
}

pub(super) fn refused_end(error: ErrorCode) -> EndTxnResponse {
    EndTxnResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..EndTxnResponse::default()
    }
}
