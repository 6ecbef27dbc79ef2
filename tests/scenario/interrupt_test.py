# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C gives work back, says how to resume, and leaves nothing running; the resumed run has the
same bits.
"""

import os
import signal

from framework import EXACT, SMALL, Scenario, children, main, still_running, wait_until


class Interrupt(Scenario):
    def started(self, name, *maps):
        """A run in its second step, and the process ids of its services."""
        run = self.start(name, SMALL, *maps)
        run.wait_for_step(0)
        return run, [pid for pid, _ in children(run.pid)]

    def check_signal(self, signal_number, name):
        """Signals a run, which must end in order before its last step."""
        run, pids = self.started(name, EXACT)
        self.assertEqual(len(pids), 4)
        os.kill(run.pid, signal_number)
        said = run.wait(90, code=130)
        self.assertIn("--resume", said + run.out.read_text())
        self.assertEqual(still_running(pids), [], "services outlived attnrl train")
        self.assertLess(len(run.lines()), 4, "it had ended before the signal")

    def test_ctrl_c_and_resume(self):
        self.check_signal(signal.SIGINT, "interrupted")
        resumed = self.finish("interrupted", SMALL, EXACT, resume=True)
        self.check_records(resumed, 4)
        whole = self.finish("whole", SMALL, EXACT)
        self.assertEqual(resumed.digest(4), whole.digest(4))

    def test_a_second_ctrl_c_stops_at_once(self):
        run, pids = self.started("twice")
        os.kill(run.pid, signal.SIGINT)
        os.kill(run.pid, signal.SIGINT)
        run.wait(20, code=130)
        wait_until("the services to be gone", lambda: not still_running(pids), 5)

    def test_sigterm_is_as_good(self):
        self.check_signal(signal.SIGTERM, "terminated")

    def test_services_die_with_attnrl_train(self):
        run, pids = self.started("orphans")
        graders = [grader for pid in pids for grader, _ in children(pid)]
        os.kill(run.pid, signal.SIGKILL)
        run.process.wait()
        family = pids + graders
        wait_until(
            "the services to be gone",
            lambda: not still_running(family),
            10,
            lambda: f"left: {still_running(family)}",
        )


if __name__ == "__main__":
    main()
