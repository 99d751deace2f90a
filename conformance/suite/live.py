"""A group is moved while its members read: nobody is stopped, everybody reads on from there. About our own broker only."""

import shlex
import subprocess

from .bookmarks import PARTITIONS, Bookmarks
from .report import Failure


def run(clients, broker, observer, logs, report):
    if " serve " not in broker.command:
        report.skip("live", "it is about our own broker")
        return
    for client in clients:
        # Cooperative members keep their positions through a mere rebalance; eager ones give everything up.
        options = {"assignor": "cooperative-sticky"} if client.incremental_groups else {}
        tries = {client.name: options}
        if client.name == "java":
            tries["java (eager)"] = {}
        for name, options in tries.items():
            try:
                with report.test(f"live: a group of {name} is rewound under its members"):
                    topic = f"{client.name}-{'cooperative' if options else 'eager'}-live"
                    rewind(Bookmarks(client, broker, observer, logs, topic), options)
            except Failure:
                pass  # told; the other clients may still do well


def rewind(story, options):
    group = story.group
    try:
        story.produces()
        members = [group.join(name, **options) for name in ("one", "two")]
        group.wait_for_shares(members, PARTITIONS)
        group.wait_until_read(story.ends)
        group.commit(story.ends)
        story.produce()
        group.wait_until_read(story.ends)
        with group.changed:
            before = {member.id: len(member.read) for member in members}
            group.committed = {}
        catchword(story.broker, "rewind", group.name, "--to", "earliest", "--live", "--yes")
        # What they have read and not committed: too late. Were it taken, nothing would be read again.
        for member in members:
            member.write("commit")
        everything = {(partition, offset) for partition, end in story.ends.items() for offset in range(end)}

        def again():
            return {record[:2] for member in members for record in member.read[before[member.id]:]}
        group.wait("all is read again", 60, lambda: everything <= again())
        group.wait_for_shares(members, PARTITIONS)
        group.wait_until_read(story.ends)
        group.commit(story.ends)
        story.check_contents()
    finally:
        group.stop()


def catchword(broker, *words):
    binary = shlex.split(broker.command)[0]
    done = subprocess.run([binary, words[0], "--bootstrap", broker.bootstrap, *words[1:]],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"catchword {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
