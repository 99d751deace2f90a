use super::*;

fn place(partition: i32) -> Place {
    Place {
        group: "g".into(),
        topic: "t".into(),
        partition,
    }
}

fn ours(offset: i64, at_ms: i64, record: i64) -> Option<Bookmark> {
    Some(Bookmark {
        offset,
        at_ms,
        record,
    })
}

fn theirs(offset: i64, at_ms: i64, version: i32) -> Option<Node> {
    Some(Node {
        offset: Some(offset),
        at_ms,
        version,
        is_copy: false,
    })
}

fn write(offset: i64, version: Option<i32>) -> Vec<Step> {
    vec![Step::Write {
        place: place(0),
        offset,
        version,
    }]
}

fn take(offset: i64, at_ms: i64) -> Vec<Step> {
    vec![Step::Take {
        place: place(0),
        offset,
        at_ms,
    }]
}

#[test]
fn the_newest_of_many_moves_is_one_write() {
    let mut book = Book::new(Rule::Newest);
    for n in 1..=1000 {
        book.moved(place(0), n, ours(n, n, n));
    }
    assert_eq!((book.steps(), book.behind()), (write(1000, None), 1));
    book.wrote(place(0), 1000, 0);
    assert_eq!((book.steps(), book.behind()), (vec![], 0));
}

#[test]
fn each_bookmark_has_its_turn_though_those_before_it_move_on_and_on() {
    let mut book = Book::new(Rule::Newest);
    let mut written = [0; 5];
    // Two of these go into one transaction.
    let long = "g".repeat(99 << 10);
    let place = |partition| Place {
        group: long.clone(),
        ..place(partition)
    };
    for round in 1..=10 {
        // All move faster than they are written.
        for p in 0..5 {
            book.moved(place(p), round, ours(round, round, round));
        }
        for step in book.steps() {
            let Step::Write { place, offset, .. } = step else {
                panic!("nobody else has written: {step:?}");
            };
            written[usize::try_from(place.partition).unwrap()] += 1;
            book.wrote(place, offset, i32::try_from(round).unwrap());
        }
    }
    assert_eq!(
        written, [4; 5],
        "20 writes, and no bookmark is worth more than another"
    );
}

#[test]
fn news_are_what_others_wrote_until_it_is_taken_or_ours_counts() {
    let mut book = Book::new(Rule::Newest);
    book.seen(place(0), theirs(7, 50, 3));
    book.moved(place(1), 1, ours(1, 1, 1));
    let news: Vec<_> = book.news().iter().cloned().collect();
    assert_eq!(news, [place(0)], "our own move is none");
    book.hold(place(0));
    assert_eq!(book.news().len(), 1, "what is refused for now still is");
    book.release();
    book.moved(place(0), 2, ours(7, 60, 2));
    assert_eq!(book.news().len(), 0);
    book.seen(place(0), theirs(9, 70, 4));
    book.cut_over("g", true);
    assert_eq!(
        book.news().len(),
        0,
        "of a group that has moved nothing is taken"
    );
}

#[test]
fn what_moves_while_it_is_written_is_written_again() {
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.moved(place(0), 2, ours(6, 2, 2));
    book.wrote(place(0), 5, 0);
    assert_eq!(book.steps(), write(6, Some(0)));
}

#[test]
fn a_copy_of_ours_never_takes_us_back_though_zookeepers_clock_is_ahead() {
    for rule in [Rule::Newest, Rule::Max, Rule::Zookeeper, Rule::Kafka] {
        let mut book = Book::new(rule);
        book.moved(place(0), 1, ours(500, 10, 1));
        book.wrote(place(0), 500, 0);
        book.seen(place(0), theirs(500, 99_999, 0));
        // A rewind, too.
        book.moved(place(0), 2, ours(100, 20, 2));
        assert_eq!(book.steps(), write(100, Some(0)), "{rule:?}");
    }
}

#[test]
fn where_others_wrote_the_rule_decides() {
    let step = |rule, offset, at_ms| {
        let mut book = Book::new(rule);
        book.moved(place(0), 1, ours(500, 1000, 1));
        book.seen(place(0), theirs(offset, at_ms, 7));
        book.steps()
    };
    assert_eq!(step(Rule::Newest, 400, 1001), take(400, 1001));
    assert_eq!(step(Rule::Newest, 600, 999), write(500, Some(7)));
    assert_eq!(step(Rule::Max, 600, 999), take(600, 999));
    assert_eq!(step(Rule::Max, 400, 1001), write(500, Some(7)));
    assert_eq!(step(Rule::Zookeeper, 400, 999), take(400, 999));
    assert_eq!(step(Rule::Kafka, 600, 1001), write(500, Some(7)));
}

