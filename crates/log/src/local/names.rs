//! The names of a log's files and directories, which are Kafka's.
//!
//! This file touches no disk.

use catchword_wire::Uuid;

use crate::TopicPartition;

/// Record batches.
pub(crate) const LOG: &str = "log";
/// Offset index: see `index.rs`.
pub(crate) const INDEX: &str = "index";
/// Time index: see `index.rs`.
pub(crate) const TIME_INDEX: &str = "timeindex";
/// Aborted transactions, by Kafka.
pub(crate) const TXN_INDEX: &str = "txnindex";
/// Producer state at an offset.
pub(crate) const SNAPSHOT: &str = "snapshot";
/// A file that is to be removed.
pub(crate) const DELETED: &str = ".deleted";
/// A compacted segment that is not finished.
pub(crate) const CLEANED: &str = ".cleaned";
/// A compacted segment that is finished and takes the place of others.
pub(crate) const SWAP: &str = ".swap";
/// Bytes that recovery cut off though whole batches were among them. Kafka does not look at these.
pub(crate) const CUT: &str = ".cut";
/// What the extension of a side file begins with; after it stands what its owner calls it. Kafka does not look at these.
pub(crate) const SIDE_FILE: &str = "cw-";
/// What a repair replaced or set aside, as it was. Kafka does not look at these.
pub(crate) const DAMAGED: &str = ".damaged";
/// What the directory of a deleted partition ends with.
pub(crate) const DELETE_DIR: &str = "-delete";

pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(crate) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(crate) const LOCK: &str = ".lock";
/// What was acknowledged and is not in the logs' own files yet: see `journal`. A file and not a directory: Kafka takes
/// each directory for a partition.
pub(crate) const JOURNAL: &str = "catchword.journal";

/// The name of the file with `extension` of the segment that begins at `offset`: 20 digits, so that names sort.
pub(crate) fn file_name(offset: i64, extension: &str) -> String {
    format!("{offset:020}.{extension}")
}

/// The offset and the extension (all after the first dot) of a file that belongs to a segment.
pub(crate) fn parse_file_name(name: &str) -> Option<(i64, &str)> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, extension))
}

/// Whether this is the name of a side file, or of one that is being written.
pub(crate) fn is_side_file(name: &str) -> bool {
    parse_file_name(name).is_some_and(|(_, extension)| extension.starts_with(SIDE_FILE))
}

/// The partition whose directory has this name. Directories of deleted partitions and of replicas that Kafka is moving
/// are none.
pub(crate) fn parse_directory(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let all_digits = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    if topic.is_empty() || !all_digits {
        return None;
    }
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}

/// The name that a partition's directory gets before it is removed; as Kafka's, at most 255 bytes.
pub(crate) fn deleted_directory(partition: &TopicPartition, unique: u128) -> String {
    let suffix = format!("-{}.{unique:032x}{DELETE_DIR}", partition.partition);
    let mut room = (255 - suffix.len()).min(partition.topic.len());
    while !partition.topic.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{suffix}", &partition.topic[..room])
}

/// The content of `partition.metadata`.
pub(crate) fn partition_metadata(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// The topic id in the content of a `partition.metadata`.
pub(crate) fn parse_partition_metadata(text: &str) -> Option<Uuid> {
    let mut version = None;
    let mut topic_id = None;
    for line in text.lines() {
        match line.split_once(": ")? {
            ("version", value) => version = value.trim().parse::<i32>().ok(),
            ("topic_id", value) => topic_id = value.trim().parse::<Uuid>().ok(),
            _ => {}
        }
    }
    version.filter(|version| *version == 0)?;
    topic_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_are_split_at_the_last_dash() {
        assert_eq!(
            parse_directory("a-b-7"),
            Some(TopicPartition::new("a-b", 7))
        );
        assert_eq!(
            parse_directory("__consumer_offsets-49").unwrap().partition,
            49
        );
        for other in [
            "a",
            "-1",
            "a-",
            "a-x",
            "a-1.0123-delete",
            "a-+1",
            "a-99999999999",
        ] {
            assert_eq!(parse_directory(other), None, "{other}");
        }
    }

    #[test]
    fn a_deleted_directory_is_no_partition_and_fits_a_file_system() {
        let partition = TopicPartition::new("t".repeat(249), 3);
        let name = deleted_directory(&partition, 1);
        assert!(name.len() <= 255 && name.ends_with(DELETE_DIR));
        assert_eq!(parse_directory(&name), None);
    }

    #[test]
    fn partition_metadata_reads_as_it_was_written() {
        let id = Uuid(7u128.to_be_bytes());
        assert_eq!(parse_partition_metadata(&partition_metadata(id)), Some(id));
        assert_eq!(
            parse_partition_metadata("version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"),
            None
        );
        assert_eq!(parse_partition_metadata(""), None);
        assert_eq!(parse_partition_metadata("\0\0\0"), None);
    }

    #[test]
    fn segment_files_are_named_by_twenty_digits() {
        assert_eq!(file_name(42, LOG), "00000000000000000042.log");
        assert_eq!(
            parse_file_name("00000000000000000042.log.swap"),
            Some((42, "log.swap"))
        );
        assert_eq!(parse_file_name("leader-epoch-checkpoint"), None);
        assert_eq!(parse_file_name("42.log"), None);
    }
}
