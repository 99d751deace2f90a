//! `catchword import`: puts groups where a file says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::args::Cluster;
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::commands::offsets_file::parse;
use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file has one of the forms of catchword export, which are Kafka's: topic,partition,offset;
group,topic,partition,offset; /consumers/GROUP/offsets/TOPIC/PARTITION:OFFSET. Nothing is changed
if a line cannot be read, a partition does not exist, or one of the groups has live members.

JSON: as of catchword rewind, a document for each group.

Examples:
  catchword import billing.csv --group billing
  catchword import offsets.csv --yes
  catchword export billing --bootstrap old:9092 | catchword import - --group billing --yes")]
pub(crate) struct Args {
    /// The file; - for standard input.
    file: PathBuf,
    /// The group, where the file does not name it; where it does, only this one is imported.
    #[arg(long, short)]
    group: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let groups = groups(&read(&args.file)?, args.group.as_deref())?;
    let mut client = args.cluster.connect()?;
    let mut plans = Vec::with_capacity(groups.len());
    for (group, targets) in &groups {
        plans.push(Plan::new(&mut client, group, targets)?);
    }
    carry_out(&mut client, &plans, args.how, ui)
}

fn read(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

/// Who is to be put where.
fn groups(text: &str, only: Option<&str>) -> Result<BTreeMap<String, Targets>, Failure> {
    let mut groups: BTreeMap<String, Targets> = BTreeMap::new();
    for bookmark in parse(text).map_err(Failure::failed)? {
        let group = match (&bookmark.group, only) {
            (Some(named), Some(only)) if named != only => continue,
            (Some(named), _) => named.clone(),
            (None, Some(only)) => only.to_owned(),
            (None, None) => {
                return Err(Failure::Usage(
                    "the file does not say which group its offsets are of; say it with --group"
                        .into(),
                ));
            }
        };
        let place = bookmark.partition;
        let target = Target::at(bookmark.offset);
        if let Some(other) = groups
            .entry(group.clone())
            .or_default()
            .insert(place.clone(), target)
            && other.offset != bookmark.offset
        {
            return Err(Failure::failed(format!(
                "the file has two offsets for {place} of group {group:?}: {} and {}",
                other.offset, bookmark.offset
            )));
        }
    }
    if groups.is_empty() {
        return Err(Failure::failed(match only {
            Some(group) => format!("the file has no offsets of group {group:?}"),
            None => "the file has no offsets".into(),
        }));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_files_or_the_one_that_is_named() {
        let names = |text: &str, only: Option<&str>| -> Result<Vec<String>, String> {
            let groups = groups(text, only).map_err(|failure| failure.to_string())?;
            Ok(groups.into_keys().collect())
        };
        let two = "a,t,0,1\nb,t,0,2\n";
        assert_eq!(names(two, None), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(names(two, Some("b")), Ok(vec!["b".into()]));
        assert_eq!(names("t,0,1\n", Some("c")), Ok(vec!["c".into()]));
        assert!(names("t,0,1\n", None).unwrap_err().contains("--group"));
        assert!(
            names(two, Some("c"))
                .unwrap_err()
                .contains("no offsets of group")
        );
        assert!(names("", None).unwrap_err().contains("no offsets"));
        let twice = names("a,t,0,1\na,t,0,2\n", None).unwrap_err();
        assert!(twice.contains("two offsets for t:0"), "{twice}");
    }
}
