"""Looks at the broker with a client that takes no part in the scenario (../confluent-kafka/observer.py)."""

import subprocess

from .clients import CACHE, HOME
from .report import Failure


class Observer:
    def __init__(self, broker):
        self.broker = broker

    def _ask(self, *words):
        done = subprocess.run(
            [CACHE / "confluent-kafka" / "bin" / "python", HOME / "confluent-kafka" / "observer.py",
             self.broker.bootstrap, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise Failure(f"observer {' '.join(words)} ended with {done.returncode}: {done.stderr[-1500:]}")
        return [line.split(" ") for line in done.stdout.splitlines()]

    def create(self, topic, partitions, *config):
        self._ask("create", topic, str(partitions), *config)

    def delete(self, topic):
        self._ask("delete", topic)

    def describe(self):
        """{topic: (id, partitions, {key: value} of what is set on it)} of all topics that are not internal."""
        topics = {}
        for what, topic, *words in self._ask("describe"):
            if what == "topic":
                topics[topic] = (words[0], int(words[1]), {})
            else:
                topics[topic][2][words[0]] = words[1]
        return topics

    def committed(self, group, topic):
        """{partition: committed offset}"""
        return {int(partition): int(offset) for _, _, partition, offset in self._ask("committed", group, topic)}

    def members(self, group):
        """The group's state and {client id: {partition...}}."""
        (_, state), *members = self._ask("members", group)
        return state, {client: set() if owned == "-" else {int(p) for p in owned.split(",")}
                       for _, client, owned in members}

    def dump(self, topic):
        """All that is in the topic: [(partition, offset, key, value)...]."""
        return [(int(p), int(offset), key, value) for _, p, offset, key, value in self._ask("dump", topic)]
