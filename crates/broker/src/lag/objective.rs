//! Lag objectives: whether a group is as close behind its writers as it should be, and if not, what is wrong with it.
//!
//! The names are Burrow's, the rules are mended: a group is judged only when its objective is missed, so a little lag is
//! no warning; the window is a time, so that bursts of commits do not make it short; lag is records, so that markers of
//! transactions are none; and who commits nothing is told apart by whether it is still there.

use std::collections::VecDeque;

use serde::Serialize;

/// How long the window is.
const WINDOW_MS: i64 = 10 * 60 * 1000;
/// The least time between two samples that are kept, so that there are 41 at the most.
const STEP_MS: i64 = 15 * 1000;
/// How long a group may rest before that is held against it: as long as its objective for the age, within these bounds.
const PATIENCE_MS: (i64, i64) = (30 * 1000, WINDOW_MS);
/// Where there is no objective for the age.
const DEFAULT_PATIENCE_MS: i64 = 60 * 1000;

/// What a group is held to, in each partition; at least one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Objective {
    /// The oldest unread record has waited for no longer than this.
    pub(crate) age_ms: Option<i64>,
    /// No more records than this are unread.
    pub(crate) records: Option<i64>,
}

/// How it is with a group; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    /// The objective is kept.
    Ok,
    /// It is missed, and the group reads on.
    Warn,
    /// The group commits, but the same place again and again.
    Stall,
    /// The group commits nothing.
    Stop,
    /// The group went back, and has not read on to where it was.
    Rewind,
}

impl Status {
    /// As it stands in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Warn => "WARN",
            Status::Stall => "STALL",
            Status::Stop => "STOP",
            Status::Rewind => "REWIND",
        }
    }
}

/// More of a status that is not OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// WARN: fewer records are unread than before.
    CatchingUp,
    /// WARN: as many are unread as before, or more.
    FallingBehind,
    /// STALL.
    SamePlace,
    /// STOP: there are members.
    NotCommitting,
    /// STOP: there is no member.
    Gone,
    /// REWIND.
    WentBack,
}

/// A status and more of it.
pub(crate) type Verdict = (Status, Option<Why>);

/// One partition at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Ms since 1970.
    pub(crate) at_ms: i64,
    pub(crate) committed: i64,
    /// Records.
    pub(crate) behind: i64,
    /// `None` if nothing is unread, or its age is not known.
    pub(crate) age_ms: Option<i64>,
    /// When the group last committed here, if that is known.
    pub(crate) last_commit_ms: Option<i64>,
}

/// The samples of one partition, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Window {
    samples: VecDeque<Sample>,
    /// Whether the last is so close to the one before it that the next takes its place.
    is_last_loose: bool,
}

impl Window {
    /// Takes the newest sample.
    pub(crate) fn push(&mut self, sample: Sample) {
        if self.is_last_loose {
            self.samples.pop_back();
        }
        let last = self.samples.back();
        self.is_last_loose = last.is_some_and(|last| sample.at_ms - last.at_ms < STEP_MS);
        self.samples.push_back(sample);
        let begin_ms = sample.at_ms - WINDOW_MS;
        while self
            .samples
            .front()
            .is_some_and(|first| first.at_ms < begin_ms)
        {
            self.samples.pop_front();
        }
    }

    /// Judges the newest sample by those before it.
    pub(crate) fn judge(&self, objective: Objective, has_members: bool) -> Verdict {
        let Some(now) = self.samples.back() else {
            return (Status::Ok, None);
        };
        let over =
            |is: Option<i64>, most: Option<i64>| is.zip(most).is_some_and(|(is, most)| is > most);
        let is_missed =
            over(now.age_ms, objective.age_ms) || over(Some(now.behind), objective.records);
        if now.behind == 0 || !is_missed {
            return (Status::Ok, None);
        }
        if self.went_back() {
            return (Status::Rewind, Some(Why::WentBack));
        }
        let patience_ms = objective
            .age_ms
            .unwrap_or(DEFAULT_PATIENCE_MS)
            .clamp(PATIENCE_MS.0, PATIENCE_MS.1);
        let rests = self.rests_for_ms(now) >= patience_ms;
        let last_commit_ms = now.last_commit_ms.unwrap_or(i64::MIN);
        match (
            rests,
            now.at_ms.saturating_sub(last_commit_ms) < patience_ms,
        ) {
            (true, true) => (Status::Stall, Some(Why::SamePlace)),
            (true, false) if has_members => (Status::Stop, Some(Why::NotCommitting)),
            (true, false) => (Status::Stop, Some(Why::Gone)),
            (false, _) if self.catches_up(now, patience_ms) => {
                (Status::Warn, Some(Why::CatchingUp))
            }
            (false, _) => (Status::Warn, Some(Why::FallingBehind)),
        }
    }

    /// Whether the bookmark was further on than it is.
    fn went_back(&self) -> bool {
        let furthest = self.samples.iter().map(|sample| sample.committed).max();
        let now = self.samples.back().map(|sample| sample.committed);
        now < furthest
    }

    /// For how long the bookmark has been seen where it is with something to read after it.
    fn rests_for_ms(&self, now: &Sample) -> i64 {
        let same = |sample: &&Sample| sample.committed == now.committed && sample.behind > 0;
        let first = self.samples.iter().rev().take_while(same).last();
        first.map_or(0, |first| now.at_ms - first.at_ms)
    }

