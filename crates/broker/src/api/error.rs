//! The one table from the log's errors to Kafka's codes.

use catchword_log::{AppendError, LogError, ReadError};
use catchword_wire::ErrorCode;

/// The code for an append that did not happen.
pub(super) fn append_error(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
        AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::RecordTooLargeForSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::InvalidBatch { .. } => ErrorCode::InvalidRecord,
        AppendError::Storage(error) => log_error(error),
    }
}

/// The code for a read that failed.
pub(super) fn read_error(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Storage(error) => log_error(error),
    }
}

/// The code for storage that failed.
pub(super) fn log_error(error: &LogError) -> ErrorCode {
    match error {
        LogError::NotFound { .. } => ErrorCode::UnknownTopicOrPartition,
        LogError::Closed => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::KafkaStorageError,
    }
}
