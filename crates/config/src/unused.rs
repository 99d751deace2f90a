//! Keys that Kafka has, or had, and Catchword does not: named to the user with a reason, never swallowed.
//!
//! A name that ends in `*` stands for all that begin so.

const TLS: &str = "TLS and SASL are not served yet";
const AUTH: &str = "there are no access rules yet";
const QUOTA: &str = "there is no quota of that kind, or it goes by quota.window.*";
const QUORUM: &str = "there is no controller quorum";
const REPLICAS: &str = "a partition lives on one broker, there are no replicas";
const METADATA: &str = "cluster metadata is kept in the broker's own log";
const TIERED: &str = "there is no tiered storage in the local log";
const TWO_PHASES: &str = "two-phase commit is not served, which is Kafka's default";
const VERIFIED: &str = "a transaction's partitions are always verified, within the same process";
const CONSUMER: &str = "the broker has other means for it";
const JAVA: &str = "it names Java code or a Java runtime's metrics";
const PURGATORY: &str = "waiting requests need no purging";
const ZOOKEEPER: &str = "Kafka itself gave it up with ZooKeeper";
const GONE: &str = "Kafka itself no longer has it";
const INSIDE: &str = "it concerns Kafka's inside";

static UNUSED: &[(&str, &[&str])] = &[
    (
        TLS,
        &[
            "ssl.*",
            "sasl.*",
            "security.*",
            "connections.max.reauth.ms",
            "listener.name.*",
            "delegation.token.*",
            "connection.failed.authentication.delay.ms",
            "early.start.listeners",
            "inter.broker.listener.name",
        ],
    ),
    (
        AUTH,
        &[
            "authorizer.class.name",
            "super.users",
            "allow.everyone.if.no.acl.found",
        ],
    ),
    (
        QUOTA,
        &[
            "client.quota.callback.class",
            "controller.quota.*",
            "alter.log.dirs.replication.quota.*",
            "replication.quota.*",
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
            "replica.alter.log.dirs.io.max.bytes.per.second",
        ],
    ),
    (
        QUORUM,
        &[
            "controller.quorum.*",
            "controller.socket.timeout.ms",
            "controller.performance.*",
            "broker.heartbeat.interval.ms",
            "broker.session.timeout.ms",
            "initial.broker.registration.timeout.ms",
            "controlled.shutdown.enable",
            "server.max.startup.time.ms",
        ],
    ),
    (
        REPLICAS,
        &[
            "replica.*",
            "auto.leader.rebalance.enable",
            "leader.imbalance.check.interval.seconds",
            "leader.imbalance.per.broker.percentage",
            "num.replica.*",
            "unclean.leader.election.interval.ms",
            "follower.fetch.last.tiered.offset.enable",
            "request.timeout.ms",
            "socket.connection.setup.timeout.*",
            "log.dir.failure.timeout.ms",
            "cordoned.log.dirs",
        ],
    ),
    (METADATA, &["metadata.*", "internal.metadata.*"]),
    (TIERED, &["remote.*", "rsm.config.*", "rlmm.config.*"]),
    (TWO_PHASES, &["transaction.two.phase.commit.enable"]),
    (
        VERIFIED,
        &[
            "transaction.partition.verification.enable",
            "add.partitions.to.txn.*",
        ],
    ),
    (CONSUMER, &["group.consumer.*", "group.share.*", "share.*"]),
    (
        JAVA,
        &[
            "metric.reporters",
            "metrics.*",
            "kafka.metrics.*",
            "auto.include.jmx.reporter",
            "config.providers*",
            "principal.builder.class",
            "create.topic.policy.class.name",
            "alter.config.policy.class.name",
            "unstable.*",
        ],
    ),
    (
        PURGATORY,
        &[
            "producer.purgatory.purge.interval.requests",
            "fetch.purgatory.purge.interval.requests",
            "delete.records.purgatory.purge.interval.requests",
        ],
    ),
    (
        INSIDE,
        &[
            "group.coordinator.cached.buffer.max.bytes",
            "log.message.format.version",
        ],
    ),
    (
        ZOOKEEPER,
        &[
            "zookeeper.*",
            "broker.id.generation.enable",
            "reserved.broker.max.id",
            "control.plane.listener.name",
            "zookeeper.metadata.migration.*",
            "password.encoder.*",
            "inter.broker.protocol.version",
            "controlled.shutdown.max.retries",
            "controlled.shutdown.retry.backoff.ms",
        ],
    ),
    (
        GONE,
        &[
            "port",
            "host.name",
            "advertised.host.name",
            "advertised.port",
            "offsets.topic.compression",
            "offsets.commit.required.acks",
            "log.message.downconversion.enable",
            "group.coordinator.new.enable",
            "log.message.timestamp.difference.max.ms",
            "eligible.leader.replicas.enable",
        ],
    ),
];

/// Why a key of Kafka's has no meaning here; `None` if Kafka does not have it either.
pub fn reason(name: &str) -> Option<&'static str> {
    let matches = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *pattern,
    };
    UNUSED
        .iter()
        .find(|(_, names)| names.iter().any(&matches))
        .map(|(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafka_has_and_we_do_not_has_a_reason() {
        for name in [
            "zookeeper.connect",
            "ssl.keystore.location",
            "listener.name.internal.sasl.jaas.config",
            "authorizer.class.name",
            "share.coordinator.state.topic.min.isr",
        ] {
            assert!(reason(name).is_some(), "{name}");
        }
        assert_eq!(reason("num.partitons"), None);
    }

    /// Names of Kafka 4.3's broker keys, one a line, so that none of them is ever called unknown.
    #[test]
    fn every_broker_key_of_kafka_is_either_ours_or_named_here() {
        for name in include_str!("../tests/kafka-4.3-broker-keys.txt").lines() {
            let known = crate::BrokerConfig::key(name).is_some();
            assert!(known || reason(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_topic_key_of_kafka_is_ours() {
        for name in include_str!("../tests/kafka-4.3-topic-keys.txt").lines() {
            assert!(crate::topic::known_key(name).is_ok(), "{name}");
        }
    }
}
