//! The note that lies beside what is kept of a partition: what its records do not tell themselves. Pure.

use std::fmt;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The offset there that is read next.
    pub(super) next: i64,
    /// Offsets there that were gone when they were to be read, ever.
    pub(super) missed: i64,
    /// Where our log ended when records were lost last: of bookmarks that have not moved since it is not known where they are.
    pub(super) lost_at: Option<i64>,
}

impl Note {
    /// Reads what [`fmt::Display`] wrote, of older versions as well; `None` if it does not say what is read next.
    pub(super) fn parse(content: &[u8]) -> Option<Note> {
        let text = std::str::from_utf8(content).ok()?;
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key)?.1.parse().ok()
        };
        Some(Note {
            next: value("next")?,
            missed: value("missed").unwrap_or(0),
            lost_at: value("lost_at"),
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "next={}\nmissed={}", self.next, self.missed)?;
        match self.lost_at {
            Some(at) => writeln!(f, "lost_at={at}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again_and_so_is_an_older_versions_note() {
        for lost_at in [None, Some(7)] {
            let note = Note {
                next: 12,
                missed: 3,
                lost_at,
            };
            assert_eq!(Note::parse(note.to_string().as_bytes()), Some(note));
        }
        let older = Note {
            next: 12,
            ..Note::default()
        };
        assert_eq!(Note::parse(b"next=12\n"), Some(older));
        assert_eq!(Note::parse(b""), None, "cut off");
    }
}
