# SPDX-License-Identifier: Apache-2.0
"""A child that is stopped in mid-run is found, killed and started again; none is blamed for a stop
of `attnrl train` itself.
"""

import os
import re
import signal
import time

from framework import SMALL, Scenario, main, process_stat, wait_until

LONG = {"run.steps": 12}


class Frozen(Scenario):
    def freeze(self, pid):
        os.kill(pid, signal.SIGSTOP)
        wait_until("the child to stand still", lambda: process_stat(pid)[0] == "T", 10)

    def test_a_stopped_learner_and_a_stopped_worker_are_started_again(self):
        run = self.start("frozen", SMALL, LONG)
        run.wait_for_step(0)
        stopped = {role: run.service(role) for role in ("learner", "rollout-worker")}
        for pid in stopped.values():
            self.freeze(pid)
        self.assertLess(len(run.lines()), 12, "it had ended before the fault")
        stderr = run.wait(240)
        for name in ("learner", "worker-0"):
            self.assertIn(f"{name} is frozen: for 30 s it has neither answered a health", stderr)
            self.assertRegex(stderr, name + r" ended \(killed by signal 9 \(Killed\)\), last words")
            self.assertIn(f"{name} started again", stderr)
        self.assertEqual(len(re.findall(" is frozen", stderr)), 2, stderr)
        self.check_records(run, 12)
        said = (run.dir / "logs/branch-scheduler.log").read_text()
        self.assertIn("nothing has moved", said)

    def test_children_get_a_fresh_deadline_after_attnrl_train_was_stopped(self):
        run = self.start("stopped", SMALL, LONG)
        run.wait_for_step(0)
        worker = run.service("rollout-worker")
        self.freeze(run.pid)
        self.freeze(worker)
        time.sleep(32)  # longer than any child may be silent
        os.kill(run.pid, signal.SIGCONT)
        time.sleep(2)  # it looks at its children four times
        os.kill(worker, signal.SIGCONT)
        stderr = run.wait(240)
        self.assertNotIn("is frozen", stderr)
        self.assertNotIn("started again", stderr)
        self.check_records(run, 12)


if __name__ == "__main__":
    main()
