"""Counts tests and prints one line for each; knows nothing of brokers and clients. Scenarios may run beside each other."""

import contextlib
import threading
import time
import traceback


class Failure(Exception):
    """A promise that did not hold, in words."""


class Report:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.failed_names = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def test(self, name):
        """One test: passes unless its body raises. A failure is told, and then raised on as `Failure`."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            told = str(error) if isinstance(error, Failure) else traceback.format_exc()
            self._fail(name, f"({time.monotonic() - began:.1f} s)\n    " + told.strip().replace("\n", "\n    "))
            raise Failure(name) from error
        with self._lock:
            self.passed += 1
            print(f"ok       {name} ({time.monotonic() - began:.1f} s)", flush=True)

    def tests_of(self, story, scenario):
        """Each method of the story's own class that is named `test_...` as a test. One that fails is told; the next may still hold."""
        for name in [name for name in vars(type(story)) if name.startswith("test_")]:
            with contextlib.suppress(Failure), self.test(f"{scenario}: {name.removeprefix('test_').replace('_', ' ')}"):
                getattr(story, name)()

    def skip(self, name, why):
        with self._lock:
            self.skipped += 1
            print(f"SKIPPED  {name}: {why}", flush=True)

    def not_reached(self, names):
        for name in names:
            self._fail(name, "(not reached)")

    def say(self, text):
        """A line that is no test's, whole beside those of others."""
        with self._lock:
            print(text, flush=True)

    def _fail(self, name, how):
        with self._lock:
            self.failed += 1
            self.failed_names.append(name)
            print(f"FAILED   {name} {how}", flush=True)

    def close(self):
        """Prints the closing lines and says whether all is well."""
        if self.failed_names:
            print("\nfailed:\n  " + "\n  ".join(self.failed_names))
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"\n{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return self.failed == 0 and self.passed > 0
