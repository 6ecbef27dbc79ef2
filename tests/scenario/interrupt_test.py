# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C gives work back, says how to resume, and leaves nothing running; the resumed run has the same bits."""
import os, signal

from framework import EXACT, SMALL, Scenario, children, main, still_running, wait_until


class Interrupt(Scenario):
    def interrupted(self, signal_number, name):
        run = self.start(name, SMALL, EXACT)
        run.wait_for_step(0)
        pids = [pid for pid, _ in children(run.pid)]
        self.assertEqual(len(pids), 4)
        os.kill(run.pid, signal_number)
        said = run.wait(90, code=130)
        self.assertIn("--resume", said + run.out.read_text())
        self.assertEqual(still_running(pids), [], "services outlived attnrl train")
        self.assertLess(len(run.lines()), 4, "it had ended before the signal")
        return run

    def test_ctrl_c_and_resume(self):
        run = self.interrupted(signal.SIGINT, "interrupted")
        resumed = self.finish("interrupted", SMALL, EXACT, resume=True)
        self.check_records(resumed, 4)
        self.assertEqual(resumed.digest(4), self.finish("whole", SMALL, EXACT).digest(4))

    def test_a_second_ctrl_c_stops_at_once(self):
        run = self.start("twice", SMALL)
        run.wait_for_step(0)
        pids = [pid for pid, _ in children(run.pid)]
        os.kill(run.pid, signal.SIGINT)
        os.kill(run.pid, signal.SIGINT)
        run.wait(20, code=130)
        wait_until("the services to be gone", lambda: not still_running(pids), 5)

    def test_sigterm_is_as_good(self):
        self.interrupted(signal.SIGTERM, "terminated")

    def test_services_die_with_attnrl_train(self):
        run = self.start("orphans", SMALL)
        run.wait_for_step(0)
        pids = [pid for pid, _ in children(run.pid)]
        graders = [child for pid in pids for child, name in children(pid)]
        os.kill(run.pid, signal.SIGKILL)
        run.process.wait()
        wait_until("the services to be gone", lambda: not still_running(pids + graders), 10, lambda: f"left: {still_running(pids + graders)}")


if __name__ == "__main__": main()
