//! Committed offsets in a file: the forms that Kafka's tools write and read. Pure.

use catchword_client::TopicPartition;

use crate::failure::Failure;

/// A group's place in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// The group, where the file says it.
    pub(super) group: Option<String>,
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// kafka-consumer-groups --export.
    Csv,
    /// Kafka's old ExportZkOffsets.
    Zookeeper,
}

/// The root of what old consumers kept in ZooKeeper.
const CONSUMERS: &str = "/consumers/";

/// The file's text; one group alone is not named in CSV, as Kafka does it.
///
/// # Errors
/// If ZooKeeper's form has no room for a name.
pub(super) fn write(bookmarks: &[Bookmark], form: Form) -> Result<String, Failure> {
    let group = |bookmark: &Bookmark| bookmark.group.clone().unwrap_or_default();
    match form {
        Form::Csv => {
            let one = bookmarks
                .windows(2)
                .all(|pair| pair[0].group == pair[1].group);
            let mut writer = csv::Writer::from_writer(Vec::new());
            for bookmark in bookmarks {
                let TopicPartition { topic, partition } = &bookmark.partition;
                let written = match one {
                    true => writer.serialize((topic, partition, bookmark.offset)),
                    false => writer.serialize((group(bookmark), topic, partition, bookmark.offset)),
                };
                written.map_err(|error| Failure::failed(error.to_string()))?;
            }
            let bytes = writer
                .into_inner()
                .map_err(|error| Failure::failed(error.to_string()))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        Form::Zookeeper => {
            let mut text = String::new();
            for bookmark in bookmarks {
                let group = group(bookmark);
                if group.is_empty() || group.contains('/') {
                    return Err(Failure::failed(format!(
                        "group {group:?} can have no node in ZooKeeper; --form csv can name it"
                    )));
                }
                let TopicPartition { topic, partition } = &bookmark.partition;
                let offset = bookmark.offset;
                text += &format!("{CONSUMERS}{group}/offsets/{topic}/{partition}:{offset}\n");
            }
            Ok(text)
        }
    }
}

/// Reads a file of any of the forms. The error names the line.
pub(super) fn parse(text: &str) -> Result<Vec<Bookmark>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.clone().any(|line| line.contains(CONSUMERS)) {
        let lines = text.lines().enumerate();
        return lines
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(at, line)| {
                zookeeper_line(line.trim()).ok_or_else(|| {
                    format!(
                        "line {}: {line:?} is not /consumers/GROUP/offsets/TOPIC/PARTITION:OFFSET",
                        at + 1
                    )
                })
            })
            .collect();
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut bookmarks = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        let line = row.position().map_or(0, csv::Position::line);
        let fields: Vec<&str> = row.iter().collect();
        let bookmark = csv_row(&fields).ok_or_else(|| {
            format!(
                "line {line}: {:?} is neither topic,partition,offset nor group,topic,partition,offset",
                fields.join(",")
            )
        })?;
        bookmarks.push(bookmark);
    }
    Ok(bookmarks)
}

fn csv_row(fields: &[&str]) -> Option<Bookmark> {
    let (group, [topic, partition, offset]) = match fields {
        [group, rest @ ..] if rest.len() == 3 => {
            (Some((*group).to_owned()), [rest[0], rest[1], rest[2]])
        }
        [topic, partition, offset] => (None, [*topic, *partition, *offset]),
        _ => return None,
    };
    bookmark(group, topic, partition, offset)
}

/// Nodes may stand below a directory of their own (chroot) before `/consumers`.
fn zookeeper_line(line: &str) -> Option<Bookmark> {
    let (_, path) = line.split_once(CONSUMERS)?;
    let (path, offset) = path.rsplit_once(':')?;
    let mut names = path.split('/');
    let (group, offsets) = (names.next()?, names.next()?);
    let (topic, partition) = (names.next()?, names.next()?);
    if offsets != "offsets" || names.next().is_some() {
        return None;
    }
    bookmark(Some(group.to_owned()), topic, partition, offset)
}

fn bookmark(group: Option<String>, topic: &str, partition: &str, offset: &str) -> Option<Bookmark> {
    let partition = partition.trim().parse().ok().filter(|n: &i32| *n >= 0)?;
    let offset = offset.trim().parse().ok().filter(|n: &i64| *n >= 0)?;
    (!topic.is_empty()).then(|| Bookmark {
        group,
        partition: TopicPartition::new(topic, partition),
        offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bookmark_of(group: Option<&str>, topic: &str, partition: i32, offset: i64) -> Bookmark {
        Bookmark {
            group: group.map(str::to_owned),
            partition: TopicPartition::new(topic, partition),
            offset,
        }
    }

    #[test]
    fn one_group_is_written_without_its_name_and_several_with() {
        let mut bookmarks = vec![
            bookmark_of(Some("g"), "t", 0, 5),
            bookmark_of(Some("g"), "t", 1, 6),
        ];
        assert_eq!(write(&bookmarks, Form::Csv).unwrap(), "t,0,5\nt,1,6\n");
        bookmarks.push(bookmark_of(Some("a,\"b\""), "t", 0, 7));
        let text = write(&bookmarks, Form::Csv).unwrap();
        assert_eq!(text, "g,t,0,5\ng,t,1,6\n\"a,\"\"b\"\"\",t,0,7\n");
        assert_eq!(parse(&text).unwrap(), bookmarks);
    }

    #[test]
    fn zookeepers_form_is_written_and_read() {
        let bookmarks = [bookmark_of(Some("g:1"), "t", 0, 286_894_308)];
        let text = write(&bookmarks, Form::Zookeeper).unwrap();
        assert_eq!(text, "/consumers/g:1/offsets/t/0:286894308\n");
        assert_eq!(parse(&text).unwrap(), bookmarks);
        let below = "/kafka/prod/consumers/g:1/offsets/t/0:286894308\n\n";
        assert_eq!(parse(below).unwrap(), bookmarks);
        let group = [bookmark_of(Some("a/b"), "t", 0, 1)];
        assert!(write(&group, Form::Zookeeper).is_err());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, line) in [
            ("t,0,5\nt,0\n", "line 2"),
            ("t,x,5\n", "line 1"),
            ("t,0,-1\n", "line 1"),
            ("g,t,0,5,6\n", "line 1"),
            (
                "/consumers/g/offsets/t/0:5\n/consumers/g/owners/t/0:x\n",
                "line 2",
            ),
            ("/consumers/g/offsets/t/1-0:5\n", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(line), "{text:?}: {error}");
        }
        assert_eq!(parse("\n"), Ok(vec![]));
    }
}
