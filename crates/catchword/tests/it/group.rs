//! A group with a place, for tests that move it.

use crate::harness::Cluster;

pub(crate) struct Group {
    pub(crate) cluster: Cluster,
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl Group {
    /// A group that has read 6 of 10 records of one partition.
    pub(crate) fn new(test: &str) -> Self {
        Self::on(Cluster::any(test))
    }

    /// The same in a cluster.
    pub(crate) fn on(cluster: Cluster) -> Self {
        let (topic, group) = (cluster.name("t"), cluster.name("g"));
        cluster.numbers(&topic, 1, 10);
        cluster
            .run(&["consume", &topic, "--group", &group, "--max", "6"])
            .ok();
        Self {
            cluster,
            topic,
            group,
        }
    }

    pub(crate) fn committed(&self) -> i64 {
        self.committed_by(&self.group)
    }

    /// The place of any group, in the first partition that it has one in.
    pub(crate) fn committed_by(&self, group: &str) -> i64 {
        let shown = self.cluster.json(&["show", group, "--json"]);
        shown["partitions"][0]["committed"]
            .as_i64()
            .expect("it has a place")
    }
}
