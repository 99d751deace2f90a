//! What `top` shows and how it answers to keys: pure, so that it is tested without a terminal.

use super::words::{how, safety, table};
use crate::commands::lag::{GroupLag, Lags, partitions_table, summary};
use crate::plane::when;

/// Lines that are not groups: title, blank, head, foot.
const AROUND: usize = 4;

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Up,
    Down,
    Enter,
    Escape,
}

/// What is to be done after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    /// Another group is wanted, or all: ask at once.
    Ask,
    Quit,
}

/// What the groups are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Behind,
    Oldest,
    Speed,
    Name,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Bold,
    Faint,
    Selected,
    Alarm,
}

/// A line of the screen.
pub(super) type Line = (Look, String);

/// See the module.
#[derive(Debug)]
pub(super) struct Screen {
    cluster: String,
    sort: Sort,
    /// The group that the keys are on.
    selected: Option<String>,
    /// Whether it alone is shown.
    is_detail: bool,
    told: Option<Lags>,
    /// Why nothing newer was told.
    trouble: Option<String>,
}

impl Screen {
    pub(super) fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            sort: Sort::Behind,
            selected: None,
            is_detail: false,
            told: None,
            trouble: None,
        }
    }

    /// The group to ask for; `None`: all.
    pub(super) fn wanted(&self) -> Option<&str> {
        self.selected.as_deref().filter(|_| self.is_detail)
    }

    /// Takes what the broker told when it was asked for `wanted`.
    pub(super) fn take(&mut self, wanted: Option<&str>, told: Result<Lags, String>) {
        if wanted != self.wanted() {
            return;
        }
        match told {
            Ok(mut told) => {
                self.sorted(&mut told.groups);
                self.told = Some(told);
                self.trouble = None;
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    fn sorted(&self, groups: &mut [GroupLag]) {
        // The largest first; what is not known, last.
        match self.sort {
            Sort::Behind => groups.sort_by_key(|g| std::cmp::Reverse(g.lag.lag)),
            Sort::Oldest => groups.sort_by_key(|g| std::cmp::Reverse(g.lag.age_ms)),
            Sort::Speed => groups.sort_by(|a, b| {
                let speed = |g: &GroupLag| g.lag.speed.unwrap_or(-1.0);
                speed(b).total_cmp(&speed(a))
            }),
            Sort::Name => groups.sort_by(|a, b| a.group.cmp(&b.group)),
        }
    }

    fn groups(&self) -> &[GroupLag] {
        self.told.as_ref().map_or(&[], |told| &told.groups)
    }

    /// The line that the keys are on; the first if the group that it was is gone.
    fn at(&self) -> usize {
        let is_it = |group: &GroupLag| Some(&group.group) == self.selected.as_ref();
        self.groups().iter().position(is_it).unwrap_or(0)
    }

    fn select(&mut self, at: usize) {
        let last = self.groups().len().saturating_sub(1);
        self.selected = self.groups().get(at.min(last)).map(|g| g.group.clone());
    }

    /// Answers to a key.
    pub(super) fn key(&mut self, key: Key) -> Next {
        match key {
            Key::Letter('q') => return Next::Quit,
            Key::Escape if !self.is_detail => return Next::Quit,
            Key::Escape => {
                self.is_detail = false;
                self.told = None;
                return Next::Ask;
            }
            _ if self.is_detail => return Next::Stay,
            Key::Enter => {
                self.select(self.at());
                self.is_detail = self.selected.is_some();
                return if self.is_detail {
                    Next::Ask
                } else {
                    Next::Stay
                };
            }
            Key::Up | Key::Letter('k') => self.select(self.at().saturating_sub(1)),
            Key::Down | Key::Letter('j') => self.select(self.at() + 1),
            Key::Letter('b') => self.sort_by(Sort::Behind),
            Key::Letter('o') => self.sort_by(Sort::Oldest),
            Key::Letter('s') => self.sort_by(Sort::Speed),
            Key::Letter('n') => self.sort_by(Sort::Name),
            Key::Letter(_) => {}
        }
        Next::Stay
    }

    fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        if let Some(mut told) = self.told.take() {
            self.sorted(&mut told.groups);
            self.told = Some(told);
        }
    }

    /// The screen, `height` lines of at most `width` characters.
    pub(super) fn frame(&self, width: usize, height: usize) -> Vec<Line> {
        let mut lines = match self.is_detail {
            true => self.detail(),
            false => self.list(height.saturating_sub(AROUND)),
        };
        lines.truncate(height.saturating_sub(1));
        lines.resize(height.saturating_sub(1), (Look::Plain, String::new()));
        lines.push(match &self.trouble {
            Some(why) => (
                Look::Alarm,
                why.lines().next().unwrap_or_default().to_owned(),
            ),
            None => (Look::Faint, self.keys().to_owned()),
        });
        for (_, text) in &mut lines {
            *text = text.chars().take(width).collect();
        }
        lines
    }

    fn keys(&self) -> &'static str {
        match self.is_detail {
            true => "Esc all groups   q quit",
            false => {
                "↑↓ choose   Enter one group   sort: b behind  o oldest  s speed  n name   q quit"
            }
        }
    }

    fn title(&self, what: &str) -> Line {
        let at = self
            .told
            .as_ref()
            .map_or_else(|| "asking …".into(), |told| when(told.at_ms));
        (Look::Bold, format!("{what} on {}  {at}", self.cluster))
    }

    fn list(&self, room: usize) -> Vec<Line> {
        let groups = self.groups();
        let mut lines = vec![self.title("Groups"), (Look::Plain, String::new())];
        if groups.is_empty() && self.told.is_some() {
            let how = "There is no group yet; `catchword consume TOPIC --group NAME` makes one.";
            lines.push((Look::Plain, how.to_owned()));
            return lines;
        }
        let at = self.at();
        let now_ms = self.told.as_ref().map_or(0, |told| told.at_ms);
        let mut rows = table(groups, now_ms).lines().into_iter();
        lines.extend(rows.next().map(|head| (Look::Faint, head)));
        let first = (at + 1).saturating_sub(room.max(1));
        for (n, (group, row)) in groups.iter().zip(rows).enumerate().skip(first).take(room) {
            let look = match how(group, now_ms).1 {
                _ if n == at => Look::Selected,
                true => Look::Alarm,
                false => Look::Plain,
            };
            lines.push((look, row));
        }
        lines
    }

    fn detail(&self) -> Vec<Line> {
        let name = self.selected.as_deref().unwrap_or_default();
        let mut lines = vec![self.title(&format!("Group {name}"))];
        let group = self.groups().iter().find(|group| group.group == name);
        let Some(group) = group else {
            return lines;
        };
        lines.push((Look::Plain, summary(group)));
        let now_ms = self.told.as_ref().map_or(0, |told| told.at_ms);
        lines.push((Look::Plain, safety(group, now_ms)));
        let awaited = group.awaited.iter();
        lines.extend(awaited.map(|one| (Look::Alarm, format!("waits for {}", one.words(now_ms)))));
        lines.push((Look::Plain, String::new()));
        let rows = partitions_table(group.partitions.as_deref().unwrap_or_default()).lines();
        let rows = rows.into_iter().enumerate();
        lines.extend(rows.map(|(n, row)| match n {
            0 => (Look::Faint, row),
            _ => (Look::Plain, row),
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Lags {
        let group = |name: &str, state: &str, more: &str| {
            format!(
                r#"{{"group": "{name}", "state": "{state}", "kind": "classic", "bytes": null, {more}}}"#
            )
        };
        let groups = [
            group(
                "billing",
                "Stable",
                r#""lag": 0, "age_ms": null, "lost": 0, "speed": 120.0,
                "to_zero_ms": null, "retention_in_ms": null"#,
            ),
            group(
                "search",
                "Stable",
                r#""lag": 41204, "age_ms": 130000, "lost": 0, "speed": 310.0,
                "to_zero_ms": 240000, "retention_in_ms": 590000000"#,
            ),
            group(
                "weekly",
                "Empty",
                r#""lag": 8113, "age_ms": 450000000, "lost": 0, "speed": null,
                "to_zero_ms": null, "retention_in_ms": 147600000"#,
            ),
            group(
                "mirror",
                "Stable",
                r#""lag": 5, "age_ms": 10, "lost": 12400, "speed": 1.0,
                "to_zero_ms": null, "retention_in_ms": null"#,
            ),
        ];
        let text = format!(
            r#"{{"at_ms": 0, "counted": true, "groups": [{}]}}"#,
            groups.join(",")
        );
        serde_json::from_str(&text).unwrap()
    }

    fn screen() -> Screen {
        let mut screen = Screen::new("here:9092");
        screen.take(None, Ok(told()));
        screen
    }

    fn text(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn it_reads_like_this() {
        let frame = screen().frame(100, 8);
        let expected = [
            "STATE      GROUP    BEHIND  OLDEST UNREAD  SPEED  BOOKMARKS SAFE UNTIL",
            "◐ slow     search   41,204          2 min  310/s  kept; catches up in 4 min",
            "○ closed   weekly    8,113            5 d      –  ⚠ retention reaches the bookmark in 41 h",
            "✕ torn     mirror        5            0 s  1.0/s  retention took 12,400 records before they were",
            "● reading  billing       0              –  120/s  kept (nothing unread)",
        ];
        let shown = text(&frame);
        assert!(
            shown[0].starts_with("Groups on here:9092  1970-01-01 00:00:00Z"),
            "{shown:?}"
        );
        for (line, expected) in shown[2..7].iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
        assert!(shown[7].contains("q quit"));
        let looks: Vec<Look> = frame[3..6].iter().map(|(look, _)| *look).collect();
        assert_eq!(looks, [Look::Selected, Look::Plain, Look::Alarm]);
    }

    #[test]
    fn keys_sort_and_the_choice_stays_with_its_group() {
        let mut screen = screen();
        assert_eq!(screen.key(Key::Down), Next::Stay);
        assert_eq!(screen.selected.as_deref(), Some("weekly"));
        let first = |screen: &Screen| screen.groups()[0].group.clone();
        for (key, expected) in [
            ('o', "weekly"),
            ('s', "search"),
            ('n', "billing"),
            ('b', "search"),
        ] {
            screen.key(Key::Letter(key));
            assert_eq!(first(&screen), expected, "{key}");
            assert_eq!(screen.selected.as_deref(), Some("weekly"));
        }
        for _ in 0..9 {
            screen.key(Key::Down);
        }
        assert_eq!(screen.selected.as_deref(), Some("billing"), "the last");
    }

    #[test]
    fn one_group_is_shown_alone_and_left_again() {
        let mut screen = screen();
        assert_eq!(screen.key(Key::Enter), Next::Ask);
        assert_eq!(screen.wanted(), Some("search"));
        let shown = screen.frame(100, 10);
        assert!(text(&shown)[0].starts_with("Group search on"), "{shown:?}");
        assert!(
            text(&shown)[1].contains("41,204 records behind"),
            "{shown:?}"
        );
        screen.take(
            None,
            Ok(serde_json::from_str(r#"{"at_ms": 0, "counted": true, "groups": []}"#).unwrap()),
        );
        assert_eq!(
            screen.groups().len(),
            4,
            "an answer to an older question does not count"
        );
        assert_eq!(screen.key(Key::Escape), Next::Ask);
        assert_eq!(screen.wanted(), None);
        assert_eq!(screen.key(Key::Escape), Next::Quit);
    }

    #[test]
    fn it_fits_any_terminal_and_keeps_the_choice_in_sight() {
        let mut screen = screen();
        screen.key(Key::Up);
        for _ in 0..3 {
            screen.key(Key::Down);
        }
        for height in 0..12 {
            for width in [0, 1, 20, 200] {
                let frame = screen.frame(width, height);
                assert!(frame.len() <= height.max(1));
                assert!(frame.iter().all(|(_, text)| text.chars().count() <= width));
            }
        }
        let small = screen.frame(80, 5);
        assert!(
            small
                .iter()
                .any(|(look, text)| *look == Look::Selected && text.contains("billing"))
        );
    }

    #[test]
    fn trouble_is_told_where_the_keys_stand_and_the_last_answer_stays() {
        let mut screen = screen();
        screen.take(None, Err("the broker is away\nmore".into()));
        let frame = screen.frame(100, 8);
        assert_eq!(frame[7], (Look::Alarm, "the broker is away".into()));
        assert!(text(&frame)[3].contains("search"));
    }
}
