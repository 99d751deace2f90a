//! The tour, which is a test itself.

use std::fs;

use tempfile::TempDir;

use crate::harness::{binary, run};

#[test]
fn the_tour_goes_on_at_the_very_next_line() {
    let out = run(binary().arg("tour"), "").ok();
    assert!(out.contains("kill -9 the broker"), "{out}");
    assert!(
        out.contains("All 24 records were read once, in order; the reading went on at record 12."),
        "{out}"
    );
}

#[test]
fn the_tour_takes_any_text() {
    let dir = TempDir::new().unwrap();
    let text = dir.path().join("text");
    let lines: String = (0..2501).map(|n| format!("line {n}\r\n")).collect();
    fs::write(&text, lines).unwrap();
    let data = dir.path().join("data");
    let out = run(binary().arg("tour").arg(&text).arg("--data").arg(&data), "").ok();
    assert!(out.contains(
        "All 2,501 records were read once, in order; the reading went on at record 1,250."
    ));
    assert!(data.is_dir(), "the data was to be kept");
    let err = run(binary().arg("tour").arg(&text).arg("--data").arg(&data), "").failed(2);
    assert!(err.contains("is not empty"), "{err}");
}

#[test]
fn a_text_of_one_line_has_no_half() {
    let dir = TempDir::new().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "alone\n").unwrap();
    let err = run(binary().arg("tour").arg(&text), "").failed(2);
    assert!(err.contains("at least two lines"), "{err}");
}

/// A paragraph a line, a dump without line ends: longer than the million bytes that a batch has by default.
#[test]
fn the_tour_takes_lines_of_any_length() {
    let dir = TempDir::new().unwrap();
    let text = dir.path().join("text");
    let mut lines = vec!["p".repeat(3000); 1000];
    lines.insert(500, "x".repeat(3_000_000));
    fs::write(&text, lines.join("\n")).unwrap();
    let out = run(binary().arg("tour").arg(&text), "").ok();
    assert!(out.contains("All 1,001 records were read once, in order"));
    assert!(out.lines().all(|line| line.chars().count() < 130));
}

#[test]
fn the_tour_takes_what_is_no_text() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    let bytes: Vec<u8> = (0..=255).cycle().take(2560).collect();
    fs::write(&file, bytes).unwrap();
    let out = run(binary().arg("tour").arg(&file), "").ok();
    assert!(
        out.contains("All 11 records were read once, in order"),
        "{out}"
    );
    assert!(out.lines().all(|line| line.chars().count() < 130), "{out}");
}
