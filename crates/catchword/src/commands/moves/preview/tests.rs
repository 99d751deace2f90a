use super::*;

fn partition(n: i32) -> TopicPartition {
    TopicPartition::new("orders", n)
}

fn moves_of(
    targets: &[(i32, Target)],
    committed: &[(i32, i64)],
    bounds: &[(i32, i64, i64)],
) -> Vec<Move> {
    let offset = |offset| Committed {
        offset,
        leader_epoch: -1,
        metadata: String::new(),
    };
    let committed = committed
        .iter()
        .map(|(p, o)| (partition(*p), offset(*o)))
        .collect();
    let bounds = bounds
        .iter()
        .map(|(p, start, end)| (partition(*p), (*start, *end)))
        .collect();
    let targets = targets
        .iter()
        .map(|(p, target)| (partition(*p), target.clone()))
        .collect();
    moves(&committed, &bounds, &targets)
}

#[test]
fn the_preview_reads_like_this() {
    let committed = [(0, 1_204_551), (1, 980_100)];
    let bounds = [(0, 0, 1_245_755), (1, 0, 980_100), (2, 0, 5)];
    let none = |offset| Target {
        remark: Some("no record at or after then".into()),
        ..Target::at(offset)
    };
    let targets = [(0, Target::at(1_180_020)), (1, none(980_100)), (2, none(5))];
    let mut moves = moves_of(&targets, &committed, &bounds);
    moves[0].first_record = Some("2026-11-23T12:30:00.412Z  key 4711".into());
    let expected = [
        "PARTITION NOW THEN EFFECT FIRST RECORD THERE",
        "orders:0 1,204,551 1,180,020 reads 24,531 records again 2026-11-23T12:30:00.412Z key 4711",
        "orders:1 980,100 980,100 nothing (no record at or after then) (the end)",
        "orders:2 - 5 a first place (no record at or after then) (the end)",
    ];
    let lines = table(&moves).lines();
    let squeeze = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(lines.iter().map(squeeze).collect::<Vec<_>>(), expected);
    assert_eq!(
        total(&moves),
        "In all: 24,531 records again, 0 records skipped."
    );
    moves[0].counted(Some(24_000), Some(5 << 20));
    assert_eq!(
        total(&moves),
        "In all: 24,000 records again (5.0 MiB), 0 records skipped."
    );
}

#[test]
fn a_place_outside_of_the_log_is_brought_into_it() {
    let targets = [(0, Target::at(-400)), (1, Target::at(400))];
    let moves = moves_of(
        &targets,
        &[(0, 100), (1, 900)],
        &[(0, 0, 1000), (1, 600, 1000)],
    );
    assert_eq!((moves[0].then, moves[0].records), (Some(0), 100));
    assert_eq!((moves[1].then, moves[1].records), (Some(600), 300));
    assert_eq!(moves[1].remark.as_deref(), Some("the log starts there"));
}

#[test]
fn what_retention_took_is_not_read_again() {
    let moves = moves_of(&[(0, Target::at(8))], &[(0, 2)], &[(0, 8, 10)]);
    assert_eq!(
        (moves[0].then, moves[0].effect, moves[0].records),
        (Some(8), Effect::None, 0)
    );
}

#[test]
fn moving_on_skips() {
    let moves = moves_of(&[(0, Target::at(10))], &[(0, 4)], &[(0, 0, 10)]);
    assert_eq!(
        (moves[0].then, moves[0].effect, moves[0].records),
        (Some(10), Effect::Skipped, 6)
    );
}

fn step(now: Option<i64>, then: Option<i64>, moves: bool, obstacle: Option<&str>) -> Step {
    Step {
        topic: "orders".into(),
        partition: 0,
        now,
        then,
        moves,
        obstacle: obstacle.map(str::to_owned),
    }
}

#[test]
fn what_the_broker_plans_reads_like_what_we_plan() {
    let moves = [
        step(Some(0), Some(500), true, None),
        step(Some(700), Some(500), true, Some("moved-on")),
        step(Some(30), Some(500), false, Some("moved-on")),
        step(None, Some(500), true, None),
        step(Some(30), None, true, None),
        step(Some(5000), Some(2000), true, None),
        step(Some(9), None, false, Some("no-place-then")),
    ]
    .map(|step| step.preview(Some((0, 1000))));
    let effects: Vec<String> = table(&moves)
        .lines()
        .iter()
        .skip(1)
        .map(|line| {
            line.split_whitespace()
                .skip(3)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let expected = [
        "skips 500 records (the end)",
        "reads 200 records again (overwrites what was committed since) (the end)",
        "nothing (not moved: committed since) (the end)",
        "put back (the end)",
        "removed, as before -",
        "nothing (no record lies between) (the end)",
        "nothing (not moved: no place of then is known) -",
    ];
    assert_eq!(effects, expected);
}
