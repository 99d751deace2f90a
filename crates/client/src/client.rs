//! The client: which broker to ask, and asking again.
//!
//! Invariant: a connection that failed is not used again; what the metadata says is forgotten as soon as a broker says
//! otherwise. It must not know what the requests mean.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use catchword_wire::api::Request;
use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse};
use catchword_wire::{ErrorCode, Str};

use crate::connection::Connection;
use crate::error::{ClientError, check};
use crate::security::Security;
use crate::types::{BrokerInfo, Cluster, Partition, Topic, TopicPartition};

/// Where a broker is looked for if nobody says.
pub const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

/// Any version that both sides have.
pub(crate) const ANY: i16 = i16::MAX;

/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// A broker that closes so many connections running right after its greeting is not stopping: it wants to know who asks.
const TURNED_AWAY: u32 = 3;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Brokers to begin with, `HOST:PORT` separated by commas.
    pub bootstrap: String,
    /// What the client calls itself.
    pub client_id: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take, beyond what the request itself waits for.
    pub request_timeout: Duration,
    /// How long something is tried again before its error is given.
    pub retry_for: Duration,
    /// Whether connections are under TLS, and who connects.
    pub security: Security,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            bootstrap: DEFAULT_BOOTSTRAP.into(),
            client_id: "catchword".into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(15),
            security: Security::default(),
        }
    }
}

impl ClientOptions {
    /// The default options for other brokers.
    pub fn to(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            ..Self::default()
        }
    }
}

/// A connection to a cluster.
pub struct Client {
    options: ClientOptions,
    connections: HashMap<String, Connection>,
    brokers: HashMap<i32, BrokerInfo>,
    controller: i32,
    leaders: HashMap<TopicPartition, i32>,
    coordinators: HashMap<String, BrokerInfo>,
}

