# SPDX-License-Identifier: Apache-2.0
"""A pause and a drain outlive kill -9: of the branch-scheduler, and of the whole run."""

import json
import os
import signal

from framework import SMALL, Scenario, main, wait_until

# The run must still be going when a command that was started after its first step gets through.
STEPS = 16
LONG = {"run.steps": STEPS}


class Pause(Scenario):
    def ask(self, command, run, *flags):
        return json.loads(self.tool(command, "--scheduler", run.dir, "--json", *flags).stdout)

    def state(self, run):
        return self.ask("status", run)["state"]

    def test_a_paused_run_stays_paused_through_a_kill_of_the_scheduler(self):
        run = self.start("paused", SMALL, LONG)
        run.wait_for_step(0)
        said = self.tool("pause", "--scheduler", run.dir, "--reason", "lunch").stdout
        self.assertRegex(said, r"^paused: lunch; workers still have \d+ items?; go on with: ")
        self.assertTrue(said.endswith(f"attnrl resume --scheduler {run.dir}\n"), said)
        os.kill(run.service("branch-scheduler"), signal.SIGKILL)
        wait_until("a new scheduler that has the worker", lambda: self.workers(run), 60, run.about)
        self.assertEqual(self.state(run), "paused")
        steps = len(run.lines())
        self.assertLess(steps, STEPS, "it had ended before the pause")
        table = self.tool("workers", "--scheduler", run.dir).stdout.splitlines()
        self.assertTrue(table[0].startswith("worker "), table)
        self.assertTrue(table[1].startswith("worker-0 "), table)

        self.assertEqual(self.ask("resume", run), {"state": "running", "resumed": True})
        stderr = run.wait(120)
        self.assertIn("the run is paused: lunch; ", stderr)
        self.assertIn("the run goes on", stderr)
        self.check_records(run, STEPS)

    def workers(self, run):
        done = self.tool("workers", "--scheduler", run.dir, "--json", code=None)
        return done.returncode == 0 and json.loads(done.stdout)["workers"]

    def test_a_run_that_is_killed_keeps_its_pause_and_resume_ends_its_drain(self):
        run = self.start("killed", SMALL, LONG)
        run.wait_for_step(0)
        self.ask("pause", run, "--reason", "night")
        os.kill(run.pid, signal.SIGSTOP)  # it would end the run that has drained
        self.ask("drain", run, "--grace-seconds", 0)
        run.kill_everything()
        refused = self.tool("status", "--scheduler", run.dir, code=1)
        self.assertIn("no scheduler answers", refused.stderr)

        again = self.start("killed", SMALL, LONG, resume=True)
        wait_until("the new start", lambda: self.workers(again), 60, again.about)
        self.assertEqual(self.state(again), "paused", "--resume ends a drain and no pause")
        self.ask("resume", again)
        again.wait(120)
        self.check_records(again, STEPS)


if __name__ == "__main__":
    main()
