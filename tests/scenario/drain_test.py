# SPDX-License-Identifier: Apache-2.0
"""`attnrl drain` ends a local run in order: exit 0, nothing left running, and the resumed run is
whole.
"""

import json
import os
import signal

from framework import SMALL, Scenario, children, main, still_running

# The run must still be going when a command that was started after its first step gets through.
STEPS = 16
LONG = {"run.steps": STEPS}


class Drain(Scenario):
    def test_drain_ends_the_run_which_goes_on_with_resume(self):
        run = self.start("drained", SMALL, LONG)
        run.wait_for_step(0)
        pids = [pid for pid, _ in children(run.pid)]
        # A worker that stands still holds its leases until the grace is over.
        worker = run.service("rollout-worker")
        os.kill(worker, signal.SIGSTOP)
        drain = self.tool(
            "drain", "--scheduler", run.dir, "--grace-seconds", 2, "--watch", "--json"
        )
        os.kill(worker, signal.SIGCONT)
        *states, end = map(json.loads, drain.stdout.splitlines())
        self.assertIn("returned_leases", end)
        self.assertIn("draining", [line["state"] for line in states])
        self.assertRegex(run.wait(60), r"drained; go on with: \S*attnrl train ")
        self.assertEqual(still_running(pids), [], "services outlived attnrl train")
        self.assertLess(len(run.lines()), STEPS, "it had ended before the drain")

        resumed = self.finish("drained", SMALL, LONG, resume=True)
        self.check_records(resumed, STEPS)


if __name__ == "__main__":
    main()
