# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C gives work back, says how to resume, and leaves nothing running; the resumed run has the
same bits. Commands on a model end, and leave files that were whole as they are.
"""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import tempfile
import unittest

from framework import BIN, EXACT, ROOT, SMALL, Scenario, children, main, still_running, wait_until

MODEL = ROOT / "deploy/local/model"

# Passes that a small batch fills, as the estimate of memory takes them to be.
SETTINGS = EXACT | {"learner.max_tokens_per_pass": 1024}


class Interrupt(Scenario):
    def started(self, name, *maps):
        """A run in its second step, and the process ids of its services."""
        run = self.start(name, SMALL, *maps)
        run.wait_for_step(0)
        return run, [pid for pid, _ in children(run.pid)]

    def check_signal(self, signal_number, name):
        """Signals a run, which must end in order before its last step."""
        run, pids = self.started(name, SETTINGS)
        self.assertEqual(len(pids), 4)
        os.kill(run.pid, signal_number)
        said = run.wait(90, code=130)
        self.assertIn("--resume", said + run.out.read_text())
        self.assertEqual(still_running(pids), [], "services outlived attnrl train")
        self.assertLess(len(run.lines()), 4, "it had ended before the signal")

    def test_ctrl_c_and_resume(self):
        self.check_signal(signal.SIGINT, "interrupted")
        resumed = self.finish("interrupted", SMALL, SETTINGS, resume=True)
        self.check_records(resumed, 4)
        whole = self.finish("whole", SMALL, SETTINGS)
        self.assertEqual(resumed.digest(4), whole.digest(4))
        self.check_memory(whole)

    def check_memory(self, run):
        """The memory in use at the end is near what the table at the start estimated."""
        said = run.err.read_text()
        estimated = sum(int(size) for size in re.findall(r" \d+ +(\d+) MB$", said, re.MULTILINE))
        at_end = re.search(r"memory at the end: .*; together ([\d.]+) (MB|GB)", said)
        used = float(at_end[1]) * (1000 if at_end[2] == "GB" else 1)
        self.assertTrue(0.7 < used / estimated < 1.3, f"{used} MB of {estimated} MB. {said}")

    def test_a_second_ctrl_c_stops_at_once(self):
        run, pids = self.started("twice")
        os.kill(run.pid, signal.SIGINT)
        os.kill(run.pid, signal.SIGINT)
        run.wait(20, code=130)
        wait_until("the services to be gone", lambda: not still_running(pids), 5)

    def test_sigterm_is_as_good_and_damaged_checkpoints_are_said_on_the_terminal(self):
        self.check_signal(signal.SIGTERM, "terminated")
        folder = self.folder / "terminated/checkpoints"
        damaged = {int(step.name[5:]) for step in folder.glob("step-*")} - {0}
        self.assertTrue(damaged)
        for step in damaged:
            file = next((folder / f"step-{step}/trainer").glob("*.safetensors"))
            content = bytearray(file.read_bytes())
            content[-1] ^= 1
            file.write_bytes(content)
        resumed = self.finish("terminated", SMALL, SETTINGS, resume=True)
        said = resumed.err.read_text()
        for step in damaged:
            line = f"warning: learner: a damaged checkpoint is set aside (step {step}, "
            self.assertEqual(said.count(line), 1, said)
            self.assertTrue((folder / f"damaged-step-{step}").is_dir())
        self.check_records(resumed, 4)

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


class InterruptedCommands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="attnrl-interrupt-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_generate_leaves_the_whole_file_that_was_there(self):
        prompts, output = self.folder / "in.jsonl", self.folder / "out.jsonl"
        prompts.write_text('{"id": 1, "prompt": "a=1\\nb=2\\n"}\n')
        output.write_text("whole\n")
        command = [BIN / "attnrl", "generate", "--model", MODEL, "--input", prompts]
        command += ["--output", output, "--samples", "20000", "--max-batch", "4"]
        process = subprocess.Popen(
            [*command, "--max-new-tokens", "100"], stderr=subprocess.PIPE, text=True
        )
        said = process.stderr.readline()  # progress: it samples
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 130, said + rest)
        self.assertIn("run the command again", rest)
        self.assertEqual(output.read_text(), "whole\n")

    def test_the_first_ctrl_c_ends_a_chat_that_waits_for_a_question(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        command = [BIN / "attnrl", "chat", "--model", MODEL, "--chat-template", "chatml"]
        command += ["--max-new-tokens", "4"]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        seen = []

        def prompts():
            if select.select([ours], [], [], 0.1)[0]:
                seen.append(os.read(ours, 65536).decode(errors="replace"))
            return "".join(seen).count("> ")

        wait_until("the first prompt", lambda: prompts() >= 1, 60, lambda: repr(seen))
        os.write(ours, b"a=1\n")
        wait_until("the answer and another prompt", lambda: prompts() >= 2, 60, lambda: repr(seen))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 130, seen)


if __name__ == "__main__":
    main()
