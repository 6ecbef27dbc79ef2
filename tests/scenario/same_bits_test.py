# SPDX-License-Identifier: Apache-2.0
"""With rollout.deterministic the final weights have the same bits for any number of workers and
through any kill.
"""

import contextlib
import json
import os
import signal
import sqlite3
import time

from framework import EXACT, GROUPS, ROLES, SMALL, Scenario, main, process_stat, wait_until

STEPS = 6
LONG = {"run.steps": STEPS}


def verdicts_of(run):
    """What was made of the responses, a dictionary a step."""
    return [line["verdicts"] for line in run.lines()]


def newest_version(run):
    """The number of the newest weights that are published."""
    published = json.loads((run.dir / "weights/published.json").read_text())
    return max(version["number"] for version in published["versions"])


def commits(run):
    """How many batches are committed; that of batch b comes behind version b + 1."""
    with contextlib.closing(sqlite3.connect(run.dir / "scheduler.db", timeout=30)) as database:
        return database.execute("SELECT count(*) FROM commits").fetchone()[0]


def responses_of(run):
    return [response for row in run.trees() for response in row["responses"]]


class SameBits(Scenario):
    def kill_each_service_once(self, run):
        """Kills one service after each step, the learner between two checkpoints."""
        for step, role in enumerate(ROLES):
            run.wait_for_step(step)
            os.kill(run.service(role), signal.SIGKILL)
        run.wait(300)

    def stop_before_a_commit(self, run):
        """Stops the branch-scheduler when the learner trains, until the version is published that
        comes of it; its commit is answered by nobody.
        """
        learner, scheduler = run.service("learner"), run.service("branch-scheduler")

        def published():
            before = process_stat(learner)[11]  # user time
            time.sleep(0.1)
            if process_stat(learner)[11] == before:
                return False  # it waits for a batch
            os.kill(scheduler, signal.SIGSTOP)
            wait_until("the scheduler to stand still",
                       lambda: process_stat(scheduler)[0] == "T", 10)  # fmt: skip
            done, deadline = commits(run), time.monotonic() + 3
            while newest_version(run) == done and time.monotonic() < deadline:
                time.sleep(0.02)
            if newest_version(run) > done:
                return True
            os.kill(scheduler, signal.SIGCONT)
            return False

        wait_until("a version without its commit", published, 120, run.about)

    def check_run(self, run, whole, what):
        """A run has the weights and the verdicts of one that nobody disturbed."""
        self.assertEqual(run.digest(STEPS), whole.digest(STEPS), what)
        self.assertEqual(verdicts_of(run), verdicts_of(whole), what)
        self.check_records(run, STEPS)

    def test_one_worker_two_workers_and_every_kill(self):
        base = (SMALL, EXACT, LONG)
        one = self.finish("one", *base)
        self.check_records(one, STEPS)
        self.assertNotEqual(one.digest(STEPS), one.digest(0), "nothing was trained")
        right = sum(verdicts["correct"] for verdicts in verdicts_of(one))
        self.assertGreater(right, 0, "nothing was right")
        branched = any(response["branches"] for response in responses_of(one))
        self.assertTrue(branched, "no continuation was sampled")

        two = self.finish("two", *base, workers=2)
        self.check_run(two, one, "two workers")
        workers = {response["worker"] for response in responses_of(two)}
        self.assertEqual(len(workers), 2, "only one worker sampled")

        killed = self.start("killed", *base, workers=2)
        self.kill_each_service_once(killed)
        self.check_run(killed, one, "each service killed once")

        stopped = self.start("resumed", *base, workers=2)
        stopped.wait_for_step(2)
        stopped.kill_everything()
        self.assertLess(len(stopped.lines()), STEPS, "it had ended before the kill")
        resumed = self.finish("resumed", *base, workers=2, resume=True)
        self.check_run(resumed, one, "everything killed, then resumed")

        between = self.start("between", *base)
        between.wait_for_step(1)
        self.stop_before_a_commit(between)
        between.kill_everything()
        self.assertEqual(newest_version(between), commits(between) + 1, "the commit got through")
        self.assertLess(commits(between), STEPS)
        resumed = self.finish("between", *base, resume=True)
        self.check_run(resumed, one, "killed between a version and its commit, then resumed")

    def test_groups_without_continuations(self):
        base = (SMALL, EXACT, GROUPS, LONG)
        one = self.finish("one", *base)
        killed = self.start("killed", *base, workers=2)
        self.kill_each_service_once(killed)
        self.check_run(killed, one, "each service killed once")


if __name__ == "__main__":
    main()
