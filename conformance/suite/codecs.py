"""Batches compressed by one client are read by the others: the broker hands them on as the producer made them."""

from .bookmarks import Bookmarks
from .group import Group
from .report import Failure


def run(producing, readers, broker, observer, logs, report):
    for codec in producing.codecs:
        if codec == "none":
            continue
        story = Bookmarks(producing, broker, observer, logs, f"codec-{codec}", codec)
        try:
            with report.test(f"codecs: {producing.name} produces with {codec}"):
                story.produces()
        except Failure:
            continue
        for reader in readers:
            if codec in reader.codecs:
                try:
                    with report.test(f"codecs: {reader.name} reads {codec}"):
                        read(reader, story, logs)
                except Failure:
                    pass  # told; the other readers still have their turn


def read(reader, story, logs):
    group = Group(reader, story.broker, story.observer, story.topic, logs)
    group.name = f"{story.topic}-{reader.name}"
    try:
        member = group.join("reader")
        group.wait_until_read(story.ends)
        found = {(partition, offset): (key, value) for partition, offset, key, value in member.read}
        if found != story.log:
            raise Failure(f"read {len(found)} records, {len(story.log)} were produced, or their contents differ")
    finally:
        group.stop()
