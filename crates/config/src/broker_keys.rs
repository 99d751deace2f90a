//! The broker's keys: the only list of them, a new one is one entry here.
//!
//! Defaults are Kafka 4.3's unless the entry says otherwise. The order is that of the reference.

use crate::key::{Key, Scope, Type, hours, key_table, minutes, same};
use crate::value::{Durability, TimestampType};

const ONE_MACHINE: &str = "a partition lives on one broker here, there are no replicas";
const THREADS: &str = "the broker sizes its threads by the machine";
const BUFFERS: &str = "memory for this is bounded in another way";
const SYNC: &str = "log.durability says when data is synced";
const TIERED: &str = "there is no tiered storage in the local log";

key_table! {
    /// Every key that is set on a broker.
    BROKER_KEYS;
    /// The broker keys' values.
    BrokerSettings;
    Scope::Broker;

    // Where it listens.
    listeners: Vec<String> = Key::list("listeners", "PLAINTEXT://127.0.0.1:9092").kafka_default("PLAINTEXT://:9092").not_empty()
        .doc("Where the broker listens: NAME://HOST:PORT, several separated by commas. Without a host, on all interfaces; port 0 takes a free one.");
    advertised_listeners: Option<Vec<String>> = Key::unset("advertised.listeners", Type::List)
        .doc("The addresses that clients are told to connect to, where they differ from `listeners` (behind NAT, in a container). One per listener name.");
    listener_security_protocol_map: Vec<String> = Key::list("listener.security.protocol.map", "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")
        .doc("Which protocol a listener name stands for: NAME:PROTOCOL, separated by commas. Only PLAINTEXT is served so far.");
    controller_listener_names: Vec<String> = Key::list("controller.listener.names", "").kafka_default("(required)")
        .doc("Listeners that Kafka keeps for its controllers. They are left out here: Catchword has no separate controller.");
    http_listener: String = Key::string("http.listener", "127.0.0.1:9644").ours()
        .doc("Where the JSON API, health, readiness and metrics are served over HTTP: HOST:PORT. Empty: nowhere. There is no authentication yet: whoever can reach it can move committed offsets. DescribeConfigs tells the address that was bound.");
    socket_request_max_bytes: i32 = Key::int("socket.request.max.bytes", "104857600").at_least(1)
        .doc("The largest request that is read, in bytes. A connection that announces a larger one is closed.");
    queued_max_request_bytes: i64 = Key::long("queued.max.request.bytes", "-1")
        .doc("How many bytes of requests may be in memory at a time, over all connections; reading pauses beyond it. -1: as the broker sees fit for the machine.");
    queued_max_requests: i32 = Key::int("queued.max.requests", "500").at_least(1)
        .doc("How many requests may wait at a time before reading pauses.").accepted("the bytes of waiting requests are bounded, not their count");
    connections_max_idle_ms: i64 = Key::long("connections.max.idle.ms", "600000")
        .doc("A connection without a request for so long is closed. Negative: never.");
    max_connections: i32 = Key::int("max.connections", "2147483647").at_least(0).dynamic()
        .doc("How many connections may be open at a time.");
    max_connections_per_ip: i32 = Key::int("max.connections.per.ip", "2147483647").at_least(0).dynamic()
        .doc("How many connections may be open at a time from one address.");
    max_connections_per_ip_overrides: String = Key::string("max.connections.per.ip.overrides", "").dynamic()
        .doc("Other limits for single addresses: ADDRESS:COUNT, separated by commas.");
    max_connection_creation_rate: i32 = Key::int("max.connection.creation.rate", "2147483647").at_least(0).dynamic()
        .doc("How many connections a second may be made; more wait to be accepted.");
    socket_listen_backlog_size: i32 = Key::int("socket.listen.backlog.size", "50").at_least(1)
        .doc("How many connections may wait to be accepted.");
    socket_send_buffer_bytes: i32 = Key::int("socket.send.buffer.bytes", "102400")
        .doc("The send buffer of a connection, in bytes. -1: the operating system's own size, which grows with the client's speed and takes more CPU for what is sent.");
    socket_receive_buffer_bytes: i32 = Key::int("socket.receive.buffer.bytes", "102400")
        .doc("The receive buffer of a connection, in bytes. -1: the operating system's own size.").accepted("the operating system sizes a connection's buffers");

    // Who it is.
    node_id: i32 = Key::int("node.id", "1").kafka_default("(required)").at_least(0)
        .doc("The broker's number in the cluster.");
    broker_id: i32 = Key::int("broker.id", "-1")
        .doc("The older name of node.id, taken where node.id is not set.");
    broker_rack: Option<String> = Key::unset("broker.rack", Type::String)
        .doc("The rack or zone the broker stands in, told to clients.");
    cluster_id: Option<String> = Key::unset("cluster.id", Type::String).ours()
        .doc("The cluster's id for a data directory that has none yet: 22 characters of base64, as `kafka-storage.sh random-uuid` prints. Without it one is drawn. A directory that has an id keeps it.");

    // Where the data is.
    log_dirs: Option<Vec<String>> = Key::unset("log.dirs", Type::List)
        .doc("The data directory. Kafka takes several; Catchword takes one.");
    log_dir: Vec<String> = Key::list("log.dir", "catchword-data").kafka_default("/tmp/kafka-logs").not_empty()
        .doc("The data directory, where log.dirs is not set.");
    log_durability: Durability = Key::string("log.durability", "fsync").one_of(&["fsync", "page-cache"]).ours().dynamic()
        .doc("When a record is acknowledged to a producer with acks=all. `fsync`: once it is on stable storage (fdatasync, one sync for all that wait), so it survives a loss of power. `page-cache`: once the operating system has it, which is what Kafka does: it survives a kill -9 of the broker, but a loss of power can take the last seconds. Producers with acks=1 never wait for a sync. A topic's own `durability` comes first.");
    offsets_durability: Durability = Key::string("offsets.durability", "fsync").one_of(&["fsync", "page-cache"]).ours()
        .doc("When a committed offset is acknowledged, in the same words as log.durability. With `page-cache` a loss of power can move a group back to an earlier offset.");
    lag_check_interval_ms: i32 = Key::int("lag.check.interval.ms", "10000").at_least(100).ours()
        .doc("How often groups that have a lag objective (`lag.objective.age.ms`, `lag.objective.records`) are looked at, in milliseconds.");
    lag_webhook_url: String = Key::string("lag.webhook.url", "").ours()
        .doc("An http:// URL to which a JSON document is posted when a group's lag objective is missed or kept again (`catchword slo --help` describes it). Empty: none.");
    log_journal_bytes: i64 = Key::long("log.journal.bytes", "67108864").at_least(0).ours()
        .doc("The most bytes of the journal, a file in the data directory by which all that waits for fsync at a time becomes durable with one write; the logs' own files are synced later. It begins at 1 MiB and grows while it is used a lot. 0 is no journal: each log syncs its own files, which is as safe, costs more where many partitions are written at once, and writes each byte to the disk once instead of twice.");

    // Topics.
    num_partitions: i32 = Key::int("num.partitions", "1").at_least(1)
        .doc("Partitions of a topic that is created without a count.");
    auto_create_topics_enable: bool = Key::bool("auto.create.topics.enable", "true")
        .doc("Whether asking for a topic that does not exist creates it.");
    delete_topic_enable: bool = Key::bool("delete.topic.enable", "true")
        .doc("Whether topics can be deleted.");
    default_replication_factor: i32 = Key::int("default.replication.factor", "1").at_least(1)
        .doc("Replicas of a topic that is created without a count.").accepted(ONE_MACHINE);
    min_insync_replicas: i32 = Key::int("min.insync.replicas", "1").at_least(1).dynamic()
        .doc("How many replicas must have a record before a producer with acks=all hears of it.").accepted(ONE_MACHINE);
    unclean_leader_election_enable: bool = Key::bool("unclean.leader.election.enable", "false").dynamic()
        .doc("Whether a replica that is behind may become leader.").accepted(ONE_MACHINE);

    // Records.
    message_max_bytes: i32 = Key::int("message.max.bytes", "1048588").at_least(0).dynamic()
        .doc("The largest record batch a producer may send, in bytes. A topic's max.message.bytes comes first.");
    compression_type: String = Key::string("compression.type", "producer").one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]).dynamic()
        .doc("How batches are kept; `producer` keeps them as they came.").accepted("batches are kept as the producer made them");
    compression_gzip_level: i32 = Key::int("compression.gzip.level", "-1").between_or(1, 9, -1).dynamic()
        .doc("The level of gzip, where compression.type is gzip.").accepted("batches are kept as the producer made them");
    compression_lz4_level: i32 = Key::int("compression.lz4.level", "9").between(1, 17).dynamic()
        .doc("The level of lz4, where compression.type is lz4.").accepted("batches are kept as the producer made them");
    compression_zstd_level: i32 = Key::int("compression.zstd.level", "3").between(-131_072, 22).dynamic()
        .doc("The level of zstd, where compression.type is zstd.").accepted("batches are kept as the producer made them");
    log_message_timestamp_type: TimestampType = Key::string("log.message.timestamp.type", "CreateTime").one_of(&["CreateTime", "LogAppendTime"]).dynamic()
        .doc("Whose clock a record's timestamp is from: the producer's (CreateTime) or the broker's (LogAppendTime).");
    log_message_timestamp_before_max_ms: i64 = Key::long("log.message.timestamp.before.max.ms", "9223372036854775807").at_least(0).dynamic()
        .doc("How far in the past a producer's timestamp may lie, in milliseconds, before the record is refused.");
    log_message_timestamp_after_max_ms: i64 = Key::long("log.message.timestamp.after.max.ms", "3600000").at_least(0).dynamic()
        .doc("How far in the future a producer's timestamp may lie, in milliseconds, before the record is refused.");
    producer_id_expiration_ms: i32 = Key::int("producer.id.expiration.ms", "86400000").at_least(1).dynamic()
        .doc("An idempotent producer that has been silent for so long is forgotten, in milliseconds.");
    producer_id_expiration_check_interval_ms: i32 = Key::int("producer.id.expiration.check.interval.ms", "600000").at_least(1)
        .doc("How often silent producers are looked for, in milliseconds.").accepted("the log's housekeeping takes a small step every second");

    // How long records are kept.
    log_retention_ms: Option<i64> = Key::unset("log.retention.ms", Type::Long).dynamic().stands(&[minutes("log.retention.minutes"), hours("log.retention.hours")])
        .doc("How long records are kept, in milliseconds; -1 for ever. A topic's retention.ms comes first.");
    log_retention_minutes: Option<i32> = Key::unset("log.retention.minutes", Type::Int)
        .doc("How long records are kept, in minutes, where log.retention.ms is not set.");
    log_retention_hours: i32 = Key::int("log.retention.hours", "168")
        .doc("How long records are kept, in hours, where neither log.retention.ms nor log.retention.minutes is set.");
    log_retention_bytes: i64 = Key::long("log.retention.bytes", "-1").dynamic()
        .doc("How many bytes of each partition are kept; -1 without bound.");
    log_retention_check_interval_ms: i64 = Key::long("log.retention.check.interval.ms", "300000").at_least(1)
        .doc("How often records past their time are looked for, in milliseconds.");
    log_initial_task_delay_ms: i64 = Key::long("log.initial.task.delay.ms", "30000").at_least(0)
        .doc("How long after the start the first such look is, in milliseconds.");
    log_cleanup_policy: Vec<String> = Key::list("log.cleanup.policy", "delete").one_of(&["compact", "delete"]).dynamic()
        .doc("What happens to old records: `delete` drops them by age and size, `compact` keeps the last of each key; both may be given.");
    log_segment_bytes: i32 = Key::int("log.segment.bytes", "1073741824").at_least(1_048_576).dynamic()
        .doc("The size of a segment file, in bytes. Records are deleted by whole segments.");
    log_roll_ms: Option<i64> = Key::unset("log.roll.ms", Type::Long).at_least(1).dynamic().stands(&[hours("log.roll.hours")])
        .doc("After how long a new segment is begun even if the old one is not full, in milliseconds.");
    log_roll_hours: i32 = Key::int("log.roll.hours", "168").at_least(1)
        .doc("The same in hours, where log.roll.ms is not set.");
    log_roll_jitter_ms: Option<i64> = Key::unset("log.roll.jitter.ms", Type::Long).at_least(0).dynamic().stands(&[hours("log.roll.jitter.hours")])
        .doc("Up to how much earlier, at random, a segment may be rolled, in milliseconds.").accepted("segments are rolled without jitter");
    log_roll_jitter_hours: i32 = Key::int("log.roll.jitter.hours", "0").at_least(0)
        .doc("The same in hours, where log.roll.jitter.ms is not set.").accepted("segments are rolled without jitter");
    log_segment_delete_delay_ms: i64 = Key::long("log.segment.delete.delay.ms", "60000").at_least(0).dynamic()
        .doc("How long a segment that is no longer needed stays on disk, in milliseconds.");
    log_index_interval_bytes: i32 = Key::int("log.index.interval.bytes", "4096").at_least(0).dynamic()
        .doc("After how many bytes of records the offset index gets an entry.");
    log_index_size_max_bytes: i32 = Key::int("log.index.size.max.bytes", "10485760").at_least(4).dynamic()
        .doc("The largest size of an index, in bytes.");
    log_preallocate: bool = Key::bool("log.preallocate", "false").dynamic()
        .doc("Whether segments are allocated in full when they are begun.").accepted("the log decides by itself what to allocate ahead");
    log_flush_interval_messages: i64 = Key::long("log.flush.interval.messages", "9223372036854775807").at_least(1).dynamic()
        .doc("After how many records data is synced.").accepted(SYNC);
    log_flush_interval_ms: Option<i64> = Key::unset("log.flush.interval.ms", Type::Long).dynamic().stands(&[same("log.flush.scheduler.interval.ms")])
        .doc("After how long data is synced, in milliseconds.").accepted(SYNC);
    log_flush_scheduler_interval_ms: i64 = Key::long("log.flush.scheduler.interval.ms", "9223372036854775807")
        .doc("How often is looked for data to sync, in milliseconds.").accepted(SYNC);
    log_flush_offset_checkpoint_interval_ms: i32 = Key::int("log.flush.offset.checkpoint.interval.ms", "60000").at_least(0)
        .doc("How often the recovery point is written down, in milliseconds.").accepted("recovery does not depend on such a file");
    log_flush_start_offset_checkpoint_interval_ms: i32 = Key::int("log.flush.start.offset.checkpoint.interval.ms", "60000").at_least(0)
        .doc("How often the log start offsets are written down, in milliseconds.").accepted("a new log start offset is written down at once");
    num_recovery_threads_per_data_dir: i32 = Key::int("num.recovery.threads.per.data.dir", "2").at_least(1)
        .doc("How many partitions are checked at a time at the start.").accepted(THREADS);
    log_local_retention_ms: i64 = Key::long("log.local.retention.ms", "-2").at_least(-2).dynamic()
        .doc("How long records of a tiered topic stay on local disk, in milliseconds.").accepted(TIERED);
    log_local_retention_bytes: i64 = Key::long("log.local.retention.bytes", "-2").at_least(-2).dynamic()
        .doc("How many bytes of a tiered partition stay on local disk.").accepted(TIERED);

    // Compaction.
    log_cleaner_enable: bool = Key::bool("log.cleaner.enable", "true")
        .doc("Whether compacted topics are compacted.");
    log_cleaner_backoff_ms: i64 = Key::long("log.cleaner.backoff.ms", "15000").at_least(0).dynamic()
        .doc("How long the cleaner rests when there is nothing to compact, in milliseconds.").accepted("the log's housekeeping takes a small step every second");
    log_cleaner_min_cleanable_ratio: f64 = Key::double("log.cleaner.min.cleanable.ratio", "0.5").ratio(0.0, 1.0).dynamic()
        .doc("Which share of a log must be new since the last compaction before it is compacted again.");
    log_cleaner_delete_retention_ms: i64 = Key::long("log.cleaner.delete.retention.ms", "86400000").at_least(0).dynamic()
        .doc("How long a tombstone is kept in a compacted topic, in milliseconds, so that readers can see it.");
    log_cleaner_min_compaction_lag_ms: i64 = Key::long("log.cleaner.min.compaction.lag.ms", "0").at_least(0).dynamic()
        .doc("How long a record stays uncompacted at least, in milliseconds.");
    log_cleaner_max_compaction_lag_ms: i64 = Key::long("log.cleaner.max.compaction.lag.ms", "9223372036854775807").at_least(1).dynamic()
        .doc("How long a record may stay uncompacted at most, in milliseconds.");
    log_cleaner_threads: i32 = Key::int("log.cleaner.threads", "1").at_least(0).dynamic()
        .doc("How many partitions are compacted at a time.").accepted(THREADS);
    log_cleaner_dedupe_buffer_size: i64 = Key::long("log.cleaner.dedupe.buffer.size", "134217728").dynamic()
        .doc("Memory for the keys of a compaction, in bytes.").accepted(BUFFERS);
    log_cleaner_io_buffer_size: i32 = Key::int("log.cleaner.io.buffer.size", "524288").at_least(0).dynamic()
        .doc("Memory for the records of a compaction, in bytes.").accepted(BUFFERS);
    log_cleaner_io_buffer_load_factor: f64 = Key::double("log.cleaner.io.buffer.load.factor", "0.9").dynamic()
        .doc("How full the keys' memory may become.").accepted(BUFFERS);
    log_cleaner_io_max_bytes_per_second: f64 = Key::double("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308").dynamic()
        .doc("How much a compaction may read and write, in bytes per second; a change counts from the next one on.");

    // Reading.
    fetch_max_bytes: i32 = Key::int("fetch.max.bytes", "57671680").at_least(1024)
        .doc("The most bytes of records a fetch is answered with.");
    max_incremental_fetch_session_cache_slots: i32 = Key::int("max.incremental.fetch.session.cache.slots", "1000").at_least(0)
        .doc("How many incremental fetch sessions are kept.");
    max_request_partition_size_limit: i32 = Key::int("max.request.partition.size.limit", "2000").at_least(1)
        .doc("How many partitions DescribeTopicPartitions answers at a time.");

    // Quotas.
    quota_window_num: i32 = Key::int("quota.window.num", "11").at_least(1)
        .doc("How many windows of a client's traffic are remembered: the last ten whole ones and the current one, unless said otherwise.");
    quota_window_size_seconds: i32 = Key::int("quota.window.size.seconds", "1").at_least(1)
        .doc("How long such a window is, in seconds.");

    // Metrics of clients.
    telemetry_max_bytes: i32 = Key::int("telemetry.max.bytes", "1048576").at_least(1)
        .doc("The most bytes that a client may push as its metrics at a time (KIP-714), as they come and as they inflate.");

    // Groups.
    group_min_session_timeout_ms: i32 = Key::int("group.min.session.timeout.ms", "6000")
        .doc("The shortest session timeout a classic member may ask for, in milliseconds.");
    group_max_session_timeout_ms: i32 = Key::int("group.max.session.timeout.ms", "1800000")
        .doc("The longest session timeout a classic member may ask for, in milliseconds.");
    group_max_size: i32 = Key::int("group.max.size", "2147483647").at_least(1)
        .doc("The most members a classic group may have.");
    group_initial_rebalance_delay_ms: i32 = Key::int("group.initial.rebalance.delay.ms", "3000").at_least(0)
        .doc("How long the first rebalance of an empty group waits for more members, in milliseconds.");
    group_coordinator_threads: i32 = Key::int("group.coordinator.threads", "4").at_least(1)
        .doc("Threads of the group coordinator.").accepted(THREADS);
    group_coordinator_background_threads: i32 = Key::int("group.coordinator.background.threads", "2").at_least(1)
        .doc("More threads of the group coordinator.").accepted(THREADS);
    group_coordinator_append_linger_ms: i32 = Key::int("group.coordinator.append.linger.ms", "-1").at_least(-1)
        .doc("How long the coordinator gathers records before it writes them, in milliseconds.").accepted("records that wait for the same sync are written together without a delay");
    group_coordinator_rebalance_protocols: Vec<String> = Key::list("group.coordinator.rebalance.protocols", "classic,consumer,streams").one_of(&["consumer", "classic", "share", "streams"])
        .doc("The group protocols that are offered.").accepted("all protocols are offered; the features group.version, share.version and streams.version say which are served");
    group_share_session_timeout_ms: i32 = Key::int("group.share.session.timeout.ms", "45000").at_least(1)
        .doc("Session timeout of share groups' members, in milliseconds.");
    group_share_heartbeat_interval_ms: i32 = Key::int("group.share.heartbeat.interval.ms", "5000").at_least(1)
        .doc("How often members of share groups are told to heartbeat, in milliseconds.");
    group_share_max_size: i32 = Key::int("group.share.max.size", "200").between(1, 1000)
        .doc("The most members of one share group.");
    group_share_delivery_count_limit: i32 = Key::int("group.share.delivery.count.limit", "5").between(2, 10)
        .doc("How often a record is delivered to a share group at most.");
    group_share_record_lock_duration_ms: i32 = Key::int("group.share.record.lock.duration.ms", "30000").between(1000, 3_600_000)
        .doc("How long a member of a share group may hold a record, in milliseconds.");
    group_share_partition_max_record_locks: i32 = Key::int("group.share.partition.max.record.locks", "2000").between(100, 10_000)
        .doc("How many records of a partition a share group may hold at a time.");
    group_share_max_share_sessions: i32 = Key::int("group.share.max.share.sessions", "2000").at_least(1)
        .doc("The most share sessions, of all groups together.");
    group_streams_session_timeout_ms: i32 = Key::int("group.streams.session.timeout.ms", "45000").at_least(1)
        .doc("Session timeout of streams groups' members, in milliseconds.");
    group_streams_min_session_timeout_ms: i32 = Key::int("group.streams.min.session.timeout.ms", "45000").at_least(1)
        .doc("The least that can be set as the session timeout of a streams group, in milliseconds.");
    group_streams_max_session_timeout_ms: i32 = Key::int("group.streams.max.session.timeout.ms", "60000").at_least(1)
        .doc("The most that can be set as the session timeout of a streams group, in milliseconds.");
    group_streams_heartbeat_interval_ms: i32 = Key::int("group.streams.heartbeat.interval.ms", "5000").at_least(1)
        .doc("How often members of streams groups are told to heartbeat, in milliseconds.");
    group_streams_min_heartbeat_interval_ms: i32 = Key::int("group.streams.min.heartbeat.interval.ms", "5000").at_least(1)
        .doc("The least that can be set as the heartbeat interval of a streams group, in milliseconds.");
    group_streams_max_heartbeat_interval_ms: i32 = Key::int("group.streams.max.heartbeat.interval.ms", "15000").at_least(1)
        .doc("The most that can be set as the heartbeat interval of a streams group, in milliseconds.");
    group_streams_assignment_interval_ms: i32 = Key::int("group.streams.assignment.interval.ms", "1000").at_least(0)
        .doc("How long at least between two assignments of a streams group, in milliseconds.");
    group_streams_min_assignment_interval_ms: i32 = Key::int("group.streams.min.assignment.interval.ms", "0").at_least(0)
        .doc("The least that can be set as the assignment interval of a streams group, in milliseconds.");
    group_streams_max_assignment_interval_ms: i32 = Key::int("group.streams.max.assignment.interval.ms", "15000").at_least(0)
        .doc("The most that can be set as the assignment interval of a streams group, in milliseconds.");
    group_streams_initial_rebalance_delay_ms: i32 = Key::int("group.streams.initial.rebalance.delay.ms", "3000").at_least(0)
        .doc("How long a streams group that was empty waits for more members before tasks are given out, in milliseconds.");
    group_streams_num_standby_replicas: i32 = Key::int("group.streams.num.standby.replicas", "0").at_least(0)
        .doc("How many standby copies of each stateful task a streams group has.");
    group_streams_max_standby_replicas: i32 = Key::int("group.streams.max.standby.replicas", "2").at_least(0)
        .doc("The most standby copies that can be set on a streams group.");
    group_streams_max_size: i32 = Key::int("group.streams.max.size", "2147483647").at_least(1)
        .doc("The most members of one streams group.");
    group_streams_assignor_offload_enable: bool = Key::bool("group.streams.assignor.offload.enable", "true")
        .doc("Whether tasks are shared out on threads of their own.").accepted("tasks are shared out within the heartbeat that asks for it: it takes microseconds");
    share_state_topic_num_partitions: i32 = Key::int("share.coordinator.state.topic.num.partitions", "50").at_least(1)
        .doc("Partitions of `__share_group_state`. Read when the topic is made.");
    share_state_topic_segment_bytes: i32 = Key::int("share.coordinator.state.topic.segment.bytes", "104857600").at_least(1)
        .doc("Segment size of `__share_group_state`, in bytes. Read when the topic is made.");
    share_snapshot_update_records: i32 = Key::int("share.coordinator.snapshot.update.records.per.snapshot", "500").between(0, 500)
        .doc("After how many changes of a share group's place in a partition all of it is written anew.");
    group_consumer_session_timeout_ms: i32 = Key::int("group.consumer.session.timeout.ms", "45000").at_least(1)
        .doc("Session timeout of KIP-848 groups, in milliseconds.");
    group_consumer_min_session_timeout_ms: i32 = Key::int("group.consumer.min.session.timeout.ms", "45000").at_least(1)
        .doc("The shortest session timeout of a KIP-848 group, in milliseconds.");
    group_consumer_max_session_timeout_ms: i32 = Key::int("group.consumer.max.session.timeout.ms", "60000").at_least(1)
        .doc("The longest session timeout of a KIP-848 group, in milliseconds.");
    group_consumer_heartbeat_interval_ms: i32 = Key::int("group.consumer.heartbeat.interval.ms", "5000").at_least(1)
        .doc("Heartbeat interval of KIP-848 groups, in milliseconds.");
    group_consumer_min_heartbeat_interval_ms: i32 = Key::int("group.consumer.min.heartbeat.interval.ms", "5000").at_least(1)
        .doc("The shortest heartbeat interval of a KIP-848 group, in milliseconds.");
    group_consumer_max_heartbeat_interval_ms: i32 = Key::int("group.consumer.max.heartbeat.interval.ms", "15000").at_least(1)
        .doc("The longest heartbeat interval of a KIP-848 group, in milliseconds.");
    group_consumer_max_size: i32 = Key::int("group.consumer.max.size", "2147483647").at_least(1)
        .doc("The most members a KIP-848 group may have.");
    group_consumer_assignors: Vec<String> = Key::list("group.consumer.assignors", "uniform,range").not_empty().one_of(&["uniform", "range"])
        .doc("Assignors of KIP-848 groups, the first is the default.");
    group_consumer_assignment_interval_ms: i32 = Key::int("group.consumer.assignment.interval.ms", "1000").at_least(0)
        .doc("How long at least between two assignments of a KIP-848 group, in milliseconds.");
    group_consumer_migration_policy: String = Key::string("group.consumer.migration.policy", "bidirectional").one_of(&["bidirectional", "upgrade", "downgrade", "disabled"])
        .doc("Whether classic and KIP-848 groups may turn into each other.");

    // Committed offsets.
    offsets_topic_num_partitions: i32 = Key::int("offsets.topic.num.partitions", "50").at_least(1)
        .doc("Partitions of __consumer_offsets. It cannot change once there are committed offsets.");
    offsets_topic_segment_bytes: i32 = Key::int("offsets.topic.segment.bytes", "104857600").at_least(1)
        .doc("The size of a segment file of __consumer_offsets, in bytes.");
    offsets_topic_replication_factor: i16 = Key::short("offsets.topic.replication.factor", "1").kafka_default("3").at_least(1)
        .doc("Replicas of __consumer_offsets.").accepted(ONE_MACHINE);
    offsets_topic_compression_codec: i32 = Key::int("offsets.topic.compression.codec", "0").between(0, 4)
        .doc("How the records of __consumer_offsets are compressed: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.").accepted("they are not compressed");
    offsets_load_buffer_size: i32 = Key::int("offsets.load.buffer.size", "5242880").at_least(1)
        .doc("How much is read at a time when committed offsets are loaded, in bytes.").accepted(BUFFERS);
    offsets_retention_minutes: i32 = Key::int("offsets.retention.minutes", "10080").at_least(1)
        .doc("How long a committed offset outlives its last commit and its group's last member, whichever was later, in minutes.");
    offsets_retention_rules: Vec<String> = Key::list("offsets.retention.rules", "").dynamic().ours()
        .doc("For how long the committed offsets of some groups are kept, in place of offsets.retention.minutes: PATTERN:MINUTES, separated by commas; * in a pattern stands for any characters, -1 minutes for ever, the first pattern that fits counts. What is set on a group itself (offsets.retention.minutes) counts before.");
    offsets_expiry_warning_ms: i64 = Key::long("offsets.expiry.warning.ms", "86400000").at_least(0).ours()
        .doc("How long before committed offsets of a group expire the log says so, once, and metrics, /v1/groups and `catchword groups` begin to mark the group, in milliseconds; 0 for never. Where offsets are kept for less than twice that, half of their time.");
    offsets_retention_check_interval_ms: i64 = Key::long("offsets.retention.check.interval.ms", "600000").at_least(1)
        .doc("How often expired committed offsets are looked for, in milliseconds.");
    offsets_history_all_ms: i64 = Key::long("offsets.history.all.ms", "3600000").at_least(0).ours()
        .doc("For how long every move of a committed offset stays in __consumer_offsets, in milliseconds. Kafka keeps the last one only. A segment that is still written to is not looked at, so moves may stay longer.");
    offsets_history_minutely_ms: i64 = Key::long("offsets.history.minutely.ms", "86400000").at_least(0).ours()
        .doc("For how long the last move of each minute stays, in milliseconds.");
    offsets_history_hourly_ms: i64 = Key::long("offsets.history.hourly.ms", "2592000000").at_least(0).ours()
        .doc("For how long the last move of each hour stays, in milliseconds. For the longest of the three times stays also what was meant, exactly: resets, deletions, expiries, steps backwards, and the offset that each of them took away.");
    offsets_history_max_bytes: i64 = Key::long("offsets.history.max.bytes", "268435456").at_least(0).ours()
        .doc("The most bytes of such history that a partition of __consumer_offsets keeps; the oldest goes first. The last offset of each group and partition is always kept, and does not count.");
    offsets_trash_retention_ms: i64 = Key::long("offsets.trash.retention.ms", "2592000000").at_least(0).ours()
        .doc("For how long committed offsets that were deleted or expired can be put back with `catchword restore`, in milliseconds. No longer than offsets.history.* keeps them.");
    offsets_storage: String = Key::string("offsets.storage", "builtin").one_of(&["builtin", "kafka", "zookeeper"]).ours()
        .doc("Where committed offsets stand. `builtin`, which old Kafka called `kafka`: in __consumer_offsets. `zookeeper`: there first, and behind it in the ZooKeeper of zookeeper.connect as well, at /consumers/GROUP/offsets/TOPIC/PARTITION, where consumers of Kafka 0.8 and monitoring of that age look; what others write there is taken over, and the requests of that age (OffsetCommit 0 and 1, OffsetFetch 0) are served. Clients are not held up by it, unless zookeeper.commit.required says so.");
    dual_commit_enabled: bool = Key::bool("dual.commit.enabled", "false").ours()
        .doc("What old consumers did with the key of this name, done by the broker for all groups. With offsets.storage=builtin (or kafka), `true` writes each commit to ZooKeeper too, behind __consumer_offsets, and takes over what others write there (by zookeeper.conflict; `max` is what old consumers did); `false` leaves ZooKeeper alone. With offsets.storage=zookeeper it has no meaning, as in old Kafka. The usual way out of ZooKeeper: offsets.storage=zookeeper, then builtin with dual.commit.enabled=true, then false.");
    zookeeper_connect: String = Key::string("zookeeper.connect", "").kafka_default("(gone)")
        .doc("The ZooKeeper that committed offsets are written to: HOST:PORT, several separated by commas, and perhaps a path (chroot) at the end, which has to be there. Nothing else is kept there.");
    zookeeper_groups: Vec<String> = Key::list("zookeeper.groups", "*").not_empty().ours()
        .doc("The groups whose committed offsets are kept the same in ZooKeeper: names, in which * stands for any characters, separated by commas. Neither side of any other group is touched.");
    zookeeper_groups_exclude: Vec<String> = Key::list("zookeeper.groups.exclude", "").ours()
        .doc("Groups that zookeeper.groups names and that are left alone all the same; names as there.");
    zookeeper_conflict: String = Key::string("zookeeper.conflict", "newest").one_of(&["newest", "max", "zookeeper", "kafka"]).ours()
        .doc("Whose word counts where somebody else wrote a committed offset into ZooKeeper. `newest`: the later one, by the time of the commit and that of the node. `max`: the greater offset, as old consumers with dual.commit.enabled do it. `zookeeper`: theirs. `kafka`: ours, so nothing is ever taken over.");
    zookeeper_commit_required: bool = Key::bool("zookeeper.commit.required", "false").ours()
        .doc("Whether a commit (OffsetCommit) is answered only once ZooKeeper has it as well. If it has not within offsets.commit.timeout.ms, the client hears COORDINATOR_NOT_AVAILABLE, which clients try again; the offset stands in __consumer_offsets all the same, and is written to ZooKeeper when that is back. Offsets of transactions, and groups that are not mirrored, do not wait.");
    zookeeper_session_timeout_ms: i32 = Key::int("zookeeper.session.timeout.ms", "18000").kafka_default("(gone)").at_least(100)
        .doc("How long ZooKeeper waits for a sign of life before it ends the session, and how long a connection to it may take, in milliseconds.");
    zookeeper_auth: Option<String> = Key::unset("zookeeper.auth", Type::Password).ours()
        .doc("Who the broker is to ZooKeeper: SCHEME:CREDENTIALS, such as digest:user:password. Without it, nobody in particular.");
    offsets_commit_timeout_ms: i32 = Key::int("offsets.commit.timeout.ms", "5000").at_least(1)
        .doc("How long a commit may take to become durable before the client is told that it timed out, in milliseconds.");
    offset_metadata_max_bytes: i32 = Key::int("offset.metadata.max.bytes", "4096").at_least(0)
        .doc("The longest text a client may keep beside a committed offset, in characters as Java counts them.");

    // Transactions.
    transaction_max_timeout_ms: i32 = Key::int("transaction.max.timeout.ms", "900000").at_least(1)
        .doc("The longest a producer may say that its transactions take, in milliseconds.");
    transactional_id_expiration_ms: i32 = Key::int("transactional.id.expiration.ms", "604800000").at_least(1)
        .doc("How long a transactional id is remembered that nobody uses, in milliseconds.");
    transaction_abort_timed_out_cleanup_interval_ms: i32 = Key::int("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000").at_least(1)
        .doc("How often transactions that take longer than their producers said are looked for, in milliseconds. They are aborted.");
    transaction_remove_expired_cleanup_interval_ms: i32 = Key::int("transaction.remove.expired.transaction.cleanup.interval.ms", "3600000").at_least(1)
        .doc("How often transactional ids that nobody uses are looked for, in milliseconds.");
    transaction_state_log_num_partitions: i32 = Key::int("transaction.state.log.num.partitions", "50").at_least(1)
        .doc("Partitions of __transaction_state. It cannot change once there are transactional ids.");
    transaction_state_log_segment_bytes: i32 = Key::int("transaction.state.log.segment.bytes", "104857600").at_least(1)
        .doc("The size of a segment file of __transaction_state, in bytes.");
    transaction_state_log_load_buffer_size: i32 = Key::int("transaction.state.log.load.buffer.size", "5242880").at_least(1)
        .doc("How much is read at a time when transactions are loaded, in bytes.").accepted(BUFFERS);
    transaction_state_log_replication_factor: i16 = Key::short("transaction.state.log.replication.factor", "1").kafka_default("3").at_least(1)
        .doc("Replicas of __transaction_state.").accepted(ONE_MACHINE);
    transaction_state_log_min_isr: i32 = Key::int("transaction.state.log.min.isr", "1").kafka_default("2").at_least(1)
        .doc("Replicas of __transaction_state that must have a record before it counts.").accepted(ONE_MACHINE);

    // Threads and the like: taken so that files carry over.
    num_network_threads: i32 = Key::int("num.network.threads", "3").at_least(1).dynamic()
        .doc("Threads for the network.").accepted(THREADS);
    num_io_threads: i32 = Key::int("num.io.threads", "8").at_least(1).dynamic()
        .doc("Threads for requests.").accepted(THREADS);
    background_threads: i32 = Key::int("background.threads", "10").at_least(1).dynamic()
        .doc("Threads for chores.").accepted(THREADS);
    process_roles: Vec<String> = Key::list("process.roles", "broker,controller").kafka_default("(required)").one_of(&["broker", "controller"])
        .doc("Kafka's roles of a process.").accepted("every broker here is whole in itself");
}
