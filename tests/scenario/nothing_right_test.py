# SPDX-License-Identifier: Apache-2.0
"""A run whose first batches earn nothing says why, once in the log and once on the terminal,
whatever was killed before.
"""

import re

from framework import EXACT, SMALL, Scenario, main, read_lines

# The model needs about 130 tokens for its answer. Batches are large enough for a kill between two.
CUT_OFF = {
    "rollout.max_response_tokens": 12,
    "algorithm.sampling.batch_problems": 16,
    "algorithm.sampling.batch_min": 16,
    "algorithm.sampling.batch_max": 16,
}
WORDS = re.compile(
    r"no response of the first 3 batches was right \(\d+ in all\): "
    r"100 % had no \\boxed\{\} answer, 100 % were cut off at 12 tokens; "
    r"raise rollout\.max_response_tokens; "
    r"see `attnrl show (\S+) --batch 0`"
)


class NothingRight(Scenario):
    def warnings(self, run):
        """The warnings of the scheduler's log, which all starts of a run append to."""
        lines = read_lines(run.dir / "logs/branch-scheduler.log")
        return [line["message"] for line in lines if line["level"] == "warning"]

    def test_it_is_said_once_through_a_kill_and_a_resume(self):
        base = (SMALL, EXACT, CUT_OFF)
        stopped = self.start("mute", *base)
        stopped.wait_for_step(0)
        stopped.kill_everything()
        self.assertLess(len(stopped.lines()), 3, "the third batch was trained before the kill")
        self.assertEqual(WORDS.findall(stopped.err.read_text()), [])

        run = self.finish("mute", *base, resume=True)
        said = WORDS.findall(run.err.read_text())
        self.assertEqual(len(said), 1, run.about())
        said_in_log = [text for text in self.warnings(run) if WORDS.fullmatch(text)]
        self.assertEqual(len(said_in_log), 1, run.about())
        for line in run.lines():
            self.assertEqual(line["verdicts"]["no_answer"], line["leaves"])
            self.assertEqual(sum(line["verdicts"].values()), line["leaves"])
            self.assertEqual(line["truncated_ratio"], 1)

        shown = self.tool("show", said[0], "--batch", 0).stdout
        self.assertIn("length, reward 0.0 (no_answer", shown)

    def test_a_run_that_earns_something_says_nothing(self):
        run = self.finish("fine", SMALL, EXACT)
        self.assertNotIn("first 3 batches", run.err.read_text())
        self.assertFalse([text for text in self.warnings(run) if "first 3 batches" in text])
        self.assertGreater(sum(line["verdicts"]["correct"] for line in run.lines()[:3]), 0)


if __name__ == "__main__":
    main()