impl Client {
    /// Connects to the first of the bootstrap brokers that answers.
    ///
    /// # Errors
    /// If none does.
    pub fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        let mut client = Self {
            options,
            connections: HashMap::new(),
            brokers: HashMap::new(),
            controller: -1,
            leaders: HashMap::new(),
            coordinators: HashMap::new(),
        };
        client.any()?;
        Ok(client)
    }

    /// The options it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// When trying again must end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.options.retry_for
    }

    /// A connection to `address`, an open one if there is one.
    pub(crate) fn at(&mut self, address: &str) -> Result<&mut Connection, ClientError> {
        if !self.connections.contains_key(address) {
            let connection = Connection::open(address, &self.options)?;
            self.connections.insert(address.to_owned(), connection);
        }
        Ok(self
            .connections
            .get_mut(address)
            .expect("it was just put there"))
    }

    /// As [`Client::at`], for a request: a connection on which the broker will soon not believe us any more is replaced. There
    /// must be no answers under way on it.
    pub(crate) fn fresh(&mut self, address: &str) -> Result<&mut Connection, ClientError> {
        if self
            .connections
            .get(address)
            .is_some_and(Connection::is_over)
        {
            self.connections.remove(address);
        }
        self.at(address)
    }

    /// A connection to any broker, the bootstrap ones first.
    pub(crate) fn any(&mut self) -> Result<&mut Connection, ClientError> {
        let bootstrap = self.options.bootstrap.clone();
        let mut addresses: Vec<String> = bootstrap
            .split(',')
            .map(|address| address.trim().trim_start_matches("PLAINTEXT://").to_owned())
            .filter(|address| !address.is_empty())
            .collect();
        addresses.extend(self.brokers.values().map(BrokerInfo::address));
        let mut failure = ClientError::BadAddress { text: bootstrap };
        for address in addresses {
            match self.at(&address) {
                Ok(_) => return self.at(&address),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Drops what an error has made doubtful.
    pub(crate) fn note(&mut self, address: &str, error: &ClientError) {
        if error.breaks_connection() {
            self.connections.remove(address);
        }
    }

    pub(crate) fn call_at<R: Request>(
        &mut self,
        address: &str,
        request: &R,
        cap: i16,
        extra_wait: Duration,
    ) -> Result<R::Response, ClientError> {
        let result = self
            .fresh(address)
            .and_then(|connection| connection.call(request, cap, extra_wait));
        if let Err(error) = &result {
            self.note(address, error);
        }
        result
    }

    pub(crate) fn call_any<R: Request>(
        &mut self,
        request: &R,
        cap: i16,
    ) -> Result<R::Response, ClientError> {
        let address = self.any()?.address().to_owned();
        self.call_at(&address, request, cap, Duration::ZERO)
    }

    /// Runs `attempt` until it succeeds, fails for good, or time is up.
    pub(crate) fn retrying<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let deadline = self.deadline();
        let mut turned_away = 0;
        loop {
            match attempt(self) {
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    turned_away = match error.is_turned_away() {
                        true => turned_away + 1,
                        false => 0,
                    };
                    if turned_away == TURNED_AWAY {
                        return Err(error);
                    }
                    self.leaders.clear();
                    self.coordinators.clear();
                    std::thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }

    /// Asks for metadata of the topics, or of all.
    pub(crate) fn metadata(
        &mut self,
        topics: Option<&[&str]>,
        create: bool,
    ) -> Result<MetadataResponse, ClientError> {
        let request = MetadataRequest {
            topics: topics.map(|names| {
                let topic = |name: &&str| MetadataRequestTopic {
                    name: Some(Str::copy(name)),
                    ..Default::default()
                };
                names.iter().map(topic).collect()
            }),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        let response = self.call_any(&request, ANY)?;
        self.controller = response.controller_id;
        self.brokers = response
            .brokers
            .iter()
            .map(|broker| {
                let port = u16::try_from(broker.port).unwrap_or_default();
                (
                    broker.node_id,
                    BrokerInfo {
                        node_id: broker.node_id,
                        host: broker.host.to_string(),
                        port,
                    },
                )
            })
            .collect();
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            for partition in &topic.partitions {
                let key = TopicPartition::new(name.as_str(), partition.partition_index);
                self.leaders.insert(key, partition.leader_id);
            }
        }
        Ok(response)
    }

    /// The cluster and its brokers, by number.
    ///
    /// # Errors
    /// If no broker answers.
    pub fn cluster(&mut self) -> Result<Cluster, ClientError> {
        let response = self.retrying(|client| client.metadata(Some(&[]), false))?;
        let mut brokers: Vec<_> = self.brokers.values().cloned().collect();
        brokers.sort_by_key(|broker| broker.node_id);
        Ok(Cluster {
            id: response.cluster_id.map(|id| id.to_string()),
            controller: response.controller_id,
            brokers,
        })
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// If no broker answers, or one refuses.
    pub fn topics(&mut self) -> Result<Vec<Topic>, ClientError> {
        let response = self.retrying(|client| client.metadata(None, false))?;
        let mut topics = response
            .topics
            .into_iter()
            .map(topic)
            .collect::<Result<Vec<_>, _>>()?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic; `create` lets the broker make it as its `auto.create.topics.enable` says.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`] if there is none.
    pub fn topic(&mut self, name: &str, create: bool) -> Result<Topic, ClientError> {
        let unknown = || ClientError::UnknownTopic {
            topic: name.to_owned(),
        };
        let attempt = |client: &mut Self| {
            let response = client.metadata(Some(&[name]), create)?;
            let found = response.topics.into_iter().next().ok_or_else(unknown)?;
            let missing = found.error_code == ErrorCode::UnknownTopicOrPartition.code();
            if missing && !create {
                return Err(unknown());
            }
            topic(found)
        };
        match self.retrying(attempt) {
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                Err(unknown())
            }
            result => result,
        }
    }

    /// The address of the broker that leads the partition.
    pub(crate) fn leader(&mut self, partition: &TopicPartition) -> Result<String, ClientError> {
        let known = |client: &Self| {
            let node = client.leaders.get(partition)?;
            client.brokers.get(node).map(BrokerInfo::address)
        };
        if let Some(address) = known(self) {
            return Ok(address);
        }
        let topic = self.topic(&partition.topic, false)?;
        if !topic
            .partitions
            .iter()
            .any(|found| found.index == partition.partition)
        {
            return Err(ClientError::UnknownPartition {
                topic: partition.topic.clone(),
                partition: partition.partition,
                last: topic.partitions.len() as i32 - 1,
            });
        }
        known(self).ok_or_else(|| ClientError::Refused {
            what: format!("find the leader of {partition}"),
            code: ErrorCode::LeaderNotAvailable,
            message: None,
        })
    }

    /// The partitions, by their leaders' addresses.
    pub(crate) fn by_leader<'a, T>(
        &mut self,
        items: &'a [T],
        partition: impl Fn(&T) -> &TopicPartition,
    ) -> Result<Vec<(String, Vec<&'a T>)>, ClientError> {
        let mut groups: Vec<(String, Vec<&T>)> = Vec::new();
        for item in items {
            let address = self.leader(partition(item))?;
            match groups.iter_mut().find(|(leader, _)| *leader == address) {
                Some((_, items)) => items.push(item),
                None => groups.push((address, vec![item])),
            }
        }
        Ok(groups)
    }

    /// Forgets who leads what, after a broker said that it does not.
    pub(crate) fn forget_leaders(&mut self) {
        self.leaders.clear();
    }

    /// Drops connections on which answers are under way that nobody will read.
    pub(crate) fn drop_connections(&mut self, addresses: impl Iterator<Item = String>) {
        for address in addresses {
            self.connections.remove(&address);
        }
    }

    /// The address of the group's coordinator.
    pub(crate) fn coordinator(&mut self, group: &str) -> Result<String, ClientError> {
        if let Some(broker) = self.coordinators.get(group) {
            return Ok(broker.address());
        }
        let request = FindCoordinatorRequest {
            key: Str::copy(group),
            key_type: 0,
            coordinator_keys: vec![Str::copy(group)],
        };
        let what = || format!("find the coordinator of group {group:?}");
        let broker = self.retrying(|client| {
            let response = client.call_any(&request, ANY)?;
            check(response.error_code, response.error_message.as_deref(), what)?;
            let (node_id, host, port) = match response.coordinators.into_iter().next() {
                Some(found) => {
                    check(found.error_code, found.error_message.as_deref(), what)?;
                    (found.node_id, found.host, found.port)
                }
                None => (response.node_id, response.host, response.port),
            };
            let port = u16::try_from(port).unwrap_or_default();
            Ok(BrokerInfo {
                node_id,
                host: host.to_string(),
                port,
            })
        })?;
        let address = broker.address();
        self.coordinators.insert(group.to_owned(), broker);
        Ok(address)
    }

    /// Asks the group's coordinator, looking for it again when it is not the one asked. `check` gives the response's
    /// own error.
    pub(crate) fn call_coordinator<R: Request>(
        &mut self,
        group: &str,
        request: &R,
        cap: i16,
        extra_wait: Duration,
        check: impl Fn(&R::Response) -> Result<(), ClientError>,
    ) -> Result<R::Response, ClientError> {
        self.retrying(|client| {
            let address = client.coordinator(group)?;
            let response = client.call_at(&address, request, cap, extra_wait)?;
            check(&response)?;
            Ok(response)
        })
    }

    /// Asks the controller; where the broker names none, any broker, which passes it on.
    pub(crate) fn call_controller<R: Request>(
        &mut self,
        request: &R,
        check: impl Fn(&R::Response) -> Result<(), ClientError>,
    ) -> Result<R::Response, ClientError> {
        self.retrying(|client| {
            if client.brokers.is_empty() {
                client.metadata(Some(&[]), false)?;
            }
            let controller = client
                .brokers
                .get(&client.controller)
                .map(BrokerInfo::address);
            let address = match controller {
                Some(address) => address,
                None => client.any()?.address().to_owned(),
            };
            let response = client.call_at(&address, request, ANY, Duration::ZERO)?;
            if let Err(error) = check(&response) {
                if error.code() == Some(ErrorCode::NotController) {
                    client.brokers.clear();
                }
                return Err(error);
            }
            Ok(response)
        })
    }

    /// All brokers' addresses.
    pub(crate) fn addresses(&mut self) -> Result<Vec<String>, ClientError> {
        Ok(self
            .cluster()?
            .brokers
            .iter()
            .map(BrokerInfo::address)
            .collect())
    }
}

fn topic(
    found: catchword_wire::messages::metadata_response::MetadataResponseTopic,
) -> Result<Topic, ClientError> {
    let name = found.name.as_deref().unwrap_or_default().to_owned();
    check(found.error_code, None, || format!("look up topic {name:?}"))?;
    let mut partitions: Vec<_> = found
        .partitions
        .into_iter()
        .map(|partition| Partition {
            index: partition.partition_index,
            leader: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes,
            in_sync: partition.isr_nodes,
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    Ok(Topic {
        name,
        id: found.topic_id,
        internal: found.is_internal,
        partitions,
    })
}
