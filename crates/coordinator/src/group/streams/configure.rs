//! How many partitions each internal topic of a topology must have, how many tasks there are, and what stands in the way.
//!
//! A repartition topic gets as many partitions as the subtopology that writes it has tasks, unless the application says
//! a number, or reads it together with topics that must be cut alike. A changelog topic has one for each task.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use catchword_wire::records::streams_group_topology_value::{
    CopartitionGroup, Subtopology, TopicInfo,
};
use catchword_wire::{ErrorCode, Str};

use super::Refused;
use super::status::{Status, StatusCode};
use super::topology::{Topology, sources};
use crate::metadata::MetadataImage;

/// How many names a status tells at most.
const NAMES_TOLD: usize = 3;

/// A topology, held against the topics that there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Configured {
    /// How many tasks each subtopology has, by its id. Empty while that cannot be said.
    pub(super) tasks: BTreeMap<Str, i32>,
    /// How many partitions each internal topic has, or is to have.
    pub(super) partitions: BTreeMap<Str, i32>,
    /// Internal topics that have to be made.
    pub(super) missing: Vec<CreatableTopic>,
    /// Why nothing can run yet.
    pub(super) problem: Option<Status>,
}

impl Configured {
    pub(super) fn is_ready(&self) -> bool {
        self.problem.is_none()
    }
}

/// Why a topology cannot be configured.
enum Obstacle {
    /// That may change: the member is told, and tries again.
    Topics(Status),
    /// Never.
    Topology(String),
}

/// Holds a topology against the topics.
///
/// # Errors
/// The topology makes no sense, whatever topics there are.
pub(super) fn configure(topology: &Topology, image: &MetadataImage) -> Result<Configured, Refused> {
    let mut plan = Plan {
        topology,
        image,
        decided: BTreeMap::new(),
    };
    match plan.make() {
        Ok(configured) => Ok(configured),
        Err(Obstacle::Topics(status)) => Ok(Configured {
            problem: Some(status),
            ..Configured::default()
        }),
        Err(Obstacle::Topology(why)) => Err((ErrorCode::StreamsInvalidTopology, why.into())),
    }
}

struct Plan<'a> {
    topology: &'a Topology,
    image: &'a MetadataImage,
    /// Partition counts of internal topics.
    decided: BTreeMap<Str, i32>,
}

impl<'a> Plan<'a> {
    fn make(&mut self) -> Result<Configured, Obstacle> {
        self.need_source_topics()?;
        self.count_repartition_topics()?;
        for subtopology in self.topology.subtopologies() {
            for group in &subtopology.copartition_groups {
                self.cut_alike(&copartitioned(subtopology, group))?;
            }
        }
        let mut tasks = BTreeMap::new();
        for subtopology in self.topology.subtopologies() {
            let id = &subtopology.subtopology_id;
            let most = sources(subtopology)
                .filter_map(|topic| self.count(topic))
                .max();
            let Some(most) = most else {
                return Err(Obstacle::Topology(format!(
                    "subtopology {id} reads no topic"
                )));
            };
            tasks.insert(id.clone(), most);
            for topic in &subtopology.state_changelog_topics {
                self.decided.insert(topic.name.clone(), most);
            }
        }
        let missing = self.missing()?;
        let names = missing.iter().map(|topic| &topic.name);
        let problem = (!missing.is_empty()).then(|| {
            let detail = format!("Internal topics are missing: {}", summary(names));
            Status::new(StatusCode::MissingInternalTopics, detail)
        });
        Ok(Configured {
            tasks,
            partitions: std::mem::take(&mut self.decided),
            missing,
            problem,
        })
    }

    /// How many partitions a topic has or is to have; `None` if that is not known.
    fn count(&self, topic: &Str) -> Option<i32> {
        let existing = self.image.topic(topic).map(|topic| topic.partitions);
        existing.or_else(|| self.decided.get(topic).copied())
    }

    fn need_source_topics(&self) -> Result<(), Obstacle> {
        let all = self.topology.subtopologies().iter();
        let all = all.flat_map(|subtopology| &subtopology.source_topics);
        let missing: BTreeSet<&Str> = all.filter(|t| self.image.topic(t).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "Source topics {} are missing.",
            summary(missing.into_iter())
        );
        let status = Status::new(StatusCode::MissingSourceTopics, detail);
        Err(Obstacle::Topics(status))
    }

    /// A repartition topic may be read by the very subtopology that decides on the next one: so, in rounds.
    fn count_repartition_topics(&mut self) -> Result<(), Obstacle> {
        for topic in repartition_topics(self.topology).filter(|t| t.partitions != 0) {
            self.decided.insert(topic.name.clone(), topic.partitions);
        }
        loop {
            let (mut open, mut progress) = (false, false);
            for subtopology in self.topology.subtopologies() {
                for sink in &subtopology.repartition_sink_topics {
                    if self.decided.contains_key(sink) {
                        continue;
                    }
                    match self.width(subtopology) {
                        Some(width) => {
                            self.decided.insert(sink.clone(), width);
                            progress = true;
                        }
                        None => open = true,
                    }
                }
            }
            if !open {
                break;
            }
            if !progress {
                let why =
                    "the partitions of some repartition topics depend on each other in a circle";
                return Err(Obstacle::Topology(why.into()));
            }
        }
        match repartition_topics(self.topology).find(|t| !self.decided.contains_key(&t.name)) {
            None => Ok(()),
            Some(topic) => Err(Obstacle::Topology(format!(
                "the repartition topic {} is read, but no subtopology writes it",
                topic.name
            ))),
        }
    }

