//! Power cuts: whatever was not synced may be gone, torn, or there.
//!
//! A hook sees each change before it happens and keeps an image of what is on stable storage: the content of a file at its
//! last sync, the names of a directory at its last sync. At the cut a new directory is built from that image, with, by
//! chance, more of what was written since: other lengths, sectors of zeros, newer names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use catchword_log::contract::{
    CLIENT, TOPIC_ID, append_verified, batch_of, marker, read_all, read_committed,
};
use catchword_log::{
    CleanupPolicy, DiskHook, DiskOperation, Engine, LocalEngine, LocalOptions, LogConfig,
    PartitionLog, TopicPartition,
};

use crate::support::{keyed, open};
use crate::transactions::{batch, by_markers, markers};

/// A small generator, so that a failing seed replays.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Default)]
struct Stable {
    /// By inode: the open file, so that its number is not given away, and its content at the last sync.
    files: HashMap<u64, (File, Vec<u8>)>,
    /// By inode of a directory: its names at the last sync.
    names: HashMap<u64, BTreeMap<String, (u64, bool)>>,
    seen: usize,
    cut_at: usize,
}

struct Power(Mutex<Stable>);

fn list(dir: &Path) -> BTreeMap<String, (u64, bool)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return BTreeMap::new();
    };
    let one = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        let name = entry.file_name().into_string().ok()?;
        Some((name, (metadata.ino(), metadata.is_dir())))
    };
    entries.filter_map(one).collect()
}

