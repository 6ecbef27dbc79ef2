#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learning curves of the presets on the embedded task, at equal sampled tokens.

  tests/experiments/curves.py OUT [--presets attnrl,treerl,grpo] [--seeds 1,2,3] [--tokens 1200000]

Trains deploy/local/quickstart.yaml with each preset and seed until it has sampled that many tokens (initial
responses and continuations together), measures unseen accuracy at the start, half way and at the end of
them, and prints a Markdown table. Runs that OUT already holds are not made again, so it can be stopped
and started. ATTNRL_BIN names another binary. Three minutes a run on two quiet cores."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("ATTNRL_BIN", str(ROOT / "build/bin/attnrl"))
PARTS = 2
# The presets differ in how they branch and sample; what they share is said once.
SETTINGS = {
    "grpo": {"algorithm.sampling.initial_responses": 6},
    "treerl": {},
    "attnrl": {},
}
TOKENS_PER_STEP = {"grpo": 18_300, "treerl": 29_300, "attnrl": 49_400}  # about; the learning rate's schedule needs it


def metrics(run):
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def sampled(run):
    """Tokens sampled up to and with each step."""
    total, totals = 0, []
    for line in metrics(run):
        total += line["generated_tokens"]
        totals.append(total)
    return totals


def train(run, preset, seed, tokens, log):
    steps = round(tokens / TOKENS_PER_STEP[preset])
    settings = {
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
    command = [BIN, "train", "--config", ROOT / "deploy/local/quickstart.yaml", "--run-dir", run]
    if (run / "config.yaml").exists():
        command.append("--resume")
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    with open(log, "a") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out)
        while process.poll() is None and (sampled(run) or [0])[-1] < tokens:
            time.sleep(1)
        if process.poll() is None:
            process.terminate()
        code = process.wait()
    if code not in (0, 130, 143):
        sys.exit(f"{preset}, seed {seed}: attnrl train ended with {code}; see {log}")


def accuracy(model, data):
    # All runs start from the same model.
    folder = data.parent if model.name == "step-0" else model.parent.parent
    file = folder / f"eval-{model.name}.json"
    if not file.exists():
        subprocess.run(
            [BIN, "eval", "--model", model, "--data", data, "--samples", "4", "--temperature", "1",
             "--max-new-tokens", "260", "--max-batch", "400", "--output", file],
            check=True, capture_output=True)
    return next(iter(json.loads(file.read_text())["sets"].values()))["pass@1"]


def curve(run, tokens, data):
    """[(sampled tokens, accuracy)] at the start and at the start and at the end of each part."""
    totals = sampled(run)
    steps = sorted(int(path.name[5:]) for path in (run / "checkpoints").glob("step-*"))
    points = []
    for part in range(PARTS + 1):
        goal = tokens * part / PARTS
        spent = lambda step: totals[step - 1] if step > 0 else 0
        step = min(steps, key=lambda s: abs(spent(s) - goal))
        points.append((spent(step), accuracy(run / "checkpoints" / f"step-{step}", data)))
    return points


def summary(curves):
    header = " | ".join(f"{q}/{PARTS}" for q in range(1, PARTS + 1))
    print(f"| preset | seed | steps | tokens | start | {header} | gain |")
    print("|---|---|---|---|---" + "|---" * (PARTS + 1) + "|")
    for (preset, seed), (steps, points) in curves.items():
        values = [value for _, value in points]
        cells = " | ".join(f"{value:.3f}" for value in values)
        print(f"| {preset} | {seed} | {steps} | {points[-1][0] / 1e6:.2f} M | {cells} | "
              f"{values[-1] - values[0]:+.3f} |")
    for preset in dict.fromkeys(preset for preset, _ in curves):
        runs = [points for (name, _), (_, points) in curves.items() if name == preset]
        means = [statistics.mean(points[i][1] for points in runs) for i in range(PARTS + 1)]
        spread = statistics.stdev(points[-1][1] for points in runs) if len(runs) > 1 else 0
        cells = " | ".join(f"{value:.3f}" for value in means)
        print(f"| **{preset}** | mean | | | {cells} | {means[-1] - means[0]:+.3f} (+-{spread:.3f}) |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--presets", default="attnrl,treerl,grpo")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--tokens", type=int, default=1_200_000)
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    data = out / "unseen.jsonl"
    if not data.exists():
        subprocess.run([BIN, "make-task", "--count", "300", "--seed", "77", "--output", data],
                       check=True, capture_output=True)
    curves = {}
    for seed in arguments.seeds.split(","):
        for preset in arguments.presets.split(","):
            run = out / f"{preset}-{seed}"
            if (sampled(run) or [0])[-1] < arguments.tokens:
                train(run, preset, seed, arguments.tokens, out / f"{preset}-{seed}.log")
            points = curve(run, arguments.tokens, data)
            curves[preset, seed] = (len(metrics(run)), points)
            print(f"{preset}, seed {seed}: " + ", ".join(f"{v:.3f}" for _, v in points),
                  file=sys.stderr, flush=True)
    summary(dict(sorted(curves.items())))


if __name__ == "__main__":
    main()
