//! Places in a log as people name them: `earliest`, `end`, a time, an offset, so many records back.

use std::str::FromStr;

use catchword_client::TopicPartition;

use crate::time;

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The log start offset.
    Earliest,
    /// After the last record.
    End,
    /// The first record at or after a time, in milliseconds since the epoch.
    Time(i64),
    /// An offset.
    Offset(i64),
    /// So many records back (negative) or on from where one is.
    By(i64),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "earliest" | "start" | "beginning" => return Ok(Self::Earliest),
            "end" | "latest" => return Ok(Self::End),
            "now" => return Ok(Self::Time(time::now_ms())),
            _ => {}
        }
        if let Some(time) = time::parse(text) {
            return time.map(Self::Time);
        }
        if let Some(span) = text.strip_suffix("ago").map(str::trim_end) {
            let span = time::parse_duration(&span.replace(' ', ""));
            let span =
                span.ok_or_else(|| format!("{text:?} is not a time; write it as \"2h ago\""))?;
            return Ok(Self::Time(time::now_ms().saturating_sub(span)));
        }
        let number = |digits: &str| {
            digits
                .replace(['_', ','], "")
                .parse::<i64>()
                .ok()
                .filter(|n| *n >= 0)
        };
        let place = match text.as_bytes().first() {
            Some(b'-') => number(&text[1..]).map(|n| Self::By(-n)),
            Some(b'+') => number(&text[1..]).map(Self::By),
            _ => number(text).map(Self::Offset),
        };
        place.ok_or_else(|| {
            format!(
                "{text:?} is no place in a log; say earliest, end, an offset (1200), -500 for 500 records back, \
                 a time (2026-11-23T13:30+01:00) or \"2h ago\""
            )
        })
    }
}

/// A moment in a group's past: one that has a name, or a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// The name of a tag.
    Tag(String),
    /// Milliseconds since the epoch.
    Time(i64),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(tag) = text.strip_prefix('@') {
            return Ok(Self::Tag(tag.to_owned()));
        }
        match text.parse() {
            Ok(Place::Time(ms)) => return Ok(Self::Time(ms)),
            Err(why) if time::is_meant(text) => return Err(why),
            _ => {}
        }
        // As the broker has them; no time begins with a letter but those above.
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && !text.contains(char::is_whitespace);
        is_name.then(|| Self::Tag(text.to_owned())).ok_or_else(|| {
            format!(
                "{text:?} is neither a tag's name nor a time; say 2026-11-23T13:30+01:00, \"yesterday 14:00Z\" or \"2h ago\""
            )
        })
    }
}

/// Partitions as named by `--topic`: all of a topic, or some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partitions {
    /// The topic.
    pub(crate) topic: String,
    /// Its partitions; all if `None`.
    pub(crate) only: Option<Vec<i32>>,
}

impl Partitions {
    /// Whether the partition is among them.
    pub(crate) fn contains(&self, partition: &TopicPartition) -> bool {
        self.topic == partition.topic
            && self
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&partition.partition))
    }
}

impl FromStr for Partitions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((topic, numbers)) = text.split_once(':') else {
            return Ok(Self {
                topic: text.to_owned(),
                only: None,
            });
        };
        let wrong =
            || format!("{text:?} is not TOPIC or TOPIC:PARTITION,PARTITION, as in orders:0,1");
        let mut only = Vec::new();
        for part in numbers.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let from: i32 = from.trim().parse().map_err(|_| wrong())?;
            let to: i32 = to.trim().parse().map_err(|_| wrong())?;
            if from < 0 || to < from || to - from > 100_000 {
                return Err(wrong());
            }
            only.extend(from..=to);
        }
        Ok(Self {
            topic: topic.to_owned(),
            only: Some(only),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let read = |text: &str| text.parse::<Place>();
        assert_eq!(read("earliest"), Ok(Place::Earliest));
        assert_eq!(read("end"), Ok(Place::End));
        assert_eq!(read("1_200"), Ok(Place::Offset(1200)));
        assert_eq!(read("-500"), Ok(Place::By(-500)));
        assert_eq!(read("+3"), Ok(Place::By(3)));
        assert_eq!(
            read("2026-11-23T12:30Z"),
            Ok(Place::Time(1_795_437_000_000))
        );
        assert!(matches!(read("2h ago"), Ok(Place::Time(_))));
        assert!(matches!(read("1d 2h ago"), Ok(Place::Time(_))));
        assert!(matches!(read("20 minutes ago"), Ok(Place::Time(_))));
        assert!(read("2026-11-23 13:30").unwrap_err().contains("zone"));
        assert!(matches!(read("yesterday 14:00Z"), Ok(Place::Time(_))));
        assert!(read("yesterday 14:00").unwrap_err().contains("zone"));
        assert!(read("someday").unwrap_err().contains("no place in a log"));
        assert!(read("--5").is_err());
    }

    #[test]
    fn tags_are_told_from_times() {
        let read = |text: &str| text.parse::<At>();
        let tag = |name: &str| Ok(At::Tag(name.into()));
        assert_eq!(read("before-deploy"), tag("before-deploy"));
        assert_eq!(read("end"), tag("end"));
        assert_eq!(read("@2026"), tag("2026"));
        assert!(matches!(read("today 14:00Z"), Ok(At::Time(_))));
        assert!(matches!(read("2h ago"), Ok(At::Time(_))));
        assert!(read("2026-11-23 13:30").unwrap_err().contains("zone"));
        assert!(read("yesterday").unwrap_err().contains("zone"));
        assert!(read("-500").unwrap_err().contains("neither"));
    }

    #[test]
    fn partitions_are_read() {
        let read = |text: &str| text.parse::<Partitions>().map(|p| (p.topic, p.only));
        assert_eq!(read("orders"), Ok(("orders".into(), None)));
        assert_eq!(
            read("orders:0,2-4"),
            Ok(("orders".into(), Some(vec![0, 2, 3, 4])))
        );
        assert!(read("orders:").is_err());
        assert!(read("orders:3-1").is_err());
        assert!(read("orders:x").is_err());
    }
}