impl DiskHook for Power {
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        let mut stable = self.0.lock().unwrap();
        stable.seen += 1;
        if stable.seen > stable.cut_at {
            return Err(io::Error::other("the power is off"));
        }
        match operation {
            DiskOperation::Sync => {
                let mut file = File::open(path)?;
                let mut content = Vec::new();
                file.read_to_end(&mut content)?;
                let inode = file.metadata()?.ino();
                stable.files.insert(inode, (file, content));
            }
            DiskOperation::SyncDir => {
                let inode = fs::metadata(path)?.ino();
                let names = list(path);
                for (name, (inode, is_dir)) in &names {
                    // A synced name of a file that was never synced: the file is there, its content is not.
                    if !is_dir && !stable.files.contains_key(inode) {
                        let file = File::open(path.join(name))?;
                        stable.files.insert(*inode, (file, Vec::new()));
                    }
                }
                stable.names.insert(inode, names);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Stable {
    /// Builds what a restart finds. `generous`: some of what was not synced is there as well.
    fn restore(&self, real: &Path, inode: u64, to: &Path, random: &mut Random, generous: bool) {
        fs::create_dir_all(to).unwrap();
        let synced = self.names.get(&inode).cloned().unwrap_or_default();
        let newer = list(real);
        let take_newer = generous && random.one_in(2);
        let names = if take_newer { newer } else { synced };
        for (name, (inode, is_dir)) in names {
            if name == ".lock" {
                continue;
            }
            let target = to.join(&name);
            if is_dir {
                self.restore(&real.join(&name), inode, &target, random, generous);
            } else {
                fs::write(
                    target,
                    self.content(&real.join(&name), inode, random, generous),
                )
                .unwrap();
            }
        }
    }

    fn content(&self, real: &Path, inode: u64, random: &mut Random, generous: bool) -> Vec<u8> {
        let (synced, current) = match self.files.get(&inode) {
            Some((file, synced)) => {
                let mut current = Vec::new();
                let mut file = file;
                file.rewind().unwrap();
                file.read_to_end(&mut current).unwrap();
                (synced.clone(), current)
            }
            None => (Vec::new(), fs::read(real).unwrap_or_default()),
        };
        if !generous {
            return synced;
        }
        // Of what was written over since the sync some sectors are there, some are not.
        let mut content = synced.clone();
        for sector in (0..synced.len().min(current.len())).step_by(512) {
            let end = (sector + 512).min(synced.len()).min(current.len());
            if content[sector..end] != current[sector..end] && random.one_in(2) {
                content[sector..end].copy_from_slice(&current[sector..end]);
            }
        }
        if current.len() <= synced.len() {
            return content;
        }
        // The file grew since its sync: some of the growth is there, some sectors of it may not be.
        let growth = (current.len() - synced.len()) as u64;
        let len = synced.len() + random.below(growth + 1) as usize;
        content.extend_from_slice(&current[synced.len()..len]);
        for sector in (synced.len()..len).step_by(512) {
            if random.one_in(3) {
                let end = (sector + 512).min(len);
                content[sector..end].fill(0);
            }
        }
        content
    }
}

/// What a run knows of one partition.
#[derive(Default)]
struct Known {
    /// Key and value of each offset that was appended, acknowledged or not.
    written: BTreeMap<i64, (String, String)>,
    /// Offsets that were said to be durable.
    durable: Vec<i64>,
    /// The largest log start that was said to be durable.
    start: i64,
    /// Transactions: producer, first offset, and the offset of the marker that ended it.
    transactions: Vec<(i64, i64, Option<i64>)>,
    /// The newest side file that was said to be kept, and one that may be.
    side_file: (i64, i64),
}

impl Known {
    /// Whether a transaction that the log's start has passed may be open still: it holds the last stable offset at the
    /// start, though nothing that is left of the log tells of it. Its marker may have been lost, unless it was durable or
    /// is found, and with it only the end of a segment, so that the log goes on behind a hole.
    fn may_be_open_before(&self, start: i64, durable_end: i64, found: &BTreeSet<i64>) -> bool {
        let lost = |marker: i64| marker >= durable_end && !found.contains(&marker);
        self.transactions
            .iter()
            .any(|(_, first, marker)| *first < start && marker.is_none_or(lost))
    }
}

/// What a side file holds that speaks of the log up to an offset.
fn side_file(end: i64) -> String {
    format!("up to {end}; ").repeat(150)
}

fn flush(log: &dyn PartitionLog, end: i64) -> bool {
    let (done, waited) = mpsc::channel();
    log.flush_to(
        end,
        Box::new(move |result| done.send(result.is_ok()).unwrap()),
    );
    waited.recv().unwrap()
}

fn configs() -> [(TopicPartition, LogConfig); 2] {
    let plain = LogConfig {
        segment_bytes: 900,
        retention_ms: -1,
        ..LogConfig::default()
    };
    let compacted = LogConfig {
        cleanup_policy: CleanupPolicy::Compact,
        min_cleanable_dirty_ratio: 0.1,
        ..plain.clone()
    };
    [
        (TopicPartition::new("plain", 0), plain),
        (TopicPartition::new("compacted", 0), compacted),
    ]
}

/// Works on two logs until the power goes off.
fn work(engine: &LocalEngine, random: &mut Random, known: &mut [Known; 2]) -> Option<()> {
    let mut logs = Vec::new();
    for (partition, config) in configs() {
        logs.push(engine.create(&partition, TOPIC_ID, config).ok()?);
    }
    let mut sequences = BTreeMap::new();
    for n in 0..400 {
        let at = random.below(2) as usize;
        let (log, known) = (&logs[at], &mut known[at]);
        match random.below(20) {
            0 => engine.maintain(1_000_000 * n),
            1 if at == 0 => {
                let end = log.offsets().log_end;
                let start = log.offsets().log_start;
                let new = start + random.below((end - start + 1) as u64) as i64;
                if log.truncate_prefix(new).ok()? == new {
                    known.start = new;
                }
            }
            2 => {
                let end = log.offsets().durable_end;
                known.side_file.1 = end;
                let content = side_file(end);
                log.put_side_file("notes", end, content.as_bytes()).ok()?;
                known.side_file.0 = end;
            }
            // Transactions: of what they write only that is asked what the markers say.
            3 => {
                let producer = random.below(3) as i64;
                let commit = random.one_in(2);
                let ended = log.append_marker(&marker(producer, 0, commit), 0).ok()?;
                let open = known.transactions.iter_mut().rev();
                let mut open = open.filter(|(of, _, end)| *of == producer && end.is_none());
                if let Some((_, _, end)) = open.next() {
                    *end = Some(ended.base_offset);
                }
            }
            4..=7 => {
                let producer = random.below(3) as i64;
                let sequence = sequences.entry((at, producer)).or_insert(0);
                let key = format!("t{}", random.below(6));
                let batch = batch(&key, Some((producer, *sequence)));
                let first = append_verified(&**log, &batch).ok()?.base_offset;
                let of_producer =
                    |(of, _, end): &(i64, i64, Option<i64>)| *of == producer && end.is_none();
                if !known.transactions.iter().any(of_producer) {
                    known.transactions.push((producer, first, None));
                }
                *sequence += 1;
            }
            _ => {
                let (key, value) = (format!("k{}", random.below(6)), format!("v{n}"));
                let appended = log.append(&[keyed(1000 + n, &key, Some(&value))], CLIENT);
                // What a failed append may leave on disk is nobody's; but it was never acknowledged.
                let appended = appended.ok()?;
                known.written.insert(appended.base_offset, (key, value));
                if random.one_in(2) {
                    flush(&**log, appended.last_offset + 1).then_some(())?;
                    known.durable = known.written.keys().copied().collect();
                }
            }
        }
    }
    Some(())
}

fn check(dir: &Path, known: &[Known; 2], seed: u64) {
    let engine = open(dir);
    for (at, (partition, config)) in configs().into_iter().enumerate() {
        let known = &known[at];
        let log = engine.create(&partition, TOPIC_ID, config).unwrap();
        log.ready().unwrap();
        let offsets = log.offsets();
        let context = format!("seed {seed}, {partition}, {offsets:?}");
        assert!(
            offsets.log_start >= known.start,
            "{context}: start {}",
            known.start
        );
        let found: BTreeMap<i64, String> = read_all(&*log, offsets.log_start)
            .unwrap_or_else(|e| panic!("{context}: {e}"))
            .into_iter()
            .collect();
        for (offset, value) in &found {
            let written = known.written.get(offset).map(|(_, value)| value);
            assert!(
                written.is_none_or(|written| written == value),
                "{context}: {offset}"
            );
        }
        let durable_end = known.durable.last().map_or(0, |last| last + 1);
        assert!(
            offsets.log_end >= durable_end,
            "{context}: durable to {durable_end}"
        );
        for offset in known
            .durable
            .iter()
            .filter(|offset| **offset >= offsets.log_start)
        {
            let key = &known.written[offset].0;
            let overwritten = at == 1
                && known
                    .written
                    .range(offset + 1..)
                    .any(|(later, (k, _))| k == key && found.contains_key(later));
            assert!(
                found.contains_key(offset) || overwritten,
                "{context}: lost {offset}"
            );
        }
        let kept = log.side_files("notes").unwrap();
        let newest = kept.first().copied().unwrap_or_default();
        let (sure, perhaps) = known.side_file;
        assert!(
            newest == sure || newest == perhaps,
            "{context}: {kept:?}, not {sure}"
        );
        for end in kept {
            let content = log.read_side_file("notes", end).unwrap();
            assert!(
                content == side_file(end).as_bytes(),
                "{context}: torn at {end}"
            );
            assert!(end <= offsets.log_end, "{context}: it is ahead of its log");
        }
        let (mut committed, mut stable) = by_markers(&*log);
        let start = offsets.log_start;
        let found = markers(&*log);
        if offsets.last_stable == start && known.may_be_open_before(start, durable_end, &found) {
            stable = start;
            committed.clear();
        }
        assert_eq!(offsets.last_stable, stable, "{context}");
        let seen = read_committed(&*log, offsets.log_start).unwrap();
        assert_eq!(seen, committed, "{context}");
        // And it goes on.
        let next = log
            .append(&[batch_of(&[(1, "next")])], CLIENT)
            .unwrap()
            .base_offset;
        assert_eq!(next, offsets.log_end);
        assert!(flush(&*log, next + 1), "{context}");
    }
}

fn run(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let real = tempfile::tempdir().unwrap();
    let cut_at = 10 + random.below(1500) as usize;
    let power = Arc::new(Power(Mutex::new(Stable {
        cut_at,
        ..Stable::default()
    })));
    let options = LocalOptions {
        disk_hook: Some(power.clone()),
        checkpoint_interval_ms: 1_000_000,
        // Small, so that it is written over many times in a run, and emptied as often.
        journal_bytes: [0, 32 << 10, 1 << 20][(seed % 3) as usize],
        ..LocalOptions::default()
    };
    let mut known: [Known; 2] = Default::default();
    if let Ok(engine) = LocalEngine::open(real.path(), options) {
        let _ = work(&engine, &mut random, &mut known);
    }
    let stable = power.0.lock().unwrap();
    for generous in [false, true] {
        let found = tempfile::tempdir().unwrap();
        let root: PathBuf = real.path().to_owned();
        let inode = fs::metadata(&root).unwrap().ino();
        stable.restore(&root, inode, found.path(), &mut random, generous);
        check(found.path(), &known, seed);
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let (first, count) = match std::env::var("CATCHWORD_POWER_SEED") {
        Ok(seed) => (seed.parse().expect("CATCHWORD_POWER_SEED is a number"), 1),
        Err(_) => {
            let count = std::env::var("CATCHWORD_POWER_RUNS")
                .ok()
                .and_then(|n| n.parse().ok());
            (1, count.unwrap_or(25))
        }
    };
    for seed in first..first + count {
        let outcome = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = outcome {
            eprintln!("replay: CATCHWORD_POWER_SEED={seed} cargo test -p catchword-log power");
            std::panic::resume_unwind(panic);
        }
    }
}
