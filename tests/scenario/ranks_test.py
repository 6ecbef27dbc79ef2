# SPDX-License-Identifier: Apache-2.0
"""A learner of several ranks trains the same bits as one process with learner.deterministic, also
when ranks are killed, stand still or are told to end: the others end within the deadline, all start
again.
"""

import os
import pathlib
import signal

from framework import EXACT, SMALL, Scenario, children, main, read_lines, wait_until

STEPS = 6
BASE = (SMALL, EXACT, {"run.steps": STEPS, "learner.deterministic": "true"})
TWO = {"learner.ranks": 2, "learner.rank_timeout_seconds": 8}


def rank(run, name, seconds=60):
    """The process id of the learner's rank of this name, as soon as there is one."""

    def started():
        return [
            pid
            for pid, _ in children(run.pid)
            if name.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ]

    return wait_until(f"a child {name}", started, seconds, run.about)[0]


def messages(run, name):
    return [line["message"] for line in read_lines(run.dir / f"logs/{name}.log")]


class Ranks(Scenario):
    def test_two_ranks_through_kills_and_a_freeze_end_with_the_bits_of_one(self):
        one = self.finish("one", *BASE)
        self.assertNotEqual(one.digest(STEPS), one.digest(0), "nothing was trained")
        four = self.finish("four", *BASE, {"learner.ranks": 4})
        self.assertEqual(four.digest(STEPS), one.digest(STEPS), "four ranks")

        two = self.start("two", *BASE, TWO)
        two.wait_for_step(0)
        os.kill(rank(two, "learner-rank-1"), signal.SIGKILL)
        two.wait_for_step(1)
        os.kill(rank(two, "learner"), signal.SIGKILL)
        two.wait_for_step(2)
        os.kill(rank(two, "learner-rank-1"), signal.SIGSTOP)
        two.wait_for_step(3)
        os.kill(rank(two, "learner-rank-1"), signal.SIGTERM)
        two.wait(300)
        self.assertEqual(two.digest(STEPS), one.digest(STEPS), "ranks killed, frozen and drained")
        ends = [
            line["fields"]["status"]
            for line in read_lines(two.dir / "logs/learner-rank-1.log")
            if line["message"] == "the service ends"
        ]
        self.assertTrue(any("told to end" in status for status in ends), ends)
        self.check_records(two, STEPS)
        joined = messages(two, "learner").count("all ranks have joined")
        self.assertGreaterEqual(joined, 5, "a rank that failed was not missed")

    def test_a_run_goes_on_with_another_number_of_ranks(self):
        one = self.finish("one", *BASE)
        stopped = self.start("stopped", *BASE, TWO)
        stopped.wait_for_step(2)
        stopped.kill_everything()
        resumed = self.finish("stopped", *BASE, resume=True)
        self.assertEqual(resumed.digest(STEPS), one.digest(STEPS))
        self.check_records(resumed, STEPS)


if __name__ == "__main__":
    main()
