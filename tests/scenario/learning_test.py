# SPDX-License-Identifier: Apache-2.0
"""What training must not do: change a weight without a learning rate, or get better from wrong
answers.
"""

import json

from framework import ROOT, SMALL, Scenario, main

TRAIN = ROOT / "deploy/local/data/train.jsonl"
EVAL = ROOT / "deploy/local/data/eval.jsonl"


class Learning(Scenario):
    def test_without_a_learning_rate_no_bit_changes(self):
        run = self.finish("still", SMALL, {"learner.learning_rate": 0})
        self.assertEqual(run.digest(4), run.digest(0))
        rates = {line["learning_rate"] for line in run.lines()}
        self.assertLessEqual(rates, {0, None})
        trained = any(line["valid_samples"] for line in run.lines())
        self.assertTrue(trained, "no batch was trained: the test says nothing")

    def test_permuted_answers_teach_nothing(self):
        few = self.folder / "eval.jsonl"
        few.write_text("".join(EVAL.read_text().splitlines(keepends=True)[:120]))
        changes = {
            "data.train": self.permuted(),
            "run.steps": 6,
            "algorithm.sampling.batch_problems": 12,
            "learner.minibatch_problems": 12,
            "rollout.slots": 48,
        }
        run = self.finish("permuted", SMALL, changes, seconds=400)
        before = self.accuracy(run.dir / "checkpoints/step-0", few)
        after = self.accuracy(run.dir / "checkpoints/step-6", few)
        self.assertNotEqual(run.digest(0), run.digest(6), "nothing was trained")
        self.assertLessEqual(after, before + 0.05)

    def permuted(self):
        """A copy of the training set in which each problem has the answers of another one."""
        records = [json.loads(line) for line in TRAIN.read_text().splitlines()]
        shift = len(records) // 3
        shifted = records[shift:] + records[:shift]
        file = self.folder / "permuted.jsonl"
        with open(file, "w") as out:
            for record, other in zip(records, shifted, strict=True):
                out.write(json.dumps({**record, "answers": other["answers"]}) + "\n")
        return file

    def accuracy(self, model, data):
        file = self.folder / "eval.json"
        flags = ["--samples", 2, "--temperature", 1, "--max-new-tokens", 260, "--output", file]
        self.tool("eval", "--model", model, "--data", data, *flags, seconds=300)
        return json.loads(file.read_text())["sets"]["eval"]["pass@1"]


if __name__ == "__main__":
    main()
