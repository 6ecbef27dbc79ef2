# SPDX-License-Identifier: Apache-2.0
"""With rollout.deterministic the final weights have the same bits for any number of workers and through any kill."""
import os, signal

from framework import EXACT, GROUPS, ROLES, SMALL, Scenario, main

STEPS = 6
LONG = {"run.steps": STEPS}


class SameBits(Scenario):
    def kill_each_service_once(self, run):
        for step, role in enumerate(ROLES):  # the learner between two checkpoints
            run.wait_for_step(step)
            os.kill(run.service(role), signal.SIGKILL)
        run.wait(300)

    def test_one_worker_two_workers_and_every_kill(self):
        base = (SMALL, EXACT, LONG)
        one = self.finish("one", *base)
        want = one.digest(STEPS)
        self.check_records(one, STEPS)
        self.assertNotEqual(want, one.digest(0), "nothing was trained")
        self.assertTrue(any(r["branches"] for row in one.trees() for r in row["responses"]), "no continuation was sampled")

        two = self.finish("two", *base, workers=2)
        self.assertEqual(two.digest(STEPS), want, "two workers")
        workers = {r["worker"] for row in two.trees() for r in row["responses"]}
        self.assertEqual(len(workers), 2, "only one worker sampled")

        killed = self.start("killed", *base, workers=2)
        self.kill_each_service_once(killed)
        self.assertEqual(killed.digest(STEPS), want, "each service killed once")
        self.check_records(killed, STEPS)

        self.start("resumed", *base, workers=2).wait_for_step(2)
        self.runs[-1].kill_everything()
        self.assertLess(len(self.runs[-1].lines()), STEPS, "it had ended before the kill")
        resumed = self.finish("resumed", *base, workers=2, resume=True)
        self.assertEqual(resumed.digest(STEPS), want, "everything killed, then resumed")
        self.check_records(resumed, STEPS)

    def test_groups_without_continuations(self):
        base = (SMALL, EXACT, GROUPS, LONG)
        one = self.finish("one", *base)
        want = one.digest(STEPS)
        killed = self.start("killed", *base, workers=2)
        self.kill_each_service_once(killed)
        self.assertEqual(killed.digest(STEPS), want)
        self.check_records(killed, STEPS)


if __name__ == "__main__": main()
