//! `catchword adopt`: takes over a stopped Apache Kafka's data directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use catchword_adopt::{
    AdoptError, Remark, State, Step, Survey, Weight, adopt_copy, adopt_in_place, finish_adoption,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::count;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
DIR is what log.dirs names in Kafka's server.properties. Kafka has to be stopped, and to be one node
that is broker and controller (KRaft). Without --yes or --to nothing is changed: the command says
what comes along, what does not, and what stands against it.

Topics with their ids, settings and records, committed offsets and producers come along. Logs stay
the files that they are; with --yes only Kafka's metadata are renamed and a catalog is written,
which takes seconds. docs/adopt.md says more, and the way back.

JSON: {dir, state, cluster_id, node_id, clean, topics: [{name, id, partitions, configs}], bytes,
  groups, committed_offsets, refusals, left, notes (each [{what, advice}]), adopted, data}; state is
  kafka, interrupted or catchword, which is what was found.

Examples:
  catchword adopt /var/lib/kafka                          look, change nothing
  catchword adopt /var/lib/kafka --to /var/lib/catchword  adopt a copy, leave Kafka's as it is
  catchword adopt /var/lib/kafka --yes                    adopt it where it is
  catchword serve --data /var/lib/kafka --properties server.properties")]
pub(crate) struct Args {
    /// Kafka's data directory.
    dir: PathBuf,
    /// Adopt the directory where it is.
    #[arg(long, conflicts_with = "to")]
    yes: bool,
    /// Copy the directory to DATA, which must not exist, and adopt the copy.
    #[arg(long, value_name = "DATA")]
    to: Option<PathBuf>,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
}

