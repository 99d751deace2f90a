"""Counts tests and prints one line for each; knows nothing of brokers and clients."""

import contextlib
import time
import traceback


class Failure(Exception):
    """A promise that did not hold, in words."""


class Report:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.failed_names = []

    @contextlib.contextmanager
    def test(self, name):
        """One test: passes unless its body raises. A failure is told, and then raised on as `Failure`."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            self.failed += 1
            self.failed_names.append(name)
            told = str(error) if isinstance(error, Failure) else traceback.format_exc()
            self._line("FAILED", name, began)
            print("    " + told.strip().replace("\n", "\n    "), flush=True)
            raise Failure(name) from error
        self.passed += 1
        self._line("ok", name, began)

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIPPED  {name}: {why}", flush=True)

    def not_reached(self, names):
        for name in names:
            self.failed += 1
            self.failed_names.append(name)
            print(f"FAILED   {name} (not reached)", flush=True)

    def _line(self, outcome, name, began):
        print(f"{outcome:<8} {name} ({time.monotonic() - began:.1f} s)", flush=True)

    def close(self):
        """Prints the closing lines and says whether all is well."""
        if self.failed_names:
            print("\nfailed:\n  " + "\n  ".join(self.failed_names))
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"\n{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return self.failed == 0 and self.passed > 0
