//! Stories: `tests/transcripts/*.txt`, played and compared.
//!
//! A line that begins at the margin is a command, the indented lines under it are what came of it. To accept what
//! comes now, run `UPDATE=1 cargo test -p catchword-coordinator transcript` and read the difference.
//!
//! ```text
//! join GROUP NAME [static=NAME] [session=10s] [rebalance=60s] [protocols=a,b] [topics=t,u] [v=9]
//! sync GROUP NAME [gen=N] [MEMBER=ASSIGNMENT ...]     heartbeat GROUP NAME [gen=N]     leave GROUP NAME ... [static=NAME]
//! commit GROUP NAME|- TOPIC:PARTITION=OFFSET ... [gen=N] [v=9] [retention=1d] [metadata=TEXT]
//! fetch GROUP all|TOPIC:PARTITION ...                 delete-offset GROUP TOPIC:PARTITION
//! delete GROUP      describe GROUP      list [states=a,b] [types=a,b]
//! tick 3s           sweep               touch GROUP   topic-deleted TOPIC   restart   dump
//! ```
//! A NAME is whoever joined under it: `m1/2` is the second id that the coordinator gave to `m1`. A generation that is
//! not said is the last one that the member was told.

mod play;
mod show;

use std::path::{Path, PathBuf};

use play::Story;

#[allow(clippy::disallowed_methods)] // Tests may read and write their own files.
fn check(path: &Path) -> Result<(), String> {
    let expected = std::fs::read_to_string(path).unwrap();
    let mut story = Story::new();
    let mut actual = String::new();
    for line in expected.lines().filter(|line| !line.starts_with(' ')) {
        actual.push_str(line);
        actual.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            for result in story.play(line) {
                actual.push_str(&format!("  {result}\n"));
            }
        }
    }
    if actual == expected {
        return Ok(());
    }
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(path, actual).unwrap();
        return Ok(());
    }
    let mut pairs = expected.lines().zip(actual.lines()).enumerate();
    let (number, (wanted, got)) = pairs
        .find(|(_, (wanted, got))| wanted != got)
        .unwrap_or((0, ("", "more or fewer lines")));
    let name = path.file_name().unwrap().to_string_lossy();
    Err(format!(
        "{name}:{}\n  expected: {wanted}\n  got:      {got}",
        number + 1
    ))
}

#[test]
#[allow(clippy::disallowed_methods)] // Tests may list their own files.
fn transcripts_are_as_they_were() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 5, "where are the transcripts?");
    let wrong: Vec<String> = paths.iter().filter_map(|path| check(path).err()).collect();
    assert!(
        wrong.is_empty(),
        "{}\n\nUPDATE=1 accepts what comes now",
        wrong.join("\n")
    );
}
