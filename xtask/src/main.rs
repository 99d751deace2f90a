//! Chores of development that write files which are checked in.
//!
//! `cargo xtask messages DIR` generates `catchword-wire`'s messages from Kafka's schemas. DIR is a folder into which
//! the `common/` folders of Kafka's jars (kafka-clients, kafka-group-coordinator, kafka-metadata, ...) were unpacked, or a
//! source tree of Kafka.

#![allow(missing_docs, clippy::unwrap_used)]

mod emit;
mod random;
mod schema;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The APIs that Catchword speaks, as client or as broker.
const APIS: &[&str] = &[
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "OffsetCommit",
    "OffsetFetch",
    "FindCoordinator",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "ListGroups",
    "SaslHandshake",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "DeleteRecords",
    "InitProducerId",
    "OffsetForLeaderEpoch",
    "DescribeConfigs",
    "AlterConfigs",
    "DescribeLogDirs",
    "SaslAuthenticate",
    "CreatePartitions",
    "DeleteGroups",
    "IncrementalAlterConfigs",
    "OffsetDelete",
    "DescribeCluster",
    "DescribeQuorum",
    "DescribeProducers",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "DescribeTopicPartitions",
    "ElectLeaders",
    "AlterPartitionReassignments",
    "ListPartitionReassignments",
    "DescribeClientQuotas",
    "AlterClientQuotas",
    "UpdateFeatures",
    "ListConfigResources",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "WriteTxnMarkers",
    "TxnOffsetCommit",
    "DescribeTransactions",
    "ListTransactions",
    "ShareGroupHeartbeat",
    "ShareGroupDescribe",
    "ShareFetch",
    "ShareAcknowledge",
    "DescribeShareGroupOffsets",
    "AlterShareGroupOffsets",
    "DeleteShareGroupOffsets",
    "StreamsGroupHeartbeat",
    "StreamsGroupDescribe",
    "GetTelemetrySubscriptions",
    "PushTelemetry",
];

/// Messages that are not requests or responses.
const DATA: &[&str] = &[
    "RequestHeader",
    "ResponseHeader",
    "ConsumerProtocolSubscription",
    "ConsumerProtocolAssignment",
];

/// Records of Kafka's internal topics and of its metadata log.
const RECORDS: &[&str] = &[
    "LegacyOffsetCommitKey",
    "LegacyOffsetCommitValue",
    "OffsetCommitKey",
    "OffsetCommitValue",
    "GroupMetadataKey",
    "GroupMetadataValue",
    "ConsumerGroupMetadataKey",
    "ConsumerGroupMetadataValue",
    "ConsumerGroupPartitionMetadataKey",
    "ConsumerGroupPartitionMetadataValue",
    "ConsumerGroupMemberMetadataKey",
    "ConsumerGroupMemberMetadataValue",
    "ConsumerGroupTargetAssignmentMetadataKey",
    "ConsumerGroupTargetAssignmentMetadataValue",
    "ConsumerGroupTargetAssignmentMemberKey",
    "ConsumerGroupTargetAssignmentMemberValue",
    "ConsumerGroupCurrentMemberAssignmentKey",
    "ConsumerGroupCurrentMemberAssignmentValue",
    "ConsumerGroupRegularExpressionKey",
    "ConsumerGroupRegularExpressionValue",
    "TopicRecord",
    "PartitionRecord",
    "RemoveTopicRecord",
    "ConfigRecord",
    "ProducerIdsRecord",
    "FeatureLevelRecord",
    "NoOpRecord",
    "RegisterBrokerRecord",
    "UnregisterBrokerRecord",
    "RegisterControllerRecord",
    "PartitionChangeRecord",
    "AccessControlEntryRecord",
    "RemoveAccessControlEntryRecord",
    "UserScramCredentialRecord",
    "RemoveUserScramCredentialRecord",
    "ClientQuotaRecord",
    "DelegationTokenRecord",
    "RemoveDelegationTokenRecord",
    "LeaderChangeMessage",
    "VotersRecord",
    "TransactionLogKey",
    "TransactionLogValue",
    "ShareGroupMetadataKey",
    "ShareGroupMetadataValue",
    "ShareGroupMemberMetadataKey",
    "ShareGroupMemberMetadataValue",
    "ShareGroupTargetAssignmentMetadataKey",
    "ShareGroupTargetAssignmentMetadataValue",
    "ShareGroupTargetAssignmentMemberKey",
    "ShareGroupTargetAssignmentMemberValue",
    "ShareGroupCurrentMemberAssignmentKey",
    "ShareGroupCurrentMemberAssignmentValue",
    "ShareGroupStatePartitionMetadataKey",
    "ShareGroupStatePartitionMetadataValue",
    "StreamsGroupMetadataKey",
    "StreamsGroupMetadataValue",
    "StreamsGroupMemberMetadataKey",
    "StreamsGroupMemberMetadataValue",
    "StreamsGroupTargetAssignmentMetadataKey",
    "StreamsGroupTargetAssignmentMetadataValue",
    "StreamsGroupTargetAssignmentMemberKey",
    "StreamsGroupTargetAssignmentMemberValue",
    "StreamsGroupCurrentMemberAssignmentKey",
    "StreamsGroupCurrentMemberAssignmentValue",
    "StreamsGroupTopologyKey",
    "StreamsGroupTopologyValue",
    "ShareSnapshotKey",
    "ShareSnapshotValue",
    "ShareUpdateKey",
    "ShareUpdateValue",
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["messages", dir] => {
            if let Err(error) = messages(Path::new(dir)) {
                eprintln!("{error}");
                std::process::exit(1);
            }
        }
        _ => {
            eprintln!(
                "usage: cargo xtask messages DIR   (DIR holds the schemas unpacked from Kafka's jars)"
            );
            std::process::exit(2);
        }
    }
}

