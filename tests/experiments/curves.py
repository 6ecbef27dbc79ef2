#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learning curves of the presets on the embedded task, at equal sampled tokens.

  tests/experiments/curves.py OUT [--presets attnrl,treerl,grpo] [--seeds 1,2,3] [--tokens 1200000]

Trains deploy/local/quickstart.yaml with each preset and seed until it has sampled that many tokens
(initial responses and continuations together), measures unseen accuracy at the start, half way and
at the end of them, and prints a Markdown table. Runs that OUT already holds are not made again, so
it can be stopped and started. ATTNRL_BIN names another binary. Three minutes a run on two quiet
cores.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("ATTNRL_BIN", str(ROOT / "build/bin/attnrl"))
CONFIG = ROOT / "deploy/local/quickstart.yaml"
# The accuracy is measured at the start and at the end of each part of a run.
PARTS = 2
# The size of a batch, which all share, whatever the quickstart's is.
BATCH = {
    "algorithm.sampling.batch_problems": 24,
    "algorithm.sampling.batch_min": 20,
    "algorithm.sampling.batch_max": 28,
    "learner.minibatch_problems": 24,
}
# The presets differ in how they branch and sample.
TREES = {**BATCH, "algorithm.sampling.initial_responses": 4, "algorithm.branching.points": 2}
SETTINGS = {
    "grpo": {**BATCH, "algorithm.sampling.initial_responses": 6},
    "treerl": TREES,
    "attnrl": TREES,
}
# About; the learning rate's schedule needs it.
TOKENS_PER_STEP = {"grpo": 18_300, "treerl": 29_300, "attnrl": 49_400}
# Exit codes of a run that ended by itself, by SIGINT or by SIGTERM.
GOOD_ENDS = (0, 130, 143)


def run_attnrl(*words):
    """Runs a command of attnrl to its end."""
    subprocess.run([BIN, *map(str, words)], check=True, capture_output=True)


def metrics(run):
    """The records of a run, one a step."""
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def sampled(run):
    """Tokens sampled up to and with each step."""
    return list(itertools.accumulate(line["generated_tokens"] for line in metrics(run)))


def has_sampled(run, tokens):
    return bool(sampled(run)) and sampled(run)[-1] >= tokens


def settings_of(preset, seed, tokens):
    """What a run changes of the quickstart's configuration."""
    steps = round(tokens / TOKENS_PER_STEP[preset])
    return {
        "algorithm.name": preset,
        "run.seed": seed,
        "run.steps": 1000,
        # As in the quickstart the rate falls in the last four fifths, to a tenth at the end.
        "learner.decay_after": max(1, steps // 5),
        "learner.decay_steps": steps - steps // 5,
        "learner.checkpoint_every": 2,
        "learner.checkpoints_kept": 1000,
        **SETTINGS[preset],
    }


def train(run, preset, seed, tokens, log):
    """Starts a run or goes on with it, and ends it once it has sampled enough tokens."""
    command = [BIN, "train", "--config", str(CONFIG), "--run-dir", str(run)]
    if (run / "config.yaml").exists():
        command.append("--resume")
    for key, value in settings_of(preset, seed, tokens).items():
        command += ["--set", f"{key}={value}"]
    with open(log, "a") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        while process.poll() is None and not has_sampled(run, tokens):
            time.sleep(1)
        if process.poll() is None:
            process.terminate()
        code = process.wait()
    if code not in GOOD_ENDS:
        sys.exit(f"{preset}, seed {seed}: attnrl train ended with {code}; see {log}")


def accuracy(model, data):
    """pass@1 of a checkpoint on `data`, measured once."""
    # All runs start from the same model.
    folder = data.parent if model.name == "step-0" else model.parent.parent
    file = folder / f"eval-{model.name}.json"
    if not file.exists():
        how = ["--samples", 4, "--temperature", 1, "--max-new-tokens", 260, "--max-batch", 400]
        run_attnrl("eval", "--model", model, "--data", data, *how, "--output", file)
    (figures,) = json.loads(file.read_text())["sets"].values()
    return figures["pass@1"]


def curve(run, tokens, data):
    """[(sampled tokens, accuracy)] at the start and at the end of each part."""
    checkpoints = run / "checkpoints"
    spent = [0, *sampled(run)]  # by the number of a checkpoint's step
    steps = sorted(int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*"))
    points = []
    for part in range(PARTS + 1):
        goal = tokens * part / PARTS
        _, step = min((abs(spent[step] - goal), step) for step in steps)
        points.append((spent[step], accuracy(checkpoints / f"step-{step}", data)))
    return points


def table_row(*cells):
    return f"| {' | '.join(cells)} |"


def print_summary(curves):
    """The Markdown table of {(preset, seed): (steps, points)}."""
    header = ["preset", "seed", "steps", "tokens", "start"]
    header += [f"{part}/{PARTS}" for part in range(1, PARTS + 1)] + ["gain"]
    print(table_row(*header))
    print("|" + "---|" * len(header))
    for (preset, seed), (steps, points) in curves.items():
        values = [value for _, value in points]
        cells = [f"{value:.3f}" for value in values]
        tokens = f"{points[-1][0] / 1e6:.2f} M"
        gain = f"{values[-1] - values[0]:+.3f}"
        print(table_row(preset, seed, str(steps), tokens, *cells, gain))
    for preset in dict.fromkeys(preset for preset, _ in curves):
        print_mean(preset, [points for (name, _), (_, points) in curves.items() if name == preset])


def print_mean(preset, runs):
    """The row of the mean over the runs of one preset; +- is the deviation of a run's end."""
    means = [statistics.mean(points[i][1] for points in runs) for i in range(PARTS + 1)]
    spread = statistics.stdev(points[-1][1] for points in runs) if len(runs) > 1 else 0
    cells = [f"{value:.3f}" for value in means]
    gain = f"{means[-1] - means[0]:+.3f} (+-{spread:.3f})"
    # Cells of steps and tokens stay empty.
    print(f"| **{preset}** | mean | | | {' | '.join(cells)} | {gain} |")


def parse_flags():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--presets", default="attnrl,treerl,grpo")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--tokens", type=int, default=1_200_000)
    return parser.parse_args()


def main():
    flags = parse_flags()
    flags.out.mkdir(parents=True, exist_ok=True)
    data = flags.out / "unseen.jsonl"
    if not data.exists():
        run_attnrl("make-task", "--count", 300, "--seed", 77, "--output", data)
    curves = {}
    for seed in flags.seeds.split(","):
        for preset in flags.presets.split(","):
            run = flags.out / f"{preset}-{seed}"
            if not has_sampled(run, flags.tokens):
                train(run, preset, seed, flags.tokens, flags.out / f"{preset}-{seed}.log")
            points = curve(run, flags.tokens, data)
            curves[preset, seed] = (len(metrics(run)), points)
            values = ", ".join(f"{value:.3f}" for _, value in points)
            print(f"{preset}, seed {seed}: {values}", file=sys.stderr, flush=True)
    print_summary(dict(sorted(curves.items())))


if __name__ == "__main__":
    main()