    /// Whether fewer records are unread than so long ago, or than at the window's beginning.
    fn catches_up(&self, now: &Sample, ago_ms: i64) -> bool {
        let then = self
            .samples
            .iter()
            .rev()
            .find(|s| now.at_ms - s.at_ms >= ago_ms);
        let then = then.or(self.samples.front());
        then.is_some_and(|then| now.behind < then.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Objective = Objective {
        age_ms: Some(60_000),
        records: None,
    };

    /// What the samples are judged, one each 10 s: (committed, behind, age in s, seconds since the last commit).
    fn judged(
        objective: Objective,
        has_members: bool,
        samples: &[(i64, i64, i64, i64)],
    ) -> Verdict {
        let mut window = Window::default();
        for (n, (committed, behind, age_s, since_s)) in samples.iter().enumerate() {
            let at_ms = (1_000_000 + 10 * n as i64) * 1000;
            window.push(Sample {
                at_ms,
                committed: *committed,
                behind: *behind,
                age_ms: (*behind > 0).then_some(age_s * 1000),
                last_commit_ms: Some(at_ms - since_s * 1000),
            });
        }
        window.judge(objective, has_members)
    }

    /// So many samples, by their number.
    fn samples(count: i64, of: impl Fn(i64) -> (i64, i64, i64, i64)) -> Vec<(i64, i64, i64, i64)> {
        (0..count).map(of).collect()
    }

    #[test]
    fn a_group_within_its_objective_is_ok_whatever_it_does() {
        let cases = [
            (
                "little lag that never falls",
                samples(60, |n| (n, 5 + n, 59, 5)),
            ),
            ("a batch that takes long", samples(5, |_| (7, 100, 59, 59))),
            ("a quiet topic", samples(60, |n| (7, 0, 0, 600 + n))),
            ("a step back", vec![(10, 0, 0, 1), (5, 5, 20, 1)]),
        ];
        for (what, samples) in cases {
            assert_eq!(judged(AGE, true, &samples), (Status::Ok, None), "{what}");
        }
    }

    #[test]
    fn who_reads_on_too_far_behind_is_warned_about() {
        let falling = samples(30, |n| (n, 100 + n, 90, 5));
        let with_a_dip = samples(30, |n| (n, 100 + n - 10 * i64::from(n == 20), 90, 5));
        for samples in [falling, with_a_dip] {
            let verdict = judged(AGE, true, &samples);
            assert_eq!(verdict, (Status::Warn, Some(Why::FallingBehind)));
        }
        let gaining = samples(30, |n| (20 * n, 1000 - 10 * n, 90, 5));
        let verdict = judged(AGE, true, &gaining);
        assert_eq!(verdict, (Status::Warn, Some(Why::CatchingUp)));
    }

    #[test]
    fn who_commits_nothing_has_stopped_and_is_there_or_gone() {
        let silent = samples(10, |n| (7, 10 * n + 1, 10 * n, 10 * n));
        let there = judged(AGE, true, &silent);
        assert_eq!(there, (Status::Stop, Some(Why::NotCommitting)));
        let gone = judged(AGE, false, &silent);
        assert_eq!(gone, (Status::Stop, Some(Why::Gone)));
    }

    #[test]
    fn who_commits_the_same_place_stalls() {
        let stuck = samples(10, |n| (7, 10 * n + 1, 100, 5));
        assert_eq!(
            judged(AGE, true, &stuck),
            (Status::Stall, Some(Why::SamePlace))
        );
    }

    #[test]
    fn a_reader_whose_quiet_topic_wakes_has_not_stopped() {
        // Nothing was committed for an hour, since there was nothing to commit; then old records come at once.
        let mut samples = samples(40, |n| (7, 0, 0, 3600 + 10 * n));
        samples.push((7, 500, 90, 4000));
        let verdict = judged(AGE, true, &samples);
        assert_eq!(verdict, (Status::Warn, Some(Why::FallingBehind)));
    }

    #[test]
    fn who_went_back_is_told_until_it_has_read_on_to_where_it_was() {
        let back = [(1000, 10, 90, 5), (0, 1010, 900, 5), (500, 520, 800, 5)];
        assert_eq!(
            judged(AGE, true, &back),
            (Status::Rewind, Some(Why::WentBack))
        );
        let on = [(1000, 10, 90, 5), (0, 1010, 900, 5), (1000, 520, 800, 5)];
        assert_eq!(judged(AGE, true, &on).0, Status::Warn);
    }

    #[test]
    fn an_objective_may_be_a_number_of_records() {
        let most = Objective {
            age_ms: None,
            records: Some(100),
        };
        assert_eq!(judged(most, true, &[(7, 100, 900, 5)]).0, Status::Ok);
        assert_eq!(judged(most, true, &[(7, 101, 1, 5)]).0, Status::Warn);
    }

    #[test]
    fn bursts_of_looks_leave_the_window_ten_minutes_long() {
        let mut window = Window::default();
        for n in 0..10_000 {
            window.push(Sample {
                at_ms: n * 200,
                committed: n,
                behind: 1,
                age_ms: None,
                last_commit_ms: None,
            });
        }
        let span = window.samples.back().unwrap().at_ms - window.samples.front().unwrap().at_ms;
        assert!((WINDOW_MS - STEP_MS..=WINDOW_MS).contains(&span), "{span}");
        assert!(window.samples.len() <= 42, "{}", window.samples.len());
    }
}
