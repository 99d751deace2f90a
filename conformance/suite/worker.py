"""Running clients: one process each, its lines heard as they come."""

import os
import signal
import subprocess
import threading
import time

from .report import Failure


class Process:
    """A client's process. `on_line` gets every line that it prints, in order, on a thread of its own."""

    def __init__(self, name, command, logs, on_line):
        self.name = name
        self.log_path = logs / f"{name}.log"
        self.on_line = on_line
        # One pipe for both outputs keeps their order.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self):
        with open(self.log_path, "a") as log:
            for line in self.process.stdout:
                log.write(f"{time.time():.3f} {line}")
                log.flush()
                self.on_line(line.rstrip("\n"))

    def write(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failure(f"{self.name} has ended ({error}):\n{self.last_words()}") from error

    def running(self):
        return self.process.poll() is None

    def kill(self):
        if not self.running():
            raise Failure(f"{self.name} had already ended with {self.process.returncode}:\n{self.last_words()}")
        self.process.kill()
        self.process.wait()
        self.listener.join()

    def terminate(self):
        os.kill(self.process.pid, signal.SIGTERM)

    def finish(self, seconds):
        """Ends the input and waits for the process to end by itself; returns its exit code."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        return self.wait(seconds)

    def wait(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} does not end within {seconds} s:\n{self.last_words()}") from None
        self.listener.join()
        return self.process.returncode

    def stop(self):
        """Ends the process, however it fares."""
        if self.running():
            self.process.kill()
            self.process.wait()

    def last_words(self, lines=8):
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])


class Producer(Process):
    """A producer: writes `KEY VALUE` lines to its client, hears which keys were acknowledged."""

    def __init__(self, client, broker, topic, logs, codec="none"):
        self.acknowledged = set()
        self.refused = {}
        super().__init__(f"{client.name}-producer", client.produce(broker.bootstrap, topic, codec), logs, self._heard)

    def _heard(self, line):
        match line.split(" "):
            case ["produced", _, _, _, key]:
                self.acknowledged.add(key)
            case ["failed", key, *why]:
                self.refused[key] = " ".join(why)

    def send(self, key):
        self.write(f"{key} value-of-{key}")

    @classmethod
    def extend(cls, keys, count, client, broker, topic, logs):
        """Produces so many records of new keys, which are added to `keys`."""
        producer = cls(client, broker, topic, logs)
        try:
            for _ in range(count):
                keys.append(f"k{len(keys):05}")
                producer.send(keys[-1])
            producer.finish()
        finally:
            producer.stop()

    def finish(self, seconds=90):
        code = super().finish(seconds)
        if code != 0 or self.refused:
            raise Failure(f"{self.name} ended with {code}, refused {dict(list(self.refused.items())[:3])}:\n"
                          f"{self.last_words()}")