    /// The most partitions of what a subtopology reads, as far as it is decided. Repartition topics that exist already
    /// don't count: they may have been made otherwise, and that is to be noticed.
    fn width(&self, subtopology: &Subtopology) -> Option<i32> {
        let decided = subtopology.repartition_source_topics.iter();
        let decided = decided.filter_map(|topic| self.decided.get(&topic.name).copied());
        let sources = subtopology.source_topics.iter();
        decided
            .chain(sources.filter_map(|topic| self.count(topic)))
            .max()
    }

    /// Gives repartition topics that are read together with others as many partitions as those.
    fn cut_alike(&mut self, group: &BTreeSet<&'a Str>) -> Result<(), Obstacle> {
        let fixed: BTreeMap<&Str, bool> = repartition_topics(self.topology)
            .map(|topic| (&topic.name, topic.partitions != 0))
            .collect();
        let counts = group.iter().filter_map(|t| Some((*t, self.count(t)?)));
        let (internal, external): (BTreeMap<&Str, i32>, BTreeMap<&Str, i32>) =
            counts.partition(|(topic, _)| fixed.contains_key(topic));
        let of_fixed: BTreeMap<&Str, i32> = internal
            .iter()
            .filter(|(topic, _)| fixed[**topic])
            .map(|(topic, count)| (*topic, *count))
            .collect();
        let wanted = if !external.is_empty() {
            same(&external)?
        } else if !of_fixed.is_empty() {
            same(&of_fixed)?
        } else {
            internal.values().copied().max()
        };
        let Some(wanted) = wanted else {
            return Ok(());
        };
        for (topic, count) in internal {
            if fixed[topic] && count != wanted {
                return Err(wrongly_cut(format!(
                    "Number of partitions [{count}] of repartition topic [{topic}] doesn't match number of partitions [{wanted}] of the source topic."
                )));
            }
            self.decided.insert(topic.clone(), wanted);
        }
        Ok(())
    }

    /// The internal topics that are not there. Those that are must be as they would be made.
    fn missing(&self) -> Result<Vec<CreatableTopic>, Obstacle> {
        let subtopologies = self.topology.subtopologies().iter();
        let topics = subtopologies.flat_map(|subtopology| {
            let repartition = subtopology.repartition_source_topics.iter();
            repartition.chain(&subtopology.state_changelog_topics)
        });
        let mut missing: BTreeMap<&Str, CreatableTopic> = BTreeMap::new();
        for topic in topics {
            let decided = self.decided.get(&topic.name).copied();
            let wanted = match topic.partitions {
                0 => decided.unwrap_or(-1),
                fixed => fixed,
            };
            match self.image.topic(&topic.name).map(|topic| topic.partitions) {
                None => drop(missing.insert(&topic.name, creatable(topic, wanted))),
                Some(count) if count == wanted => {}
                Some(count) => {
                    return Err(wrongly_cut(format!(
                        "Existing topic {} has different number of partitions: expected {wanted}, found {count}",
                        topic.name
                    )));
                }
            }
        }
        Ok(missing.into_values().collect())
    }
}

fn repartition_topics(topology: &Topology) -> impl Iterator<Item = &TopicInfo> {
    let all = topology.subtopologies().iter();
    all.flat_map(|subtopology| &subtopology.repartition_source_topics)
}

fn copartitioned<'a>(subtopology: &'a Subtopology, group: &CopartitionGroup) -> BTreeSet<&'a Str> {
    let at = |index: &i16| usize::try_from(*index).ok();
    let topics = group.source_topics.iter();
    let topics = topics.filter_map(|i| subtopology.source_topics.get(at(i)?));
    let internal = group.repartition_source_topics.iter();
    let internal = internal.filter_map(|i| subtopology.repartition_source_topics.get(at(i)?));
    topics.chain(internal.map(|topic| &topic.name)).collect()
}

/// The one count that all have; `None` if there are none.
fn same(counts: &BTreeMap<&Str, i32>) -> Result<Option<i32>, Obstacle> {
    let first = counts.values().next().copied();
    if counts.values().all(|count| Some(*count) == first) {
        return Ok(first);
    }
    let told: Vec<String> = counts
        .iter()
        .map(|(t, count)| format!("{t}={count}"))
        .collect();
    Err(wrongly_cut(format!(
        "Following topics do not have the same number of partitions: [{{{}}}]",
        told.join(", ")
    )))
}

fn wrongly_cut(detail: String) -> Obstacle {
    Obstacle::Topics(Status::new(
        StatusCode::IncorrectlyPartitionedTopics,
        detail,
    ))
}

fn creatable(topic: &TopicInfo, partitions: i32) -> CreatableTopic {
    let config = |config: &catchword_wire::records::streams_group_topology_value::TopicConfig| {
        CreatableTopicConfig {
            name: config.key.clone(),
            value: Some(config.value.clone()),
        }
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: partitions,
        replication_factor: match topic.replication_factor {
            0 => -1,
            factor => factor,
        },
        configs: topic.topic_configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    }
}

/// Some of the names, and how many there are besides.
fn summary<'a>(names: impl Iterator<Item = &'a Str>) -> String {
    let names: Vec<&str> = names.map(Str::as_str).collect();
    let told = names[..names.len().min(NAMES_TOLD)].join(", ");
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        more => format!("{told} and {more} additional topics"),
    }
}
