//! `catchword doctor`: checks a data directory.

use std::path::PathBuf;

use catchword_log::{CheckSummary, Finding, LogError, Severity, check_dir};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::{count, records};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads everything and changes nothing; no broker may be running on the directory. The exit code is 1
if records are damaged or missing; what the next start puts right by itself is no failure.

JSON: {dir, sound, partitions, segments, batches, records, bytes, findings: [{severity, topic,
  partition, path, what, advice}]}; severity is note, mends or damage.

Examples:
  catchword doctor
  catchword doctor /var/lib/catchword --json")]
pub(crate) struct Args {
    /// The data directory.
    #[arg(default_value = "catchword-data")]
    dir: PathBuf,
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
    let mut findings = Vec::new();
    let checked = check_dir(&args.dir, &mut |finding| {
        findings.push(Found::from(finding))
    });
    let summary = checked.map_err(|error| match error {
        LogError::Locked { .. } => Failure::failed(format!(
            "a broker is running on {}; stop the broker first",
            args.dir.display()
        )),
        other => Failure::failed(other.to_string()),
    })?;
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
        let title = ui.bold(&format!(
            "{}  {place}{}",
            finding.severity,
            finding.path.display()
        ));
        ui.line(format_args!(
            "\n{title}\n  {}\n  {}",
            finding.what, finding.advice
        ))?;
    }
    if findings.is_empty() {
        let verdict =
            ui.green("Nothing to find fault with: every batch, record and index entry was read.");
        return ui.line(verdict);
    }
    let some = |n: u64, one: &str, many: &str| {
        format!("{} {}", number(n), if n == 1 { one } else { many })
    };
    ui.line(format_args!(
        "\n{}, {} by the next start, {}.",
        some(summary.damages, "damage", "damages"),
        some(summary.mends, "thing put right", "things put right"),
        some(summary.notes, "note", "notes")
    ))
}
