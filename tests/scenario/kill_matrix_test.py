# SPDX-License-Identifier: Apache-2.0
"""Short runs, one after the other, in which processes of every role are killed with -9 at random
moments. Each run has to end with the bits of one that nobody disturbed, and with each result once.

    python3 tests/scenario/kill_matrix_test.py [--seconds 180] [--seed N] [--kills N]

Every run prints its seed, from which its kills and the pauses between them are drawn. Ends after so
many seconds (by default ATTNRL_KILL_SECONDS, else 180), or so many kills if that is sooner. What is
left of a run that failed stays, and its folder is printed.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

from framework import EXACT, GROUPS, ROLES, SMALL, Run, read_lines, still_running, wait_until

STEPS = 6
WORKERS = 2
# `attnrl train` itself; its services die with it.
TRAIN = "train"
# What runs are like, in turn.
KINDS = {
    "attnrl, overlapped": {},
    "grpo, overlapped": GROUPS,
    "attnrl, sequential": {"pipeline.mode": "sequential"},
    "attnrl, on policy": {"pipeline.mode": "on_policy"},
}
# Between two steps: `attnrl train` gives a child up that dies five times without one, and a run in
# which everything dies before it has started gets nowhere.
MOST_DEATHS = 3
MOST_TRAIN_DEATHS = 2
MOST_KILLS_A_STEP = 8
RUN_SECONDS = 1200


class Broken(Exception):
    """A run that did not keep what is promised."""


def work_of(run):
    """How often each piece of work is in the records."""
    events = read_lines(run.dir / "events.jsonl")
    return collections.Counter((line["kind"], line["batch"], line["item"]) for line in events)


def verdicts_of(run):
    return [line["verdicts"] for line in run.lines()]


def compare(run, whole):
    """Results that are missing and results that count more than once; Broken for other bits."""
    work, expected = work_of(run), work_of(whole)
    # A kill may make the learner train a batch twice; what is sampled or graded counts once.
    results = {key for key in expected if key[0] in ("initial", "continuation", "grade")}
    lost = sum(1 for key in results if work[key] == 0)
    doubled = sum(count - 1 for key, count in work.items() if key in results and count > 1)
    foreign = [key for key in work if key[2] is not None and key not in results]
    if lost or doubled or foreign:
        raise Broken(f"{lost} results lost, {doubled} doubled, {len(foreign)} unknown")
    if [line["step"] for line in run.lines()] != list(range(STEPS)):
        raise Broken("not one line a step")
    if verdicts_of(run) != verdicts_of(whole):
        raise Broken("other verdicts")
    if run.digest(STEPS) != whole.digest(STEPS):
        raise Broken("other bits")


class Matrix:
    def __init__(self, folder, end, most_kills):
        self.folder = folder
        self.end = end
        self.most_kills = most_kills
        self.kills = collections.Counter()
        self.whole = {}

    def over(self):
        return time.monotonic() > self.end or self.kills.total() >= self.most_kills

    def start(self, name, kind):
        """A new run, or the one in the folder of that name, resumed."""
        resume = (self.folder / name / "config.yaml").exists()
        maps = (SMALL, EXACT, {"run.steps": STEPS}, KINDS[kind])
        return Run(self.folder, name, *maps, workers=WORKERS, resume=resume)

    def undisturbed(self, kind):
        if kind not in self.whole:
            run = self.start(f"whole-{len(self.whole)}", kind)
            run.wait(RUN_SECONDS)
            self.whole[kind] = run
        return self.whole[kind]

    def kill_one(self, run, dice, deaths):
        """Kills a process of a role; returns the role, or None where it isn't there just now."""
        role = dice.choice([*ROLES, TRAIN])
        most = MOST_TRAIN_DEATHS if role == TRAIN else MOST_DEATHS
        if deaths[role] >= most or deaths.total() >= MOST_KILLS_A_STEP:
            return None
        if role == TRAIN:
            pids = [run.pid, *run.services()]
            os.kill(run.pid, signal.SIGKILL)
            run.process.wait()
            wait_until("the services to be gone", lambda: not still_running(pids), 20)
            return role
        found = run.services(role)
        if not found:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(found), signal.SIGKILL)
        return role

    def disturbed(self, name, kind, seed):
        """A run that is killed at until it has ended; returns it and the kills."""
        dice = random.Random(seed)
        run = self.start(name, kind)
        kills, deaths, steps = collections.Counter(), collections.Counter(), 0
        deadline = time.monotonic() + RUN_SECONDS
        try:
            while run.process.poll() is None:
                with contextlib.suppress(TimeoutError):
                    run.process_ends(dice.uniform(0.1, 3))
                    break
                if time.monotonic() > deadline:
                    raise Broken(f"not at its end after {RUN_SECONDS} s; {run.about()}")
                if len(run.lines()) > steps:
                    steps = len(run.lines())
                    deaths.clear()
                role = self.kill_one(run, dice, deaths)
                if role is None:
                    continue
                kills[role] += 1
                deaths[role] += 1
                if role == TRAIN:
                    run = self.start(name, kind)
            if run.process.returncode != 0:
                raise Broken(f"exit code {run.process.returncode}; {run.about()}")
        finally:
            if run.process.poll() is None:
                run.kill_everything()
            self.kills += kills
        return run, kills

    def run_one(self, number, seed):
        """True where the run kept its promises."""
        kind = list(KINDS)[number % len(KINDS)]
        name = f"killed-{number}"
        try:
            whole = self.undisturbed(kind)
            run, kills = self.disturbed(name, kind, seed)
            compare(run, whole)
        except (Broken, AssertionError) as error:
            kept = pathlib.Path(tempfile.mkdtemp(prefix=f"attnrl-kill-{seed}-"))
            if (self.folder / name).exists():
                shutil.move(self.folder / name, kept)
            print(f"run {number}, seed {seed} ({kind}): {error}; it is kept in {kept}", flush=True)
            return False
        done = ", ".join(f"{count} {role}" for role, count in sorted(kills.items()))
        print(f"run {number}, seed {seed} ({kind}): {kills.total()} kills ({done})", flush=True)
        shutil.rmtree(run.dir)
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    seconds = float(os.environ.get("ATTNRL_KILL_SECONDS", "180"))
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6) * 1000)
    parser.add_argument("--kills", type=int, default=10**9)
    options = parser.parse_args()
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix="attnrl-scenario-") as folder:
        end = time.monotonic() + options.seconds
        matrix = Matrix(pathlib.Path(folder), end, options.kills)
        while not matrix.over():
            failed += not matrix.run_one(number, options.seed + number)
            number += 1
    kills = matrix.kills
    roles = ", ".join(f"{kills[role]} {role}" for role in (*ROLES, TRAIN))
    end = "0 lost, 0 doubled, same bits" if failed == 0 else f"{failed} runs broke a promise"
    print(f"{kills.total()} kills of all roles ({roles}) in {number} runs: {end}")
    sys.exit(1 if failed or kills.total() == 0 else 0)


if __name__ == "__main__":
    main()
