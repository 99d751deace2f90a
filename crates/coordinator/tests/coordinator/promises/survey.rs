//! Groups as they are now, asked for in pieces.

use catchword_coordinator::{Call, Reply, Survey, SurveyCall};
use catchword_wire::Str;

use crate::driver::*;

fn after(driver: &mut Driver, group: Option<Str>) -> Survey {
    match driver.ask(0, Call::Survey(SurveyCall::After(group))) {
        Reply::Survey(survey) => survey,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_group_is_shown_once_and_a_piece_is_no_larger_than_a_commit_can_wait_for() {
    const GROUPS: usize = 30;
    let places: Vec<(i32, i64)> = (0..200).map(|p| (p, i64::from(p))).collect();
    let mut driver = Driver::new();
    for group in 0..GROUPS {
        let mut one = commit(&format!("g{group:02}"), "", -1, 0);
        one.topics = vec![commit_topic("t", &places)];
        driver.commit(one);
    }
    let (mut names, mut at) = (Vec::new(), None);
    loop {
        let survey = after(&mut driver, at);
        let bookmarks = survey.groups.iter().map(|group| group.bookmarks.len());
        assert!(bookmarks.sum::<usize>() <= 2_200);
        let groups = survey.groups.into_iter();
        names.extend(groups.map(|group| group.listed.group_id));
        // What comes to be behind the place where a piece ended is seen by the next.
        driver.commit(commit("z-new", "", -1, 5));
        at = survey.more_after;
        if at.is_none() {
            break;
        }
    }
    let mut expected: Vec<String> = (0..GROUPS).map(|n| format!("g{n:02}")).collect();
    expected.push("z-new".into());
    let names: Vec<String> = names.iter().map(Str::to_string).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_group_that_is_gone_meanwhile_is_no_place_to_lose_the_others_at() {
    let mut driver = Driver::new();
    for group in ["a", "b", "c"] {
        driver.commit(commit(group, "", -1, 5));
    }
    driver.ask(0, Call::DeleteGroup("b".into()));
    let left = after(&mut driver, Some("b".into()));
    let left = left.groups.into_iter().map(|group| group.listed.group_id);
    assert_eq!(left.collect::<Vec<_>>(), ["c"]);
}

#[test]
fn who_is_in_a_group_comes_with_it() {
    let mut driver = Driver::new();
    driver.commit(commit("empty", "", -1, 5));
    let members = driver.stable("g", 3);
    let told = after(&mut driver, None).groups;
    let rosters: Vec<_> = told.iter().map(|group| group.roster.as_deref()).collect();
    let [None, Some(roster)] = rosters[..] else {
        panic!("{rosters:?}");
    };
    let ids: std::collections::BTreeSet<&Str> = roster.members.iter().map(|m| &m.id).collect();
    assert_eq!(ids, members.iter().collect());
    assert_eq!(
        driver.look(Call::Roster("g".into())),
        Reply::Roster(Some(Box::new(roster.clone())))
    );
}