/// What was found and done. The field names are for scripts and stay as they are.
#[derive(Debug, Default, Serialize)]
struct Report {
    dir: PathBuf,
    state: &'static str,
    cluster_id: Option<String>,
    node_id: Option<i32>,
    clean: Option<bool>,
    topics: Vec<Topic>,
    bytes: u64,
    groups: usize,
    committed_offsets: usize,
    refusals: Vec<Said>,
    left: Vec<Said>,
    notes: Vec<Said>,
    adopted: bool,
    data: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Topic {
    name: String,
    id: String,
    partitions: i32,
    configs: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Said {
    what: String,
    advice: String,
}

impl Report {
    fn of(survey: &Survey) -> Report {
        let said = |weight| {
            let remarks = survey
                .remarks
                .iter()
                .filter(|remark| remark.weight == weight);
            let said = |remark: &Remark| Said {
                what: remark.what.clone(),
                advice: remark.advice.clone(),
            };
            remarks.map(said).collect()
        };
        Report {
            dir: survey.dir.clone(),
            state: "kafka",
            cluster_id: Some(survey.cluster_id.clone()),
            node_id: Some(survey.node_id),
            clean: Some(survey.clean),
            topics: survey
                .topics
                .iter()
                .map(|topic| Topic {
                    name: topic.name.clone(),
                    id: topic.id.to_string(),
                    partitions: topic.partitions,
                    configs: topic.configs.clone(),
                })
                .collect(),
            bytes: survey.bytes,
            groups: survey.groups,
            committed_offsets: survey.offsets,
            refusals: said(Weight::Refusal),
            left: said(Weight::Left),
            notes: said(Weight::Note),
            adopted: false,
            data: None,
        }
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    match State::of(&args.dir).map_err(failed)? {
        State::Kafkas => adopt(args, ui),
        State::Interrupted => finish(args, ui),
        State::Ours => {
            if args.json {
                ui.json(&Report {
                    dir: args.dir.clone(),
                    state: "catchword",
                    adopted: true,
                    data: Some(args.dir.clone()),
                    ..Report::default()
                })?;
                return Ok(());
            }
            ui.line(AdoptError::Already(args.dir.clone()))
        }
    }
}

fn adopt(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let survey = Survey::of(&args.dir).map_err(failed)?;
    let mut report = Report::of(&survey);
    let (adoptable, node) = (survey.is_adoptable(), survey.node_id);
    if !args.json {
        print(&survey, ui)?;
    }
    let wanted = args.yes || args.to.is_some();
    if adoptable && wanted {
        let data = args.to.clone().unwrap_or_else(|| args.dir.clone());
        let mut watch = |step: &Step| {
            ui.progress(told(step));
            true
        };
        let done = match &args.to {
            Some(to) => adopt_copy(&survey, to, &mut watch),
            None => adopt_in_place(survey, &mut watch),
        };
        ui.progress_done();
        done.map_err(failed)?;
        report.adopted = true;
        report.data = Some(data);
    }
    if args.json {
        ui.json(&report)?;
    }
    match (adoptable, &report.data) {
        (false, _) => Err(Failure::failed(format!(
            "{} cannot be adopted as it is; nothing was changed",
            args.dir.display()
        ))),
        (true, Some(data)) if !args.json => close(data, node, args.to.is_none(), ui),
        (true, None) if !args.json => invite(args, ui),
        _ => Ok(()),
    }
}

fn finish(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    if !args.yes {
        return Err(Failure::failed(format!(
            "the adoption of {0} was interrupted: `catchword adopt {0} --yes` finishes it",
            args.dir.display()
        )));
    }
    finish_adoption(&args.dir, &mut |_| true).map_err(failed)?;
    if args.json {
        return ui.json(&Report {
            dir: args.dir.clone(),
            state: "interrupted",
            adopted: true,
            data: Some(args.dir.clone()),
            ..Report::default()
        });
    }
    ui.line("The adoption that was interrupted is finished.")?;
    let node = catchword_broker::MetaProperties::read(&args.dir)?;
    let node = node.get("node.id").and_then(|id| id.parse().ok());
    close(&args.dir, node.unwrap_or(1), true, ui)
}

fn print(survey: &Survey, ui: &mut Ui) -> Result<(), Failure> {
    let stopped = match survey.clean {
        true => "It was stopped in order.",
        false => {
            "It was not stopped in order: the first start checks what was written last, as Kafka would."
        }
    };
    ui.line(format_args!(
        "{} is the data of an Apache Kafka: cluster {}, node {}. {stopped}",
        survey.dir.display(),
        survey.cluster_id,
        survey.node_id
    ))?;
    let partitions = survey
        .topics
        .iter()
        .map(|topic| i64::from(topic.partitions))
        .sum();
    let number = |n: usize| count(i64::try_from(n).unwrap_or(i64::MAX));
    let title = ui.bold("What comes along");
    ui.line(format_args!(
        "\n{title}\n  {} topics with {} partitions and {} bytes of records, with ids, settings and producers\n  {} committed offsets of {} groups",
        number(survey.topics.len()),
        count(partitions),
        count(i64::try_from(survey.bytes).unwrap_or(i64::MAX)),
        number(survey.offsets),
        number(survey.groups)
    ))?;
    let parts = [
        (Weight::Left, "What does not come along"),
        (Weight::Note, "Worth knowing"),
        (Weight::Refusal, "What stands against it"),
    ];
    for (weight, title) in parts {
        let mut remarks = survey
            .remarks
            .iter()
            .filter(|r| r.weight == weight)
            .peekable();
        if remarks.peek().is_some() {
            let title = ui.bold(title);
            ui.line(format_args!("\n{title}"))?;
        }
        for remark in remarks {
            ui.line(format_args!("  {}\n    {}", remark.what, remark.advice))?;
        }
    }
    Ok(())
}

fn invite(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let dir = args.dir.display();
    ui.line(format_args!(
        "\nNothing was changed.\n  \
         catchword adopt {dir} --to DATA   copies it to DATA and adopts the copy\n  \
         catchword adopt {dir} --yes       adopts it where it is: logs stay as they are, Kafka's metadata\n  \
         {:pad$}are kept as __cluster_metadata-0.kafka and meta.properties.kafka",
        "",
        pad = format!("catchword adopt {dir} --yes       ").len()
    ))
}

fn close(data: &Path, node: i32, in_place: bool, ui: &mut Ui) -> Result<(), Failure> {
    let set = match node {
        1 => String::new(),
        node => format!(" --set node.id={node}"),
    };
    let kept = match in_place {
        true => {
            "Kafka's metadata are in __cluster_metadata-0.kafka; Kafka itself refuses the directory now."
        }
        false => "Kafka's directory is as it was.",
    };
    let verdict = ui.green(&format!("{} is adopted.", data.display()));
    ui.line(format_args!(
        "\n{verdict} {kept}\nStart on it with your file of settings, or without:\n  catchword serve --data {}{set} --properties server.properties",
        data.display()
    ))
}

fn told(step: &Step) -> String {
    match step {
        Step::Copy(dir) => format!("copying {}", dir.display()),
        Step::SetAside(dir) => format!("setting {} aside", dir.display()),
        Step::WriteCatalog => "writing the catalog".to_owned(),
        _ => "taking over".to_owned(),
    }
}

fn failed(error: AdoptError) -> Failure {
    Failure::failed(match error {
        AdoptError::Log(catchword_log::LogError::Locked { path }) => {
            format!("a broker is running on {}: stop it first", path.display())
        }
        other => other.to_string(),
    })
}
