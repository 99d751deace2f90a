//! What a streams group tells its members besides their tasks: why there are none, or that the application is to end.

use catchword_wire::Str;
use catchword_wire::messages::streams_group_heartbeat_response as response;

/// Kafka's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusCode {
    /// The member runs an older topology than the group.
    StaleTopology = 0,
    /// Topics that the application reads do not exist.
    MissingSourceTopics = 1,
    /// Topics that are read together, or internal ones, have the wrong number of partitions.
    IncorrectlyPartitionedTopics = 2,
    /// Internal topics are being made.
    MissingInternalTopics = 3,
    /// A member asked that all end.
    ShutdownApplication = 4,
    /// Tasks are shared out a little later.
    AssignmentDelayed = 5,
}

/// A status, and the words to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: StatusCode,
    pub(super) detail: Str,
}

impl Status {
    pub(super) fn new(code: StatusCode, detail: impl Into<Str>) -> Status {
        Status {
            code,
            detail: detail.into(),
        }
    }

    pub(super) fn told(&self) -> response::Status {
        response::Status {
            status_code: self.code as i8,
            status_detail: self.detail.clone(),
        }
    }
}
