#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks the product's code in small ways and counts how many of them the unit tests notice.

  tests/mutation/mutate.py [FOLDER...] [--count 200] [--seed 1] [--build build] [--list]

A mutant is one small change of one .cc file: an operator, a constant, a condition, a statement or
a return value. --count of them are drawn from all that FOLDER offers; the same seed draws the same
ones from the same sources. Each is compiled by itself, linked into the tests that cover its folder
in place of the file that it was made from, and those are run, the nearest first, until one fails.
Prints a line a mutant, those that nobody noticed, and a Markdown table; exits with 0 whatever was
found, and with 1 where the unchanged code doesn't pass its tests.

Needs a folder in which the tests were built (tools/build), which is only read: everything is
copied into a temporary folder first, and the sources are never touched. About half an hour for 200
mutants on one core.
"""

import argparse
import collections
import dataclasses
import json
import math
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mutants import candidates

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["common/tree", "services/branch_scheduler/decide", "services/branch_scheduler/run"]
# The tests that cover a folder and what lies below it, the fastest and nearest first; the longest
# prefix counts.
TESTS = {
    "common/pipeline": ["common_pipeline_test", "branch_scheduler_run_test"],
    "common/tree": [
        "common_tree_test",
        "branch_scheduler_decide_test",
        "branch_scheduler_run_test",
    ],
    "common/tree/criteria": ["common_tree_criteria_test", "branch_scheduler_decide_test"],
    "services/branch_scheduler": ["branch_scheduler_core_test"],
    "services/branch_scheduler/convert": ["branch_scheduler_convert_test"],
    "services/branch_scheduler/decide": [
        "branch_scheduler_decide_test",
        "branch_scheduler_records_test",
        "branch_scheduler_run_test",
        "branch_scheduler_core_test",
    ],
    "services/branch_scheduler/records": [
        "branch_scheduler_records_test",
        "branch_scheduler_run_test",
        "branch_scheduler_core_test",
    ],
    "services/branch_scheduler/run": ["branch_scheduler_run_test", "branch_scheduler_core_test"],
    "services/branch_scheduler/store": [
        "branch_scheduler_store_test",
        "branch_scheduler_run_test",
        "branch_scheduler_core_test",
    ],
    "services/branch_scheduler/work": ["branch_scheduler_work_test", "branch_scheduler_core_test"],
}
# A test that takes so many times the processor time of the unchanged code is taken to hang; wall
# time says little on a busy machine, and is the limit only for what waits.
PATIENCE = 6
LEAST_SECONDS = 10
LONGEST_WAIT = 600
MEMORY = 4 << 30  # of a test: a mutant may allocate without end


@dataclasses.dataclass
class Test:
    """A test binary: how it is linked, and the processor time that it takes."""

    name: str
    link: list[str]
    seconds: float = math.inf  # not measured yet


class Harness:
    """Compiles, links and runs in a temporary folder of its own."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        entries = json.loads((build / "compile_commands.json").read_text())
        self.compile = {pathlib.Path(entry["file"]): entry for entry in entries}
        self.tests = {}

    def prepare(self, name):
        """Copies what the test is linked from, so that a build meanwhile changes nothing."""
        if name in self.tests:
            return
        ninja = ["ninja", "-C", str(self.build), "-t", "commands", name]
        commands = subprocess.run(ninja, check=True, capture_output=True, text=True).stdout
        words = shlex.split(commands.strip().splitlines()[-1])
        link = []
        for word in words[words.index("&&") + 1 : words.index("&&", 2)]:
            source = self.build / word
            if word.endswith((".a", ".o")) and source.is_file():
                copy = self.folder / "inputs" / word.lstrip("/").replace("/", "+")
                copy.parent.mkdir(exist_ok=True)
                if not copy.exists():
                    shutil.copyfile(source, copy)
                word = str(copy)
            link.append(word)
        link[link.index("-o") + 1] = str(self.folder / name)
        self.tests[name] = Test(name, link)

    def object(self, source, text):
        """The object file of `text` in place of the source; None where it doesn't compile."""
        entry = self.compile[ROOT / source]
        scratch = self.folder / pathlib.Path(source).name
        scratch.write_text(text)
        result = self.folder / "mutant.o"
        command = []
        words = iter(shlex.split(entry["command"]))
        for word in words:
            if word == "-include":  # a precompiled header, made with other options
                next(words)
            elif not word.startswith(("-W", "-O", "-g")) and word != "-fpch-preprocess":
                command.append({str(ROOT / source): str(scratch)}.get(word, word))
        command[command.index("-o") + 1] = str(result)
        command[1:1] = ["-O0", "-w"]
        done = subprocess.run(command, cwd=entry["directory"], capture_output=True, check=False)
        return result if done.returncode == 0 else None

    @staticmethod
    def environment(places):
        """Of a test; without the data that may lie beside the repository, as if it were alone."""
        return {"TEST_TMPDIR": f"{places}/", "ATTNRL_SHARED": str(places), "PATH": "/usr/bin:/bin"}

    def run(self, name, mutant):
        """Links the test with the object and runs it: who noticed, "" where nobody did."""
        test = self.tests[name]
        seconds = min(LONGEST_WAIT, max(LEAST_SECONDS, PATIENCE * test.seconds))
        # Before the libraries: what it defines is then not taken from them.
        link = list(test.link)
        link.insert(link.index("-o"), str(mutant))
        subprocess.run(link, cwd=self.build, check=True)
        places = self.folder / "places"
        places.mkdir()
        command = [str(self.folder / name), "--gtest_fail_fast", "--gtest_color=no"]
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self.environment(places),
                timeout=LONGEST_WAIT,
                preexec_fn=lambda: limit(math.ceil(seconds)),
                check=False,
            )
            output, returncode = done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            output, returncode = late.stdout or b"", -signal.SIGXCPU
        finally:
            shutil.rmtree(places)
        if returncode == 0:
            return ""
        text = output.decode(errors="replace")
        failed = re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)", text, re.MULTILINE)
        begun = re.findall(r"^\[ RUN      \] (\S+)", text, re.MULTILINE)
        hangs = returncode in (-signal.SIGXCPU, -signal.SIGKILL)
        how = "" if failed else " (hangs)" if hangs else " (crashes)"
        return (failed or begun[-1:] or [name])[0] + how


