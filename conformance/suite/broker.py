"""The broker under test: a command that runs one in the foreground, `kill -9`, and the same command again.

Knows Kafka's protocol only as far as asking "are you there?".
"""

import os
import random
import shlex
import signal
import socket
import struct
import subprocess
import threading
import time

from .report import Failure


class Broker:
    def __init__(self, command, directory):
        self.command = command
        self.directory = directory
        self.log_path = directory / "broker.log"
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self, seconds=60):
        """Starts the broker on its port and data directory; returns once it answers."""
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        words = [word.format(port=self.port, dir=data) for word in shlex.split(self.command)]
        with open(self.log_path, "ab") as log:
            # A session of its own, so that a kill takes all that the command started.
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        deadline = time.monotonic() + seconds
        while not answers(self.port):
            if self.process.poll() is not None:
                raise Failure(f"the broker ended with {self.process.returncode}:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise Failure(f"the broker does not answer after {seconds} s:\n{self.last_words()}")
            time.sleep(0.05)

    def kill(self):
        """kill -9: what the broker had not written down is gone."""
        if self.process.poll() is not None:
            raise Failure(f"the broker had already ended with {self.process.returncode}:\n{self.last_words()}")
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def shut_down(self, seconds=30):
        """SIGTERM, and the end in order."""
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the broker does not end within {seconds} s:\n{self.last_words()}") from None

    def stop(self):
        """Ends the broker, however it fares."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_words(self, lines=15):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])


# Given out already: whoever has one may not listen on it yet, or not just now.
taken = set()
taking = threading.Lock()


def free_port():
    """A port below the range for outgoing connections, so that it is still free after a kill, with the one 1000 above it."""
    while True:
        port = random.randrange(20000, 29000)
        pair = {port, port + 1000}
        with taking:
            if pair & taken:
                continue
            try:
                for candidate in pair:
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            taken.update(pair)
            return port


def answers(port):
    """Whether ApiVersions version 0 is answered."""
    request = struct.pack(">hhih", 18, 0, 7, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(8)
            return len(answer) == 8 and answer[4:] == struct.pack(">i", 7)
    except OSError:
        return False
