//! Kafka's small text files: offsets per partition, and start offsets per leader epoch.
//!
//! Both are a version line, `0`, a line with the count of entries, and one entry a line. Reading and writing strings
//! only; who stores them where is not known here.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::TopicPartition;

/// The text of an offset checkpoint: `topic partition offset` a line.
pub(crate) fn write_offsets(offsets: &BTreeMap<TopicPartition, i64>) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
    }
    text
}

/// The entries of an offset checkpoint, or what is wrong with it.
pub(crate) fn read_offsets(text: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let mut offsets = BTreeMap::new();
    for line in entries(text)? {
        let mut words = line.split_whitespace();
        let entry = (|| {
            let topic = words.next()?;
            let partition = words.next()?.parse().ok()?;
            let offset = words.next()?.parse().ok()?;
            words
                .next()
                .is_none()
                .then_some((TopicPartition::new(topic, partition), offset))
        })();
        let (partition, offset) = entry.ok_or_else(|| format!("the line {line:?} is no entry"))?;
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

/// The text of a leader epoch checkpoint: `epoch start_offset` a line.
pub(crate) fn write_epochs(epochs: &[(i32, i64)]) -> String {
    let mut text = format!("0\n{}\n", epochs.len());
    for (epoch, start) in epochs {
        let _ = writeln!(text, "{epoch} {start}");
    }
    text
}

/// The entries of a leader epoch checkpoint, or what is wrong with it.
pub(crate) fn read_epochs(text: &str) -> Result<Vec<(i32, i64)>, String> {
    entries(text)?
        .map(|line| {
            let entry = line.split_once(' ');
            let entry = entry.and_then(|(a, b)| Some((a.parse().ok()?, b.trim().parse().ok()?)));
            entry.ok_or_else(|| format!("the line {line:?} is no entry"))
        })
        .collect()
}

fn entries(text: &str) -> Result<std::vec::IntoIter<&str>, String> {
    if text.is_empty() {
        // Kafka makes the file before it has anything to write.
        return Ok(Vec::new().into_iter());
    }
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("0") {
        return Err("the first line is not version 0".to_owned());
    }
    let count = lines
        .next()
        .and_then(|line| line.trim().parse::<usize>().ok());
    let count = count.ok_or("the second line is not a count")?;
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if lines.len() != count {
        return Err(format!(
            "{count} entries are announced, {} are there",
            lines.len()
        ));
    }
    Ok(lines.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_read_as_they_were_written() {
        let offsets = BTreeMap::from([
            (TopicPartition::new("a", 0), 5),
            (TopicPartition::new("b-c", 12), i64::MAX),
        ]);
        let text = write_offsets(&offsets);
        assert_eq!(text, "0\n2\na 0 5\nb-c 12 9223372036854775807\n");
        assert_eq!(read_offsets(&text), Ok(offsets));
    }

    #[test]
    fn a_cut_or_damaged_checkpoint_is_noticed() {
        for text in [
            "1\n0\n",
            "0\n",
            "0\n2\na 0 5\n",
            "0\n1\na 0\n",
            "0\n1\na 0 5 6\n",
            "0\nx\n",
        ] {
            assert!(read_offsets(text).is_err(), "{text:?}");
        }
        assert!(read_epochs("0\n1\n5\n").is_err());
    }

    #[test]
    fn a_file_that_kafka_has_just_made_holds_nothing() {
        assert_eq!(read_offsets(""), Ok(BTreeMap::new()));
    }

    #[test]
    fn epochs_read_as_they_were_written() {
        let epochs = vec![(0, 0), (3, 17)];
        assert_eq!(read_epochs(&write_epochs(&epochs)), Ok(epochs));
    }
}
