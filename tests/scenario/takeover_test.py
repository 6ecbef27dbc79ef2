# SPDX-License-Identifier: Apache-2.0
"""A learner that stands still while another one takes its run over: when it goes on, it is refused
by name, and the run ends with the bits that it would have had anyway.
"""

import os
import signal
import time

from cluster import SECTIONS, Services
from framework import (
    EXACT,
    SMALL,
    Scenario,
    free_port,
    main,
    process_stat,
    settings,
    wait_until,
)

STEPS = 8
LONG = {"run.steps": STEPS}


def rests(pid):
    """Whether a process uses no processor for a second."""
    before = process_stat(pid)[11:13]  # utime, stime
    time.sleep(1)
    return process_stat(pid)[11:13] == before


class Takeover(Scenario):
    def setUp(self):
        super().setUp()
        self.services = None

    def tearDown(self):
        if self.services:
            self.services.kill_everything()
        super().tearDown()

    def test_a_learner_that_was_replaced_is_refused_when_it_goes_on(self):
        whole = self.finish("whole", SMALL, EXACT, LONG)
        self.services = services = Services(self.folder, "taken", SMALL, EXACT, LONG)
        services.wait_for_step(0)
        worker = services.processes.pop("rollout-worker 0")
        worker.kill()
        worker.wait()
        older = services.processes.pop("learner")
        self.addCleanup(older.wait)
        self.addCleanup(older.kill)
        # Without a worker it soon waits for a batch, in the middle of no file.
        wait_until("the learner to wait", lambda: rests(older.pid), 60)
        os.kill(older.pid, signal.SIGSTOP)
        wait_until("the learner to stand still", lambda: process_stat(older.pid)[0] == "T", 10)
        self.assertLess(len(services.lines()), STEPS, "it had ended before the fault")

        # As on another machine: another address, and no lock that is held there.
        (services.dir / "learner.lock").unlink()
        services.addresses["learner"] = f"localhost:{free_port()}"
        addresses = {f"{SECTIONS[role]}.address": at for role, at in services.addresses.items()}
        for role in ("learner", "rollout-worker 1"):
            services.start(role, settings(SMALL, EXACT, LONG, addresses))
        newer = services.processes["learner"].pid
        services.wait_for_step(len(services.lines()) + 1)
        taken = len(services.lines())
        self.assertLess(taken, STEPS, "the run had ended before the older learner went on")

        os.kill(older.pid, signal.SIGCONT)
        self.assertEqual(older.wait(60), 2, services.about())
        self.services.wait_for_step(STEPS - 1)
        log = (services.dir / "logs/learner.log").read_text()
        self.assertIn(f"another learner, process {newer} on ", log)
        self.assertIn("has taken over with epoch 2; this one has epoch 1 and must end", log)
        self.check_records(services, STEPS)
        self.assertEqual(services.digest(STEPS), whole.digest(STEPS))
        self.assertEqual(set(services.stop().values()), {0}, services.about())


if __name__ == "__main__":
    main()
