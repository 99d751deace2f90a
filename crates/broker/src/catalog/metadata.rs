//! The topics as group coordinators see them: names, ids and partition counts.

use std::sync::atomic::Ordering;

use catchword_coordinator::{MetadataImage, TopicImage};

use super::Catalog;

impl Catalog {
    /// Changes whenever a topic comes, goes or gets partitions.
    pub(crate) fn topics_version(&self) -> u64 {
        self.topics_version.load(Ordering::Acquire)
    }

    /// The topics as they are now, with the version of it.
    pub(crate) fn metadata_image(&self) -> MetadataImage {
        self.read(|image| {
            let topics = image.topics.values().map(|topic| TopicImage {
                name: topic.name.clone(),
                id: topic.id,
                partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            });
            // It is written with the image locked, so it is that of this image.
            MetadataImage::new(self.topics_version(), topics)
        })
    }
}
