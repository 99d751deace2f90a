//! One segment of a stopped directory, checked: every batch, what is damaged and what that costs, and the indexes.

use std::fs;
use std::path::Path;

use catchword_wire::batch::{BatchError, records};

use super::check::{Check, Severity};
use super::check_index::{Offsets, Times};
use super::names;
use super::recover::find_whole_batch;
use super::repair::Mend;
use super::segment::file_len;
use super::walk::{Located, Walk, WalkError, read_batch};
use crate::LogError;

impl Check<'_> {
    /// Checks a segment; returns the offset after its last sound batch. `next_base` is where the next segment begins.
    pub(super) fn segment(
        &mut self,
        dir: &Path,
        base: i64,
        next_base: Option<i64>,
    ) -> Result<i64, LogError> {
        let path = dir.join(names::file_name(base, names::LOG));
        let len = file_len(&path)?;
        self.summary.segments += 1;
        self.summary.bytes += len;
        let mut offsets = Offsets::new(dir, base);
        let mut times = Times::new(dir, base);
        let file = fs::File::open(&path).map_err(|error| LogError::io("open", &path, error))?;
        let mut walk = Walk::new(&file, 0, len);
        let (mut position, mut next) = (0, base);
        let mut damages = Vec::new();
        loop {
            let why = match self.step(&file, &mut walk, next) {
                Ok(None) => break,
                Ok(Some(located)) => {
                    offsets.pass(&located);
                    times.pass(&located);
                    position = located.end();
                    next = located.header.next_offset();
                    continue;
                }
                Err(Fault::Unreadable(error)) => {
                    let what = format!("cannot be read from byte {position} on: {error}");
                    let advice = "check the disk (dmesg), and restore the file from a backup";
                    self.find(Severity::Damage, &path, what, advice, None);
                    return Ok(next);
                }
                Err(Fault::Damaged(why)) => format!("at byte {position}: {why}"),
            };
            let sound = find_whole_batch(&file, position + 1, len, next);
            if sound.is_none() && next_base.is_none() && next >= self.durable {
                self.torn(&path, position, len, &why);
                break;
            }
            let until = sound.map_or(len, |(at, _)| at);
            let end = sound.map(|(_, first)| first).or(next_base);
            let last = end.unwrap_or(self.durable) - 1;
            damages.push(Damaged {
                bytes: (position, until),
                offsets: (next, last),
                why,
            });
            (position, next) = (until, last + 1);
            walk = Walk::new(&file, position, len);
        }
        match damages.is_empty() {
            false => self.damage(&path, damages),
            true => {
                let may_be_unfinished = len == 0 || (next_base.is_none() && !self.clean);
                self.index(offsets.finish(may_be_unfinished), dir, base, names::INDEX);
                self.index(
                    times.finish(may_be_unfinished),
                    dir,
                    base,
                    names::TIME_INDEX,
                );
            }
        }
        Ok(next)
    }

    /// The next batch, if all is well with it.
    fn step(
        &mut self,
        file: &fs::File,
        walk: &mut Walk<'_>,
        next: i64,
    ) -> Result<Option<Located>, Fault> {
        let Some(located) = walk.step()? else {
            return Ok(None);
        };
        let first = located.header.base_offset;
        if first < next {
            return Err(Fault::Damaged(format!(
                "offset {first} follows {}",
                next - 1
            )));
        }
        let batch = read_batch(file, &located)?;
        batch.verify_crc()?;
        let mut count = 0;
        for record in records(&batch)? {
            record?;
            count += 1;
        }
        self.walked.pass(&batch);
        self.summary.records += count;
        self.summary.batches += 1;
        Ok(Some(located))
    }

    fn torn(&mut self, path: &Path, position: u64, len: u64, why: &str) {
        let what = format!("{} bytes of an unfinished write ({why})", len - position);
        let mend = Mend::CutTail { at: position };
        self.find(
            Severity::Mends,
            path,
            what,
            "the next start cuts them off",
            Some(mend),
        );
    }

    fn damage(&mut self, path: &Path, damages: Vec<Damaged>) {
        let lost: Vec<String> = damages.iter().map(Damaged::lost).collect();
        let what = format!(
            "damaged from offset {} on ({}): {} cannot be read; what comes after can",
            damages[0].offsets.0,
            damages[0].why,
            lost.join(", ")
        );
        let mend = Mend::DropDamaged {
            bytes: damages.iter().map(|damaged| damaged.bytes).collect(),
            lost: lost.join(", "),
        };
        self.find(
            Severity::Damage,
            path,
            what,
            "restore the file from a backup; without one `--repair --drop-damaged` gives these records up and keeps the others. Left as it is reads fail there; past the recovery point the next start cuts the log there and keeps the rest in a file that ends with .cut",
            Some(mend),
        );
    }

    fn index(&mut self, wrong: Option<String>, dir: &Path, base: i64, extension: &str) {
        if let Some(what) = wrong {
            let path = dir.join(names::file_name(base, extension));
            let advice = "it is built again when it is needed";
            self.find(
                Severity::Mends,
                &path,
                what,
                advice,
                Some(Mend::RebuildIndexes { base }),
            );
        }
    }
}

/// Why there is no batch where there should be one.
enum Fault {
    /// The disk does not give it.
    Unreadable(std::io::Error),
    /// What is there is none, or not a sound one.
    Damaged(String),
}

impl From<WalkError> for Fault {
    fn from(error: WalkError) -> Fault {
        match error {
            WalkError::Io(error) => Fault::Unreadable(error),
            WalkError::NotABatch { error, .. } => Fault::Damaged(error.to_string()),
        }
    }
}

impl From<BatchError> for Fault {
    fn from(error: BatchError) -> Fault {
        Fault::Damaged(error.to_string())
    }
}

/// Part of a segment that holds no sound batch.
struct Damaged {
    bytes: (u64, u64),
    offsets: (i64, i64),
    why: String,
}

impl Damaged {
    fn lost(&self) -> String {
        match self.offsets {
            (first, last) if first == last => format!("offset {first}"),
            (first, last) if first > last => {
                format!(
                    "{} bytes that belong to no offset",
                    self.bytes.1 - self.bytes.0
                )
            }
            (first, last) => format!("offsets {first} to {last}"),
        }
    }
}