fn messages(dir: &Path) -> Result<(), schema::SchemaError> {
    let apis = APIS.iter();
    let apis = apis.flat_map(|api| [format!("{api}Request"), format!("{api}Response")]);
    let others = DATA.iter().chain(RECORDS).map(|name| (*name).to_owned());
    let schemas = schema::read(dir, &apis.chain(others).collect())?;
    let get = |name: &str| schemas.get(name).expect("what is asked for was read");
    let src = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/wire/src");
    let apis: Vec<_> = APIS
        .iter()
        .map(|api| {
            (
                get(&format!("{api}Request")),
                get(&format!("{api}Response")),
            )
        })
        .collect();
    let mut messages: Vec<_> = apis.iter().flat_map(|(q, r)| [*q, *r]).collect();
    messages.extend(DATA.iter().map(|name| get(name)));
    write_folder(
        &src.join("messages"),
        "Requests, responses and headers",
        &messages,
    );
    let records: Vec<_> = RECORDS.iter().map(|name| get(name)).collect();
    write_folder(&src.join("records"), "Records of internal topics", &records);
    write(&src.join("api.rs"), &emit::api_table(&apis));
    let tests = src.join("../tests/protocol/random");
    write(
        &tests.join("generated.rs"),
        &random::file(&messages, &records),
    );
    write(&tests.join("names.rs"), &random::names(&messages, &records));
    Ok(())
}

fn write_folder(dir: &Path, what: &str, schemas: &[&schema::Schema]) {
    std::fs::create_dir_all(dir).unwrap();
    let mut index = format!("//! {what}, generated by `cargo xtask messages`. Do not edit.\n\n");
    let mut names: Vec<&str> = schemas.iter().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    for name in &names {
        index += &format!("pub mod {};\n", emit::snake(name));
    }
    index.push('\n');
    for name in &names {
        index += &format!("pub use {}::{name};\n", emit::snake(name));
    }
    write(&dir.join("mod.rs"), &index);
    for schema in schemas {
        write(
            &dir.join(format!("{}.rs", emit::snake(&schema.name))),
            &emit::message(schema),
        );
    }
    // Messages that are no longer generated.
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let name = entry
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if name != "mod" && !names.iter().any(|kept| emit::snake(kept) == name) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn write(path: &Path, text: &str) {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=100"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is installed");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    if !done.status.success() {
        std::fs::write(path, text).unwrap();
        panic!("rustfmt {}", path.display());
    }
    // Files that stay as they were are left alone, and with them whoever builds meanwhile.
    if std::fs::read(path).ok().as_deref() != Some(&done.stdout) {
        std::fs::write(path, done.stdout).unwrap();
    }
}
