//! `catchword audit`: commits that did more than read on, and commits that were refused.

use serde::Deserialize;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{Api, place, read, when};
use crate::table::{Align, Table, count, records};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Members that set a bookmark back (what lies between is read again), commits of members that the
group had given up (refused; what they have read since the last commit is read twice), commits
beyond the end of a log, and bookmarks that somebody who is no member set forward without reading
on (what lies between was given to nobody; of members it cannot be known).

Members that died or were sent away, and were handed records that they had not committed, and
members that left without having committed anything of what they were handed: these records come
again. That is known by client id and host, and not told where it fits several readers; what a
member had dealt with, only it knows.

The last 1,000 since the broker's start are kept; the bookmarks' own history is `catchword log`.
The metrics catchword_commit_* count them.

JSON: {counts: {step_back, refused, refused_records, beyond_end, jump, uncommitted,
  uncommitted_records}, notices: [{group, at_ms, kind, client_id, host, member_id, error, how,
  topic, partition, from, to, partitions, records,
  places: [{topic, partition, committed, handed}]}]}

Examples:
  catchword audit
  catchword audit billing")]
pub(crate) struct Args {
    /// The group; all if it is left out.
    group: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct Notice {
    group: String,
    at_ms: i64,
    kind: String,
    client_id: String,
    host: String,
    error: Option<String>,
    how: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    from: Option<i64>,
    to: Option<i64>,
    partitions: Option<i64>,
    records: i64,
}

impl Notice {
    fn words(&self) -> String {
        let name = match (&self.topic, self.partition) {
            (Some(topic), Some(partition)) => format!("{topic}:{partition}"),
            _ => String::new(),
        };
        let (from, to) = (place(self.from), place(self.to));
        match self.kind.as_str() {
            "step-back" => format!(
                "set {name} back, {from} → {to}: {} again",
                records(self.records)
            ),
            "jump" => format!(
                "no member, set {name} forward, {from} → {to}: {} given to nobody",
                records(self.records)
            ),
            "uncommitted" => {
                let how = match self.how.as_deref() {
                    Some("timed-out") => "not heard of in time",
                    Some("sent-away") => "sent away",
                    _ => "left",
                };
                match self.partitions {
                    Some(1) => format!(
                        "{how}; {name} was handed to {to}, committed to {from}: up to {} again",
                        records(self.records)
                    ),
                    n => format!(
                        "{how}; handed out and not committed in {} partitions: up to {} again",
                        count(n.unwrap_or(0)),
                        records(self.records)
                    ),
                }
            }
            "beyond-end" => format!("set {name} to {to}, beyond the log's end {from}"),
            _ => format!(
                "commit of {} refused ({}): up to {} twice",
                match self.partitions {
                    Some(1) => "1 partition".into(),
                    n => format!("{} partitions", count(n.unwrap_or(0))),
                },
                self.error.as_deref().unwrap_or("-"),
                records(self.records)
            ),
        }
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let group = args.group.as_ref();
    let group = group.map_or_else(String::new, |group| format!("&group={}", encoded(group)));
    let document = api.get(&format!("/v1/audit?limit={}{group}", args.limit))?;
    if args.json {
        return ui.json(&document);
    }
    let notices: Vec<Notice> = read(&document["notices"])?;
    if notices.is_empty() {
        ui.note("Nothing was noticed since the broker's start: commits have only read on, and none was refused.");
        return Ok(());
    }
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("GROUP", Align::Left),
        ("WHO", Align::Left),
        ("WHAT", Align::Left),
    ]);
    for notice in &notices {
        let who = format!("{} on {}", notice.client_id, notice.host);
        table.row(vec![
            when(notice.at_ms),
            notice.group.clone(),
            who,
            notice.words(),
        ]);
    }
    ui.table(&table)?;
    ui.note("\n`catchword log GROUP` shows what became of its bookmarks.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: &str) -> Notice {
        Notice {
            group: "g".into(),
            at_ms: 0,
            kind: kind.into(),
            client_id: "c".into(),
            host: "10.0.0.7".into(),
            error: Some("UNKNOWN_MEMBER_ID".into()),
            how: Some("timed-out".into()),
            topic: Some("orders".into()),
            partition: Some(0),
            from: Some(1000),
            to: Some(520),
            partitions: Some(2),
            records: 480,
        }
    }

    #[test]
    fn a_notice_says_what_it_costs() {
        let kinds = ["step-back", "refused", "beyond-end", "jump", "uncommitted"];
        let read = kinds.map(|kind| notice(kind).words());
        assert_eq!(
            read,
            [
                "set orders:0 back, 1,000 → 520: 480 records again",
                "commit of 2 partitions refused (UNKNOWN_MEMBER_ID): up to 480 records twice",
                "set orders:0 to 520, beyond the log's end 1,000",
                "no member, set orders:0 forward, 1,000 → 520: 480 records given to nobody",
                "not heard of in time; handed out and not committed in 2 partitions: up to 480 records again",
            ]
        );
    }
}
