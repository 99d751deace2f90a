//! `catchword doctor`: checks a data directory.

use std::path::PathBuf;

use catchword_log::{
    CheckSummary, Finding, LogError, Mend, RepairOptions, Severity, check_dir, repair_dir,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::{count, records};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads everything and changes nothing; no broker may be running on the directory. The exit code is 1
if records are damaged or missing; what the next start puts right by itself is no failure.

--repair says what it would mend, --repair --yes does it: indexes, producer snapshots and leader
epochs are built from the log, unfinished writes are cut off, interrupted compactions finished. No
sound record is lost, and what is cut off or replaced is kept beside (.cut, .damaged). Records that
are damaged come back from a backup only; --drop-damaged gives them up, so that the records before
and after them can be used.

JSON: {dir, sound, partitions, segments, batches, records, bytes, findings: [{severity, topic,
  partition, path, what, advice, repair, loses_records, mended}]}; severity is note, mends or
  damage; repair is what --repair does, or null.

Examples:
  catchword doctor
  catchword doctor /var/lib/catchword --json
  catchword doctor /var/lib/catchword --repair            a preview
  catchword doctor /var/lib/catchword --repair --yes")]
pub(crate) struct Args {
    /// The data directory.
    #[arg(default_value = "catchword-data")]
    dir: PathBuf,
    /// Say what can be mended; with --yes, mend it.
    #[arg(long)]
    repair: bool,
    /// Also give up damaged records, so that the sound ones around them can be used.
    #[arg(long, requires = "repair")]
    drop_damaged: bool,
    /// Do it, and do not only say what would be done.
    #[arg(long, requires = "repair")]
    yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
}

/// What was found. The field names are for scripts and stay as they are.
#[derive(Debug, Serialize)]
struct Report {
    dir: PathBuf,
    sound: bool,
    partitions: u64,
    segments: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    findings: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    severity: &'static str,
    topic: Option<String>,
    partition: Option<i32>,
    path: PathBuf,
    what: String,
    advice: String,
    repair: Option<String>,
    loses_records: bool,
    mended: bool,
}

impl From<&Finding> for Found {
    fn from(finding: &Finding) -> Self {
        let place = finding.partition.as_ref();
        Self {
            severity: match finding.severity {
                Severity::Note => "note",
                Severity::Mends => "mends",
                Severity::Damage => "damage",
            },
            topic: place.map(|place| place.topic.to_string()),
            partition: place.map(|place| place.partition),
            path: finding.path.clone(),
            what: finding.what.clone(),
            advice: finding.advice.clone(),
            repair: finding.mend.as_ref().map(ToString::to_string),
            loses_records: finding.mend.as_ref().is_some_and(Mend::loses_records),
            mended: false,
        }
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    if !args.dir.is_dir() {
        return Err(Failure::failed(format!(
            "there is no directory {}; name the one that `catchword serve --data` was given",
            args.dir.display()
        )));
    }
    let mended = match args.yes {
        true => repair(args)?,
        false => Vec::new(),
    };
    let mut findings = mended;
    let summary = check_dir(&args.dir, &mut |finding| {
        findings.push(Found::from(finding))
    })
    .map_err(|error| failed(args, &error))?;
    let sound = summary.damages == 0;
    if args.json {
        let CheckSummary {
            partitions,
            segments,
            batches,
            records,
            bytes,
            ..
        } = summary;
        let dir = args.dir.clone();
        ui.json(&Report {
            dir,
            sound,
            partitions,
            segments,
            batches,
            records,
            bytes,
            findings,
        })?;
    } else {
        print(args, &summary, &findings, ui)?;
    }
    match sound {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "{} is damaged",
            args.dir.display()
        ))),
    }
}

/// Mends what can be mended and says what it was.
fn repair(args: &Args) -> Result<Vec<Found>, Failure> {
    let options = RepairOptions {
        drop_damaged: args.drop_damaged,
        ..RepairOptions::default()
    };
    let mut mended = Vec::new();
    repair_dir(&args.dir, &options, &mut |finding| {
        mended.push(Found {
            mended: true,
            ..Found::from(finding)
        })
    })
    .map_err(|error| failed(args, &error))?;
    Ok(mended)
}

fn failed(args: &Args, error: &LogError) -> Failure {
    Failure::failed(match error {
        LogError::Locked { .. } => format!(
            "a broker is running on {}; stop the broker first",
            args.dir.display()
        ),
        other => other.to_string(),
    })
}

fn print(
    args: &Args,
    summary: &CheckSummary,
    findings: &[Found],
    ui: &mut Ui,
) -> Result<(), Failure> {
    let number = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    ui.line(format_args!(
        "{}: {} in {} batches, {} segments, {} partitions, {} bytes.",
        args.dir.display(),
        records(i64::try_from(summary.records).unwrap_or(i64::MAX)),
        number(summary.batches),
        number(summary.segments),
        number(summary.partitions),
        number(summary.bytes)
    ))?;
    for finding in findings {
        let place = finding.topic.as_ref().zip(finding.partition);
        let place = place
            .map(|(topic, partition)| format!("{topic}:{partition}  "))
            .unwrap_or_default();
        let word = match finding.mended {
            true => "mended",
            false => finding.severity,
        };
        let title = ui.bold(&format!("{word}  {place}{}", finding.path.display()));
        ui.line(format_args!("\n{title}\n  {}", finding.what))?;
        match (&finding.repair, finding.mended) {
            (Some(repair), true) => ui.line(format_args!("  done: {repair}"))?,
            (Some(repair), false) if args.repair && !finding.loses_records => {
                ui.line(format_args!("  --yes would: {repair}"))?
            }
            (Some(repair), false) if args.repair && args.drop_damaged => ui.line(format_args!(
                "  --yes would, since --drop-damaged asks for it: {repair}"
            ))?,
            _ => ui.line(format_args!("  {}", finding.advice))?,
        }
    }
    if findings.is_empty() {
        let verdict =
            ui.green("Nothing to find fault with: every batch, record and index entry was read.");
        return ui.line(verdict);
    }
    close(args, summary, findings, ui)
}

fn close(
    args: &Args,
    summary: &CheckSummary,
    findings: &[Found],
    ui: &mut Ui,
) -> Result<(), Failure> {
    let number = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    let some = |n: u64, one: &str, many: &str| {
        format!("{} {}", number(n), if n == 1 { one } else { many })
    };
    let left = match args.yes {
        true => "Left: ",
        false => "",
    };
    if args.yes {
        let mended = findings.iter().filter(|finding| finding.mended).count() as u64;
        ui.line(format_args!(
            "\n{} mended.",
            some(mended, "thing", "things")
        ))?;
    }
    ui.line(format_args!(
        "\n{left}{}, {} by the next start, {}.",
        some(summary.damages, "damage", "damages"),
        some(summary.mends, "thing put right", "things put right"),
        some(summary.notes, "note", "notes")
    ))?;
    let mendable = findings
        .iter()
        .any(|f| f.repair.is_some() && !f.mended && (!f.loses_records || args.drop_damaged));
    if args.repair && !args.yes {
        ui.line(match mendable {
            true => "Nothing was changed. Add --yes to mend it.",
            false => "Nothing was changed, and there is nothing that --repair could mend.",
        })?;
    }
    Ok(())
}
