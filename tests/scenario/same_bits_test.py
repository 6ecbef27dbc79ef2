# SPDX-License-Identifier: Apache-2.0
"""With rollout.deterministic the final weights have the same bits for any number of workers and
through any kill.
"""

import os
import signal

from framework import EXACT, GROUPS, ROLES, SMALL, Scenario, main

STEPS = 6
LONG = {"run.steps": STEPS}


def verdicts_of(run):
    """What was made of the responses, a dictionary a step."""
    return [line["verdicts"] for line in run.lines()]


def responses_of(run):
    return [response for row in run.trees() for response in row["responses"]]


class SameBits(Scenario):
    def kill_each_service_once(self, run):
        """Kills one service after each step, the learner between two checkpoints."""
        for step, role in enumerate(ROLES):
            run.wait_for_step(step)
            os.kill(run.service(role), signal.SIGKILL)
        run.wait(300)

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

    def test_groups_without_continuations(self):
        base = (SMALL, EXACT, GROUPS, LONG)
        one = self.finish("one", *base)
        killed = self.start("killed", *base, workers=2)
        self.kill_each_service_once(killed)
        self.check_run(killed, one, "each service killed once")


if __name__ == "__main__":
    main()
