//! Many members, one coordinator, and everything that can go wrong, from a seed.
//!
//! Members are lost, paused, restarted; requests and answers are lost, late, repeated; timers are late; the broker is
//! killed between append and sync, and its disk fails. The checker watches that
//! - an acknowledged commit is durable, and a fetch never gives anything but the last durable move (none is lost, none
//!   goes back unasked);
//! - what clients saw of each bookmark is linearizable (`outside`), which is judged without looking at the log;
//! - in one generation a partition has one owner, and only the present generation moves bookmarks;
//! - no answer is sent before what it depends on is durable, and none twice;
//! - the log alone gives the very state that the coordinator holds, and so do a snapshot and what the log holds since;
//! - when faults stop, every group becomes stable.
//!
//! `SIM_SEED=17 cargo test -p catchword-coordinator sim` runs one seed; `SIM_SECONDS=600` lets fresh seeds run longer.

mod broker;
mod checker;
mod member;
mod outside;
pub(crate) mod rng;
mod world;

use std::panic::{RefUnwindSafe, catch_unwind};

use broker::Sabotage;
use checker::Violation;
pub(crate) use rng::Rng;
use world::{Report, run, run_from_outside};

/// Runs a seed; if it fails, says how to run it again.
fn check(seed: u64) -> Report {
    let outcome = catch_unwind(|| run(seed, Sabotage::None));
    let complaint = match outcome {
        Ok(Ok(report)) => return report,
        Ok(Err(violation)) => violation.0,
        Err(_) => "it panicked, see above".to_owned(),
    };
    panic!(
        "{complaint}\n\nrun it again with\n    SIM_SEED={seed} cargo test -p catchword-coordinator sim\n"
    );
}

/// Seeds that once failed, and the first hundred.
fn fixed_seeds() -> Vec<u64> {
    let failed = include_str!("seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let failed = failed.map(|line| line.split_whitespace().next().unwrap().parse().unwrap());
    failed.chain(0..100).collect()
}

fn chosen_seed() -> Option<u64> {
    setting("SIM_SEED")
}

#[allow(clippy::disallowed_methods)] // The test's own settings, not the coordinator's.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number is expected"))
}

#[test]
fn sim_fixed_seeds() {
    if let Some(seed) = chosen_seed() {
        let report = check(seed);
        for line in &report.history {
            println!("{line}");
        }
        return;
    }
    let reports: Vec<Report> = fixed_seeds().into_iter().map(check).collect();
    // A simulation in which nothing happens proves nothing.
    let acknowledged: usize = reports.iter().map(|r| r.acknowledged).sum();
    assert!(
        acknowledged > 1000 * reports.len() / 4,
        "only {acknowledged} commits were acknowledged"
    );
    assert!(reports.iter().map(|r| r.incarnations).sum::<u64>() > 2 * reports.len() as u64);
    let in_order: usize = reports.iter().map(|r| r.in_order).sum();
    assert!(
        in_order > 1000 * reports.len(),
        "only {in_order} operations were put in order"
    );
}

#[test]
#[allow(clippy::disallowed_methods)] // Time chooses fresh seeds and bounds the test; no world sees it.
fn sim_fresh_seeds() {
    if chosen_seed().is_some() {
        return;
    }
    let seconds = setting("SIM_SECONDS").unwrap_or(10);
    let started = std::time::Instant::now();
    let first = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let first = (first.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let mut runs = 0;
    while started.elapsed().as_secs() < seconds {
        check(first + runs);
        runs += 1;
    }
    println!("{runs} fresh seeds from {first} on");
}

#[test]
fn sim_the_same_seed_gives_the_same_history() {
    for seed in 0..5 {
        let (first, second) = (check(seed), check(seed));
        assert!(first == second, "seed {seed} has two histories");
        assert!(first.history.len() > 100);
    }
}

/// The simulation must be able to fail: each sabotage is noticed, within a few seeds, by the rule that it breaks.
fn is_noticed(sabotage: Sabotage, rules: &[&str]) {
    is_noticed_by(|seed| run(seed, sabotage), rules);
}

fn is_noticed_by(run: impl Fn(u64) -> Result<Report, Violation>, rules: &[&str]) {
    let violation = (0..50).find_map(|seed| run(seed).err());
    let complaint = violation.expect("50 seeds did not notice it").0;
    println!("{complaint}");
    assert!(
        rules.iter().any(|rule| complaint.contains(rule)),
        "unexpected: {complaint}"
    );
}

/// The same of a simulation that panics over what it finds.
pub(crate) fn is_noticed_by_panic(run: impl Fn(u64) + RefUnwindSafe, rules: &[&str]) {
    let panicked = (0..50).find_map(|seed| catch_unwind(|| run(seed)).err());
    let payload = panicked.expect("50 seeds did not notice it");
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or(payload.downcast_ref::<&str>().copied());
    let complaint = text.unwrap_or("no words");
    assert!(
        rules.iter().any(|rule| complaint.contains(rule)),
        "unexpected: {complaint}"
    );
}

#[test]
fn sim_notices_an_answer_before_durability() {
    is_noticed(
        Sabotage::ReplyBeforeDurable,
        &["not durable", "was read as"],
    );
}

#[test]
fn sim_notices_a_lost_record() {
    is_noticed(
        Sabotage::LoseDurable,
        &["was read as", "don't say", "in generation", "both own"],
    );
}

#[test]
fn sim_notices_timers_that_never_fire() {
    is_noticed(Sabotage::NoTimers, &["did not become stable"]);
}

#[test]
fn sim_clients_alone_notice_answers_before_durability_lost_records_and_stale_fetches() {
    for sabotage in [
        Sabotage::ReplyBeforeDurable,
        Sabotage::LoseDurable,
        Sabotage::StaleFetches,
    ] {
        let rule = ["is not linearizable"];
        is_noticed_by(|seed| run_from_outside(seed, sabotage), &rule);
    }
}
