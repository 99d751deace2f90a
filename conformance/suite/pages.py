"""Follows a page of docs/ as it stands: each `$ command` of it, and what it prints held against what the page shows. `…`
stands for anything; blanks count as one. What happened before the page begins stands in `<!-- before ... -->`."""

import re
import subprocess

from .report import Failure


def follow(page, environment):
    text = page.read_text()
    before = re.search(r"<!-- before\n(.*?)-->", text, re.DOTALL)
    for line in before[1].splitlines() if before else []:
        run(line, environment)
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    commands = 0
    changes = []
    for block in blocks:
        printed = []
        for line in map(str.strip, block.splitlines()):
            if line.startswith("$ "):
                commands += 1
                # The page has its own ids; here they are what the commands before have printed.
                command = line[2:].replace("17-4811", changes[-1] if changes else "17-4811")
                printed = [squeezed(line) for line in run(command, environment).splitlines()]
                changes += [word for line in printed for word in re.findall(r"(?<![\d-])\d+-\d+(?![\d-])", line)]
            elif line and not any(is_like(squeezed(line), one) for one in printed):
                raise Failure(f"the page shows {line!r}, it printed\n" + "\n".join(printed))
    if commands < 3:
        raise Failure(f"{page} has {commands} commands only")


def run(command, environment):
    done = subprocess.run(["sh", "-ec", command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120)
    if done.returncode != 0:
        raise Failure(f"$ {command}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def squeezed(text):
    return " ".join(text.split())


def is_like(pattern, text):
    parts = re.sub(r"\b17-481\d\b", "…", pattern).split("…")
    return re.fullmatch(".*".join(map(re.escape, parts)), text) is not None