#[test]
fn what_only_zookeeper_has_is_taken_unless_nothing_is_ever_taken() {
    for rule in [Rule::Newest, Rule::Max, Rule::Zookeeper] {
        let mut book = Book::new(rule);
        book.seen(place(0), theirs(7, 1, 0));
        assert_eq!(book.news().iter().collect::<Vec<_>>(), [&place(0)]);
        assert_eq!(book.steps(), take(7, 1));
        book.moved(place(0), 1, ours(7, 2, 1));
        assert_eq!((book.steps(), book.news().len()), (vec![], 0));
    }
    let mut book = Book::new(Rule::Kafka);
    book.seen(place(0), theirs(7, 1, 0));
    assert_eq!(book.steps(), []);
}

#[test]
fn what_was_taken_is_a_copy_from_then_on() {
    let mut book = Book::new(Rule::Newest);
    book.seen(place(0), theirs(7, 99_999, 3));
    book.moved(place(0), 1, ours(7, 10, 1));
    book.moved(place(0), 2, ours(8, 11, 2));
    assert_eq!(book.steps(), write(8, Some(3)));
}

#[test]
fn a_deleted_bookmark_leaves_its_node_alone_and_is_not_brought_back_by_it() {
    let mut book = Book::new(Rule::Zookeeper);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.wrote(place(0), 5, 0);
    book.moved(place(0), 2, None);
    assert_eq!(book.steps(), []);
    // What others write after that is news.
    book.seen(place(0), theirs(6, 9, 1));
    assert_eq!(book.steps(), take(6, 9));
}

#[test]
fn a_transaction_that_ends_late_does_not_take_back_a_later_commit() {
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 9, ours(50, 2, 9));
    book.moved(place(0), 3, ours(40, 1, 3));
    assert_eq!(book.steps(), write(50, None));
}

#[test]
fn a_node_that_vanished_is_written_anew() {
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.wrote(place(0), 5, 4);
    book.seen(place(0), None);
    assert_eq!(book.steps(), write(5, None));
}

#[test]
fn what_is_no_number_is_neither_taken_nor_overwritten_unless_ours_counts() {
    let odd = Node {
        offset: None,
        at_ms: 99,
        version: 0,
        is_copy: false,
    };
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.seen(place(0), Some(odd));
    assert_eq!(book.steps(), []);
    book.moved(place(0), 2, ours(6, 100, 2));
    assert_eq!(book.steps(), write(6, Some(0)));
}

#[test]
fn what_is_held_waits_and_counts_as_behind() {
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.hold(place(0));
    book.moved(place(0), 2, ours(6, 2, 2));
    assert_eq!((book.steps(), book.behind(), book.held()), (vec![], 1, 1));
    book.release();
    assert_eq!(book.steps(), write(6, None));
}

#[test]
fn a_group_that_has_moved_is_left_alone_until_it_comes_back() {
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.cut_over("g", true);
    book.moved(place(1), 2, ours(5, 1, 2));
    assert_eq!((book.steps(), book.behind()), (vec![], 0));
    book.cut_over("g", false);
    assert_eq!(book.behind(), 2);
}

#[test]
fn a_node_that_was_deleted_and_made_anew_is_news_though_its_version_is_the_same() {
    let mut book = Book::new(Rule::Newest);
    book.moved(place(0), 1, ours(5, 1, 1));
    book.wrote(place(0), 5, 0);
    book.seen(place(0), theirs(9, 50, 0));
    assert_eq!(book.steps(), take(9, 50));
}

#[test]
fn only_what_is_ours_counts_as_an_unwritten_move() {
    let mut book = Book::new(Rule::Newest);
    book.seen(place(0), theirs(7, 1, 0));
    book.hold(place(0));
    assert!(!book.holds_writes());
    book.moved(place(1), 1, ours(5, 1, 1));
    book.hold(place(1));
    assert!(book.holds_writes());
    assert_eq!(book.news().iter().collect::<Vec<_>>(), [&place(0)]);
}

#[test]
fn what_others_wrote_after_a_deletion_before_the_first_look_is_taken() {
    let mut book = Book::new(Rule::Newest);
    book.seen(place(0), theirs(7, 100, 0));
    book.moved(place(0), 1, ours(5, 1, 1));
    book.moved(place(0), 2, None);
    assert_eq!(book.steps(), take(7, 100));
}