def limit(seconds):
    """In the test's process, before it begins."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def tests_of(source):
    prefixes = [folder for folder in TESTS if source.startswith(folder + "/")]
    return TESTS[max(prefixes, key=len)]


def sources_of(folders):
    """The sources below the folders, without tests and what only they use."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.cc")):
            source = str(path.relative_to(ROOT))
            if not source.endswith("_test.cc") and "/testing/" not in source:
                yield source


def check_unchanged(harness, texts):
    """Measures the tests; exits where one fails with the unchanged code."""
    for source, text in texts.items():
        for name in tests_of(source):
            if name in harness.tests:
                continue
            harness.prepare(name)
            unchanged = harness.object(source, text)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            noticed = harness.run(name, unchanged)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            harness.tests[name].seconds = after.ru_utime - before.ru_utime
            if noticed:
                sys.exit(f"error: {name} fails with the unchanged code: {noticed}")


def try_mutant(harness, mutant, text):
    """Who noticed it; "" where nobody did; None where it doesn't compile."""
    changed = text[: mutant.begin] + mutant.replacement + text[mutant.end :]
    compiled = harness.object(mutant.source, changed)
    if compiled is None:
        return None
    for name in tests_of(mutant.source):
        if noticed := harness.run(name, compiled):
            return noticed
    return ""


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def report(results):
    """The survivors, and a table by folder and by kind."""
    survivors = [mutant for mutant, noticed in results if noticed == ""]
    print(f"\n{len(survivors)} survived:")
    for mutant in survivors:
        print(f"  {mutant}")
    for title, key in (
        ("folder", lambda mutant: str(pathlib.Path(mutant.source).parent)),
        ("kind", lambda mutant: mutant.kind),
    ):
        counts = collections.defaultdict(collections.Counter)
        for mutant, noticed in results:
            end = "broken" if noticed is None else "killed" if noticed else "survived"
            counts[key(mutant)][end] += 1
            counts["**all**"][end] += 1
        print(f"\n| {title} | mutants | killed | survived | killed of all | not compilable |")
        print("|---|---|---|---|---|---|")
        for name in sorted(counts, key=lambda name: (name == "**all**", name)):
            killed, survived = counts[name]["killed"], counts[name]["survived"]
            share = percent(killed, killed + survived)
            row = [name, killed + survived, killed, survived, share, counts[name]["broken"]]
            print("| " + " | ".join(map(str, row)) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER", default=FOLDERS)
    parser.add_argument("--count", type=int, default=200, help="mutants that compile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--list", action="store_true", help="only say what would be tried")
    arguments = parser.parse_args()

    texts = {source: (ROOT / source).read_text() for source in sources_of(arguments.folders)}
    drawn = []
    for source, text in texts.items():
        drawn += candidates(source, text, arguments.seed)
    random.Random(arguments.seed).shuffle(drawn)
    if arguments.list:
        print("\n".join(map(str, drawn[: arguments.count])))
        print(f"{len(drawn)} candidates in {len(texts)} files")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the folder goes with it
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attnrl-mutation-") as folder:
        harness = Harness(arguments.build.resolve(), pathlib.Path(folder))
        check_unchanged(harness, texts)
        results = []
        compiled = 0
        for mutant in drawn:
            if compiled == arguments.count:
                break
            noticed = try_mutant(harness, mutant, texts[mutant.source])
            compiled += noticed is not None
            results.append((mutant, noticed))
            end = "not compilable" if noticed is None else noticed or "SURVIVED"
            print(f"{compiled:4} {mutant}: {end}", flush=True)
    report(results)
    print(f"\nseed {arguments.seed}, {(time.monotonic() - start) / 60:.0f} min")


if __name__ == "__main__":
    main()
