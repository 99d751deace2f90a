"""Kafka Streams counts words with `exactly_once_v2`, while its two instances and the broker are killed with `kill -9` at
random moments. Every record has a word of its own and one that all have; whoever reads committed counts finds the first
counted to 1, the second to the number of records, without a gap and without repetition: each input counted once.
"""

import collections
import random
import shutil
import time

from .clients import DEFAULT_PARTITIONS as PARTITIONS, word_count
from .report import Failure
from .worker import Process, Producer

BATCH = 60      # records produced at a time
ROUNDS = 6
PATIENCE = 120  # seconds for all to be counted
COMMON = "value"
PROTOCOLS = {"streams-classic": "classic", "streams-protocol": "streams"}  # scenario: group.protocol


def run(name, producer, broker, observer, logs, report):
    story = Story(PROTOCOLS[name], producer, broker, observer, logs)
    try:
        with report.test(f"{name}: every word is counted exactly once, whoever is killed"):
            story.play()
        with report.test(f"{name}: an instance starts without its state and counts on from the changelog"):
            story.counts_on_without_state()
    except Failure:
        pass  # told
    finally:
        story.stop()


class Story:
    def __init__(self, protocol, producer, broker, observer, logs):
        self.protocol, self.producer, self.broker = protocol, producer, broker
        self.observer, self.logs = observer, logs
        self.source, self.target = f"{protocol}-lines", f"{protocol}-counts"
        self.group = f"{protocol}-word-count"
        self.keys = []
        self.lives = 0
        self.instances = {}
        self.ran = 0

    def play(self):
        self.observer.create(self.source, PARTITIONS)
        self.observer.create(self.target, PARTITIONS)
        chance = random.Random(self.protocol)
        self.produce()
        self.begin("a")
        self.begin("b")
        for number in range(ROUNDS):
            self.produce()
            time.sleep(chance.uniform(2, 6))
            victim = chance.choice("ab")
            if number % 3 != 1:
                self.instances[victim].kill()
            if number % 3 != 0:
                self.broker.kill()
                self.broker.start()
            if number % 3 != 1:
                self.begin(victim)
        self.all_is_counted()
        if self.ran < 2:
            raise Failure(f"only {self.ran} instances ever came to RUNNING: nothing was tested")

    def counts_on_without_state(self):
        for name in "ab":
            self.instances[name].kill()
            shutil.rmtree(self.state_of(name))
        self.begin("a")
        self.produce()
        self.all_is_counted()

    def produce(self):
        Producer.extend(self.keys, BATCH, self.producer, self.broker, self.source, self.logs)

    def state_of(self, name):
        return self.logs / f"state-{name}"

    def begin(self, name):
        self.lives += 1
        command = word_count(self.broker.bootstrap, self.source, self.target, self.group, f"counter-{name}",
                             self.protocol, self.state_of(name))
        self.instances[name] = Process(f"counter-{name}-{self.lives}", command, self.logs, self.hears)

    def hears(self, line):
        self.ran += line == "state RUNNING"

    def all_is_counted(self):
        """Asked for what was committed until all is there, and once more: nothing may come twice."""
        deadline = time.monotonic() + PATIENCE
        while len(self.counts()[COMMON]) < len(self.keys):
            if time.monotonic() > deadline:
                raise Failure(f"only {len(self.counts()[COMMON])} of {len(self.keys)} records are counted")
            time.sleep(1)
        time.sleep(1)
        counts = self.counts()
        wrong = {key: counts[key] for key in self.keys if counts[key] != [1]}
        if wrong:
            raise Failure(f"not counted once: {dict(list(wrong.items())[:5])}")
        if counts[COMMON] != list(range(1, len(self.keys) + 1)):
            steps = zip(counts[COMMON], range(1, len(self.keys) + 2))
            raise Failure(f"the common word's counts do not go up by one: (is, ought) {[s for s in steps if s[0] != s[1]][:5]}")

    def counts(self):
        """{word: all its counts, as they were committed}"""
        counts = collections.defaultdict(list)
        for _, _, word, count in self.observer.dump(self.target):
            counts[word].append(int(count))
        return counts

    def stop(self):
        for instance in self.instances.values():
            instance.stop()
