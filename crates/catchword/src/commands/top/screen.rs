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
mod tests;
