#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole GRPO step of a random model on the CPU: sampling, the reference model's pass, the update.

  tests/bench/grpo_step.py MODEL [--steps 8] [--problems 8] [--responses 6] [--tokens 128]

The four services of a run, one worker and one learner of a thread each, sampling a batch while the
one before it is trained. MODEL is a Hugging Face folder whose weights know nothing, so the reward
is one of the script's own, right for about half of the responses: whether a response has an even
number of different characters. Prints one line of JSON; a step's seconds are the mean of those
after the pipeline has filled. To be compared with other trainers at the same shape and threads in
the same run. TEST_BIN_DIR names other binaries. Needs grpcio, protobuf and protoc.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import cluster
from framework import ROOT, wait_until
from verifier_conformance_test import PYTHON

FILLING = 3
# The example's server with another reward: even numbers of different characters are right.
VERIFIER = f"""
import sys
sys.path.insert(0, {str(ROOT / "services/verifier/examples")!r})
import regex_verifier
def grade(pb, request):
    right = len(set(request.response)) % 2 == 0
    return pb.GradeResult(id=request.id, matched=0 if right else -1, correct=right,
                          status=pb.GradeResult.STATUS_GRADED, extracted="parity")
regex_verifier.grade = grade
regex_verifier.main()
"""


class Services(cluster.Services):
    """The services with that verifier."""

    def start(self, role, flags):
        if role != "verifier":
            super().start(role, flags)
            return
        words = [PYTHON, "-c", VERIFIER, "--address", self.addresses["verifier"]]
        log = self.dir / "logs/verifier.out"
        with open(log, "wb") as out:
            self.processes[role] = subprocess.Popen(words, stdout=out, stderr=out)
        wait_until("the verifier", lambda: b"serving" in log.read_bytes(), 60, self.about)


def settings_of(flags, folder):
    """What differs from the quickstart's configuration."""
    data = folder / "problems.jsonl"
    with open(data, "w", encoding="utf-8") as out:
        for i in range(flags.problems * (flags.steps + 4)):
            question = f"what is {17 * i + 3} + {29 * i + 8} * {i % 9 + 2}?"
            prompt = f"Question: {question} Answer: let us think step by step.\n\n"
            out.write(json.dumps({"prompt": prompt, "answers": [str(i)]}) + "\n")
    return {
        "run.steps": flags.steps,
        "model.path": flags.model.absolute(),
        "data.train": data,
        "data.chat": "raw",
        "data.grader": "regex",
        "algorithm.name": "grpo",
        "algorithm.sampling.initial_responses": flags.responses,
        "algorithm.sampling.batch_problems": flags.problems,
        "algorithm.sampling.batch_min": flags.problems,
        "algorithm.sampling.batch_max": flags.problems,
        "rollout.max_response_tokens": flags.tokens,
        "rollout.slots": flags.problems * flags.responses,
        "learner.steps_per_batch": 1,
        "learner.minibatch_problems": 0,
        "learner.kl_weight": 0.001,
        "learner.learning_rate": 1e-6,
        "learner.checkpoint_every": 1000,
    }


def parse_flags():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path, help="folder of the model")
    parser.add_argument("--steps", type=int, default=8, help="steps of the run [8]")
    parser.add_argument("--problems", type=int, default=8, help="problems of a step [8]")
    parser.add_argument("--responses", type=int, default=6, help="responses of a problem [6]")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a response [128]")
    flags = parser.parse_args()
    if flags.steps <= FILLING:
        parser.error(f"--steps {flags.steps}: more than {FILLING} are needed")
    if PYTHON is None:
        parser.error("no python3 with grpcio and protobuf (Debian: python3-grpcio)")
    return flags


def main():
    flags = parse_flags()
    with tempfile.TemporaryDirectory(prefix="attnrl-bench-") as name:
        folder = pathlib.Path(name)
        services = Services(folder, "grpo", settings_of(flags, folder))
        try:
            services.wait_for_step(flags.steps - 1, seconds=60 * flags.steps)
            lines = services.lines()[FILLING:]
            services.stop()
        finally:
            services.kill_everything()
    seconds = statistics.mean(line["seconds"]["step"] for line in lines)
    sampled = statistics.mean(line["generated_tokens"] for line in lines)
    figures = {"step_seconds": round(seconds, 3), "completion_tokens": round(sampled)}
    figures["completion_tokens_per_second"] = round(sampled / seconds)
    print(json.dumps({"bench": "grpo_step", "model": str(flags.model), **figures}))


if __name__ == "__main__":
    main()
