//! What the checker accepts and what it does not, and that it judges small histories as a plain enumeration does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use crate::{History, Ticket};

type Bookmarks = History<&'static str, Option<i64>>;

fn wrote(history: &mut Bookmarks, value: i64) {
    let ticket = history.write("p", Some(value));
    history.written(ticket);
}

fn saw(history: &mut Bookmarks, value: Option<i64>) {
    let ticket = history.read("p");
    history.found(ticket, value);
}

#[test]
fn one_after_the_other_each_read_finds_the_last_write() {
    let mut history = Bookmarks::default();
    saw(&mut history, None);
    wrote(&mut history, 5);
    saw(&mut history, Some(5));
    wrote(&mut history, 3);
    saw(&mut history, Some(3));
    history.check().unwrap();
    saw(&mut history, Some(5));
    let complaint = history.check().unwrap_err().to_string();
    assert!(
        complaint.contains("\"p\" is not linearizable"),
        "{complaint}"
    );
    assert!(complaint.contains("one of [Some(3)]"), "{complaint}");
}

#[test]
fn what_was_acknowledged_and_then_lost_is_noticed() {
    let mut history = Bookmarks::default();
    wrote(&mut history, 5);
    history.crashed();
    saw(&mut history, None);
    assert!(history.check().is_err());
}

#[test]
fn writes_at_the_same_time_happen_in_one_order_for_everybody() {
    let mut history = Bookmarks::default();
    let (first, second) = (history.write("p", Some(1)), history.write("p", Some(2)));
    saw(&mut history, Some(2));
    saw(&mut history, Some(1));
    history.written(second);
    history.written(first);
    saw(&mut history, Some(1));
    history.check().unwrap();
    saw(&mut history, Some(2));
    assert!(history.check().is_err());
}

#[test]
fn what_was_not_answered_when_the_server_died_has_happened_before_or_never_does() {
    for seen_before in [false, true] {
        for seen_after in [false, true] {
            for seen_later in [false, true] {
                let mut history = Bookmarks::default();
                history.write("p", Some(1));
                let now = |seen: bool| seen.then_some(1);
                saw(&mut history, now(seen_before));
                history.crashed();
                saw(&mut history, now(seen_after));
                saw(&mut history, now(seen_later));
                let may_be = (!seen_before || seen_after) && seen_after == seen_later;
                assert_eq!(history.check().is_ok(), may_be, "{history:?}");
            }
        }
    }
}

#[test]
fn what_was_refused_is_never_seen() {
    let mut history = Bookmarks::default();
    let ticket = history.write("p", Some(1));
    history.refused(ticket);
    saw(&mut history, None);
    history.check().unwrap();
    saw(&mut history, Some(1));
    assert!(history.check().is_err());
}

#[test]
fn registers_are_judged_apart() {
    let mut history = Bookmarks::default();
    wrote(&mut history, 1);
    let ticket = history.read("q");
    history.found(ticket, None);
    history.check().unwrap();
    let ticket = history.read("q");
    history.found(ticket, Some(1));
    assert_eq!(history.check().unwrap_err().key, "q");
}

/// Operation, when it began, when it ended; `None` for a write whose end nobody heard of before the server died.
#[derive(Clone, Copy)]
struct Small {
    writes: Option<i64>,
    finds: i64,
    began: usize,
    ended: usize,
    is_known: bool,
}

/// Tries every order of the operations, with and without those that nobody heard of.
fn has_an_order(held: i64, left: &BTreeSet<usize>, all: &[Small]) -> bool {
    let earliest_end = left
        .iter()
        .filter(|n| all[**n].is_known)
        .map(|n| all[*n].ended)
        .min();
    let Some(earliest_end) = earliest_end else {
        return true;
    };
    left.iter().any(|n| {
        let operation = all[*n];
        let mut left = left.clone();
        left.remove(n);
        // What was given up cannot come after what began later than that.
        let given_up = |n: &usize| !all[*n].is_known && all[*n].ended < operation.began;
        left.retain(|n| !given_up(n));
        operation.began < earliest_end
            && match operation.writes {
                Some(value) => has_an_order(value, &left, all),
                None => operation.finds == held && has_an_order(held, &left, all),
            }
    })
}

#[test]
fn small_histories_are_judged_as_trying_every_order_judges_them() {
    let mut state = 1u64;
    let mut dice = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % n
    };
    let mut judged = [0, 0];
    for _ in 0..20_000 {
        let mut history: History<(), i64> = History::default();
        let mut all: Vec<Small> = Vec::new();
        let mut open: Vec<(usize, Ticket)> = Vec::new();
        for now in 0..12 {
            match dice(8) {
                0..4 if all.len() < 6 => {
                    let writes = (dice(2) == 0).then(|| dice(3) as i64);
                    let ticket = match writes {
                        Some(value) => history.write((), value),
                        None => history.read(()),
                    };
                    open.push((all.len(), ticket));
                    all.push(Small {
                        writes,
                        finds: dice(3) as i64,
                        began: now,
                        ended: usize::MAX,
                        is_known: false,
                    });
                }
                7 => {
                    history.crashed();
                    open.drain(..).for_each(|(n, _)| all[n].ended = now);
                }
                _ if !open.is_empty() => {
                    let (n, ticket) = open.remove(dice(open.len() as u64) as usize);
                    (all[n].ended, all[n].is_known) = (now, true);
                    match all[n].writes {
                        Some(_) => history.written(ticket),
                        None => history.found(ticket, all[n].finds),
                    }
                }
                _ => {}
            }
        }
        let counts = |n: &usize| all[*n].is_known || all[*n].writes.is_some();
        let left = (0..all.len()).filter(counts).collect();
        let expected = has_an_order(0, &left, &all);
        assert_eq!(history.check().is_ok(), expected, "{history:?}");
        judged[usize::from(expected)] += 1;
    }
    assert!(judged.iter().all(|n| *n > 2_000), "{judged:?}");
}
