//! What callers see of a cluster: brokers, topics, partitions.

use std::fmt;

use catchword_wire::Uuid;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition of that topic.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic, self.partition)
    }
}

/// A broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Its number.
    pub node_id: i32,
    /// The host that clients are told.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl BrokerInfo {
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The cluster as a broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id, where the broker has one.
    pub id: Option<String>,
    /// The broker that changes topics; -1 if there is none just now.
    pub controller: i32,
    /// All brokers.
    pub brokers: Vec<BrokerInfo>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id; zero where the broker is too old to have one.
    pub id: Uuid,
    /// Whether it is the broker's own, as `__consumer_offsets`.
    pub internal: bool,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
}

/// A partition as metadata describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The broker that leads it; -1 if none does.
    pub leader: i32,
    /// The leader's epoch; -1 where unknown.
    pub leader_epoch: i32,
    /// The brokers that have a copy.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
}
