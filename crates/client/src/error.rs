//! What goes wrong, said with what to do next.

use std::time::Duration;

use catchword_wire::batch::{BatchError, BuildError};
use catchword_wire::{DecodeError, EncodeError, ErrorCode};

/// A failed conversation with a broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No broker could be reached.
    #[error(
        "cannot reach a broker at {address}: {why}\nIs one running there? `catchword serve` starts one; --bootstrap HOST:PORT names another."
    )]
    Unreachable {
        /// The address, or several separated by commas.
        address: String,
        /// The operating system's reason.
        why: String,
    },
    /// The address is not one.
    #[error("{text:?} is not a broker's address; it is HOST:PORT, for example 127.0.0.1:9092")]
    BadAddress {
        /// What was given.
        text: String,
    },
    /// The broker closed the connection.
    #[error(
        "{address} closed the connection while {what} was awaited{}",
        if *.had != Had::Answers { "; does a Kafka broker listen there? One that wants TLS, or to know who connects, is told by --command-config FILE" } else { "" }
    )]
    Closed {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// What had been answered on the connection before.
        had: Had,
    },
    /// No TLS with this broker.
    #[error("no TLS with {address}: {why}")]
    NotSecured {
        /// The broker.
        address: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The broker does not take us for who we say we are.
    #[error("{address} does not let {user:?} in: {why}")]
    NotAuthenticated {
        /// The broker.
        address: String,
        /// The name that was given.
        user: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The broker did not answer in time.
    #[error("{address} did not answer {what} within {} s", after.as_secs_f32())]
    TimedOut {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// What came back is not Kafka's protocol, or not as it should be.
    #[error("{address} answered {what} with something else: {why}")]
    Malformed {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A fault of the connection.
    #[error("the connection to {address} failed during {what}: {source}")]
    Io {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The broker and this client have no version of the request in common.
    #[error(
        "{address} does not offer {what} in a version that this client speaks (it offers {offered}); use a newer broker or client"
    )]
    NoCommonVersion {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// The versions of the broker.
        offered: String,
    },
    /// The broker refused.
    #[error("{what}: {}{}{}", code.name(), detail(message, advice(*code)), advice(*code))]
    Refused {
        /// What was attempted, with its object: `create topic "a"`.
        what: String,
        /// Kafka's error.
        code: ErrorCode,
        /// The broker's own words, where it sent some.
        message: Option<String>,
    },
    /// There is no such topic.
    #[error(
        "there is no topic {topic:?}; `catchword topics list` shows what there is, `catchword topics create {topic}` makes it"
    )]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// There is no such partition.
    #[error("topic {topic:?} has no partition {partition}; it has 0 to {last}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// The last there is.
        last: i32,
    },
    /// A record or request could not be put into bytes.
    #[error("cannot encode the request: {0}")]
    Encode(#[from] EncodeError),
    /// A record could not be put into a batch.
    #[error("cannot build the record batch: {0}")]
    Build(#[from] BuildError),
    /// Records that came back are damaged.
    #[error("the records of {partition} at offset {offset} are damaged: {source}")]
    Records {
        /// The partition, TOPIC:NUMBER.
        partition: String,
        /// The offset that was read from.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
}

/// What came over a connection before it was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Had {
    /// Nothing: it may not be a broker at all.
    Nothing,
    /// Its versions: it may want to know who we are before it says more.
    Greeting,
    /// Answers.
    Answers,
}

/// The broker's words; without their full stop where more is said.
fn detail(message: &Option<String>, more: &str) -> String {
    match message {
        None => String::new(),
        Some(message) if more.is_empty() => format!(": {message}"),
        Some(message) => format!(": {}", message.trim_end_matches('.')),
    }
}

/// What to do about an error that people meet.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TopicAlreadyExists => "; `catchword topics describe` shows it",
        ErrorCode::NonEmptyGroup => "; stop the group's members first",
        ErrorCode::GroupIdNotFound => "; `catchword groups` lists the groups there are",
        ErrorCode::UnknownMemberId => {
            "; the group has live members, or this member was away for too long"
        }
        ErrorCode::CoordinatorLoadInProgress => "; the coordinator is still loading, try again",
        ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
            "; no coordinator is available yet, try again"
        }
        ErrorCode::MessageTooLarge => "; raise the topic's max.message.bytes or send less at once",
        ErrorCode::InvalidReplicationFactor => "; there are not that many brokers",
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed => "; ask the cluster's owner for the right",
        _ => "",
    }
}

impl ClientError {
    /// The broker's error, if it was one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same request may well succeed in a moment, perhaps at another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Closed { had, .. } => *had != Had::Nothing,
            Self::Io { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } => true,
            _ => false,
        }
    }

    /// Whether the broker closed the connection as soon as it had said which versions it has.
    pub(crate) fn is_turned_away(&self) -> bool {
        matches!(
            self,
            Self::Closed {
                had: Had::Greeting,
                ..
            }
        )
    }

    /// Whether the connection it came from must not be used again.
    pub(crate) fn breaks_connection(&self) -> bool {
        matches!(
            self,
            Self::Closed { .. }
                | Self::TimedOut { .. }
                | Self::Malformed { .. }
                | Self::Io { .. }
                | Self::NotSecured { .. }
        )
    }

    pub(crate) fn malformed(address: &str, what: &'static str, error: &DecodeError) -> Self {
        Self::Malformed {
            address: address.to_owned(),
            what,
            why: error.to_string(),
        }
    }
}

/// `Ok` if the code says that there was no error.
pub(crate) fn check(
    code: i16,
    message: Option<&str>,
    what: impl FnOnce() -> String,
) -> Result<(), ClientError> {
    let code = ErrorCode::from_code(code);
    if code.is_none() {
        return Ok(());
    }
    let message = message.filter(|text| !text.is_empty()).map(str::to_owned);
    Err(ClientError::Refused {
        what: what(),
        code,
        message,
    })
}
