# SPDX-License-Identifier: Apache-2.0
"""What training must not do: change a weight without a learning rate, or get better from wrong answers."""
import json

from framework import ROOT, SMALL, Scenario, main

TRAIN = ROOT / "deploy/local/data/train.jsonl"
EVAL = ROOT / "deploy/local/data/eval.jsonl"


class Learning(Scenario):
    def test_without_a_learning_rate_no_bit_changes(self):
        run = self.finish("still", SMALL, {"learner.learning_rate": 0})
        self.assertEqual(run.digest(4), run.digest(0))
        self.assertTrue(all(line["learning_rate"] == 0 for line in run.lines() if line["learning_rate"] is not None))
        self.assertTrue(any(line["valid_samples"] for line in run.lines()), "no batch was trained: the test says nothing")

    def test_permuted_answers_teach_nothing(self):
        records = [json.loads(line) for line in TRAIN.read_text().splitlines()]
        answers = [record["answers"] for record in records]
        shift = len(records) // 3  # each problem gets another one's answers
        permuted = self.folder / "permuted.jsonl"
        permuted.write_text("".join(json.dumps({**record, "answers": answers[(i + shift) % len(answers)]}) + "\n" for i, record in enumerate(records)))
        few = self.folder / "eval.jsonl"
        few.write_text("".join(EVAL.read_text().splitlines(True)[:120]))
        run = self.finish("permuted", SMALL, {"data.train": permuted, "run.steps": 6, "algorithm.sampling.batch_problems": 12,
                                              "learner.minibatch_problems": 12, "rollout.slots": 48}, seconds=400)
        before, after = (self.accuracy(run.dir / f"checkpoints/step-{step}", few) for step in (0, 6))
        self.assertNotEqual(run.digest(0), run.digest(6), "nothing was trained")
        self.assertLessEqual(after, before + 0.05)

    def accuracy(self, model, data):
        file = self.folder / "eval.json"
        self.tool("eval", "--model", model, "--data", data, "--samples", 2, "--temperature", 1, "--max-new-tokens", 260, "--output", file, seconds=300)
        return json.loads(file.read_text())["sets"]["eval"]["pass@1"]


if __name__ == "__main__": main()
