# SPDX-License-Identifier: Apache-2.0
"""A run in which no optimizer step is finite ends for good after the batches that it was given, and
a learner that was killed in between goes on counting them.
"""

import json
import os
import re
import shutil
import signal
import struct

from framework import GROUPS, ROOT, SMALL, Scenario, main, read_lines

MODEL = ROOT / "deploy/local/model"
TRAIN = ROOT / "deploy/local/data/train.jsonl"
# In no prompt of the data; the tokenizer's id is the byte.
RARE = "~"
# Without the count in checkpoints, each start of the learner would get eight batches anew.
ENDLESS = {"run.steps": 100, "run.max_empty_batches": 8, "learner.checkpoint_every": 1}
WORDS = re.compile(
    r"error: no optimizer step of the last 8 batches had a finite loss and gradient; .*"
    r"batches to replay are in (\S+) \(learner\)"
)
# What the terminal says meanwhile.
KEPT = re.compile(
    r"warning: learner: optimizer steps that were not finite are skipped, and their batch is kept "
    r"\(steps \d+, batch \d+, file \S+\)"
)
NO_MORE = "warning: learner: further batches with a step that is not finite are counted, not kept ("


class Nonfinite(Scenario):
    def test_it_ends_once_it_has_had_its_batches_through_a_kill(self):
        run = self.start("endless", SMALL, GROUPS, ENDLESS, self.broken())
        # The checkpoint of the first step is complete by then.
        run.wait_for_step(2)
        os.kill(run.service("learner"), signal.SIGKILL)
        terminal = run.wait(300, code=2)
        said = WORDS.search(terminal)
        self.assertTrue(said, run.about())
        self.assertEqual(len(KEPT.findall(terminal)), 4, terminal)
        self.assertEqual(terminal.count(NO_MORE), 1, terminal)
        self.assertIn("optimizer steps as not finite", terminal)
        self.assertEqual({line["optimizer_steps"] for line in run.lines()}, {0})
        tried = [line for line in run.lines() if line["nonfinite_steps"]]
        self.assertEqual(len(tried), 7, "the eighth one is not committed")
        self.assertEqual(said[1], str(run.dir / "nonfinite"))
        self.assertEqual(len(list((run.dir / "nonfinite").iterdir())), 4)
        log = read_lines(run.dir / "logs/learner.log")
        ends = [line for line in log if line["message"] == "the service ends"]
        self.assertEqual(len(ends), 1, "a learner that gave up was started again")

    def broken(self):
        """A model that samples as before and whose gradient overflows, and prompts for that: each
        begins with a token whose embedding is all but zero, in a model that adds nothing to the
        square that it divides by.
        """
        folder = self.folder / "model"
        shutil.copytree(MODEL, folder)
        config = json.loads((folder / "config.json").read_text())
        config["rms_norm_eps"] = 1e-45
        (folder / "config.json").write_text(json.dumps(config))
        raw = bytearray((folder / "model.safetensors").read_bytes())
        data = 8 + int.from_bytes(raw[:8], "little")
        embedding = json.loads(raw[8:data])["model.embed_tokens.weight"]
        width = 2 * embedding["shape"][1]  # bytes of a row in bfloat16
        at = data + embedding["data_offsets"][0] + ord(RARE) * width
        raw[at : at + width] = struct.pack("<f", 1e-23)[2:] * embedding["shape"][1]
        (folder / "model.safetensors").write_bytes(raw)

        prompts = self.folder / "train.jsonl"
        with open(prompts, "w") as out:
            for line in TRAIN.read_text().splitlines():
                record = json.loads(line)
                record["prompt"] = RARE + record["prompt"]
                out.write(json.dumps(record) + "\n")
        return {"model.path": folder, "data.train": prompts}


if __name__ == "__main__":
    main()
