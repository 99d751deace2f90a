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
