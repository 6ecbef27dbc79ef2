#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learning curves of the methods on the embedded task, at equal tokens and at equal seconds.

  tests/experiments/curves.py OUT [--methods grpo,attnrl] [--seeds 1,2,3] [--tokens 1200000]

Two stages. First each method tries the same learning rates with one seed on problems of its own,
for half of the tokens, and takes the best. Then it trains with that rate, with fresh seeds and
fresh problems, until it has sampled all the tokens. Every run makes one optimizer step a batch, of
about the same number of tokens whatever the method. The accuracy is pass@1 on 300 unseen problems,
at the start and at the end of each quarter; the seconds are processor seconds of all services, so
that other load on the machine changes them little.

Prints three Markdown tables: the accuracy with each rate, the final runs, and what their metrics
say. Runs that OUT already holds are not made again, so the script can be stopped and started.
ATTNRL_BIN names another binary. A run takes two to five minutes on two quiet cores, all of them an
hour and a half.
"""

import argparse
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("ATTNRL_BIN", str(ROOT / "build/bin/attnrl"))
CONFIG = ROOT / "deploy/local/quickstart.yaml"
# The accuracy is measured at the start and at the end of each part of a run.
PARTS = 4
RATES = (1.25e-4, 2.5e-4, 5e-4, 1e-3)
TUNING_SEED = 11
TRAINING_PROBLEMS = 3000
UNSEEN_PROBLEMS = 300
# Added to a run's seed for the seed of its problems; quickstart's own have 1.
TRAINING_SEED = 600
# Unseen problems: those that choose the rate are not those that are reported.
UNSEEN_SEED = {"tuning": 78, "final": 77}
# Exit codes of a run that ended by itself, by SIGINT or by SIGTERM.
GOOD_ENDS = (0, 130, 143)


def shape(name, responses, points, problems, **settings):
    """What a method changes of the quickstart's configuration."""
    return {
        "algorithm.name": name,
        "algorithm.sampling.initial_responses": responses,
        "algorithm.branching.points": points,
        "algorithm.sampling.batch_problems": problems,
        "algorithm.sampling.batch_min": round(0.85 * problems),
        "algorithm.sampling.batch_max": round(1.15 * problems),
        "learner.steps_per_batch": 1,
        **settings,
    }


# The number of problems makes a batch about as many tokens for each. `earliest` and `random` are
# attnrl with another choice of branch points; continuations from random ones are half as long.
METHODS = {
    "grpo": shape("grpo", 4, 1, 41),
    "treerl": shape("treerl", 2, 2, 39),
    "attnrl": shape("attnrl", 2, 1, 29),
    "earliest": shape("attnrl", 2, 1, 29, **{"algorithm.branching.criterion": "earliest"}),
    "random": shape("attnrl", 2, 1, 40, **{"algorithm.branching.criterion": "random"}),
}
TOKENS_PER_STEP = 28_000


class Run:
    """One training run in a folder of its own."""

    def __init__(self, out, stage, method, rate, seed, tokens):
        self.name = f"{stage}-{method}-{rate:g}-{seed}"
        self.folder = out / self.name
        self.stage, self.method, self.rate = stage, method, rate
        self.seed, self.tokens = seed, tokens
        self.data = problems(out, f"train-{seed}", TRAINING_PROBLEMS, TRAINING_SEED + seed, "train")
        self.unseen = problems(out, f"unseen-{stage}", UNSEEN_PROBLEMS, UNSEEN_SEED[stage], "eval")
        self.seconds_file = out / f"{self.name}.seconds"

    def metrics(self):
        """The records, one a step."""
        file = self.folder / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def sampled(self):
        """Tokens sampled up to and with each step."""
        return list(itertools.accumulate(line["generated_tokens"] for line in self.metrics()))

    def done(self):
        return self.sampled()[-1:] >= [self.tokens]

    def seconds(self):
        """Processor seconds of all services until the tokens were sampled."""
        return float(self.seconds_file.read_text())

    def settings(self):
        steps = round(self.tokens / TOKENS_PER_STEP)
        return {
            **METHODS[self.method],
            "data.train": self.data,
            "run.seed": self.seed,
            "run.steps": 1000,
            "learner.learning_rate": self.rate,
            # As in the quickstart the rate falls in the last four fifths, to a tenth at the end.
            "learner.decay_after": max(1, steps // 5),
            "learner.decay_steps": steps - steps // 5,
            "learner.checkpoint_every": 2,
            "learner.checkpoints_kept": 1000,
        }

    def train(self):
        """Starts or goes on, and ends the run once it has sampled enough tokens."""
        command = [BIN, "train", "--config", str(CONFIG), "--run-dir", str(self.folder)]
        if (self.folder / "config.yaml").exists():
            command.append("--resume")
        for key, value in self.settings().items():
            command += ["--set", f"{key}={value}"]
        log = self.folder.parent / f"{self.name}.log"
        before = children_seconds()
        with open(log, "a") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
            while process.poll() is None and not self.done():
                time.sleep(1)
            if process.poll() is None:
                process.terminate()
            code = process.wait()
        if code not in GOOD_ENDS:
            sys.exit(f"{self.name}: attnrl train ended with {code}; see {log}")
        earlier = self.seconds() if self.seconds_file.exists() else 0
        self.seconds_file.write_text(f"{earlier + children_seconds() - before:.1f}\n")

    def accuracy(self, step):
        """pass@1 of a checkpoint, measured once."""
        # All runs start from the same model.
        where = self.folder.parent if step == 0 else self.folder
        file = where / f"eval-{self.stage}-{step}.json"
        if not file.exists():
            model = self.folder / "checkpoints" / f"step-{step}"
            how = ["--samples", 4, "--temperature", 1, "--max-new-tokens", 260, "--max-batch", 400]
            run_attnrl("eval", "--model", model, "--data", self.unseen, *how, "--output", file)
        (figures,) = json.loads(file.read_text())["sets"].values()
        return figures["pass@1"]

    def curve(self):
        """[(sampled tokens, accuracy)] at the start and at the end of each part."""
        return [self.point(part) for part in range(PARTS + 1)]

    def point(self, part):
        """(sampled tokens, accuracy) of the checkpoint nearest to the end of a part."""
        if not self.done():
            self.train()
        spent = [0, *self.sampled()]  # by the number of a checkpoint's step
        folders = (self.folder / "checkpoints").glob("step-*")
        steps = sorted(int(path.name.removeprefix("step-")) for path in folders)
        goal = self.tokens * part / PARTS
        _, step = min((abs(spent[step] - goal), step) for step in steps)
        return spent[step], self.accuracy(step)

    def end(self):
        """The accuracy once the tokens were sampled."""
        return self.point(PARTS)[1]

    def accuracy_after(self, seconds):
        """The accuracy after so many processor seconds, between the points of the curve."""
        tokens = self.tokens * seconds / self.seconds()
        for (low, before), (high, after) in itertools.pairwise(self.curve()):
            if tokens <= high:
                return before + (after - before) * (tokens - low) / (high - low)
        return self.end()


def run_attnrl(*words):
    """Runs a command of attnrl to its end."""
    subprocess.run([BIN, *map(str, words)], check=True, capture_output=True)


def children_seconds():
    """Processor seconds of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def problems(out, name, count, seed, split):
    """A data set of the embedded task."""
    file = out / f"{name}.jsonl"
    if not file.exists():
        words = ["--count", count, "--seed", seed, "--split", split, "--output", file]
        run_attnrl("make-task", *words)
    return file


def table_row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def print_header(*names):
    print(table_row(*names))
    print("|" + "---|" * len(names))


def tune(out, methods, tokens):
    """Prints how each method does with each rate, and returns the best one of each."""
    best = {}
    print_header("method", *(f"{rate:g}" for rate in RATES))
    for method in methods:
        ends = []
        for rate in RATES:
            ends.append(Run(out, "tuning", method, rate, TUNING_SEED, tokens).end())
            print(f"{method}, rate {rate:g}: {ends[-1]:.3f}", file=sys.stderr, flush=True)
        best[method] = RATES[ends.index(max(ends))]
        print(table_row(method, *(f"{value:.3f}" for value in ends)), flush=True)
    return best


def print_results(runs):
    """The table of the final runs, and the means of each method."""
    # What every run had at least: there all can be compared.
    seconds = min(run.seconds() for run in runs)
    quarters = [f"{part}/{PARTS}" for part in range(1, PARTS + 1)]
    header = ["method", "rate", "seed", "steps", "tokens", "seconds", "start", *quarters]
    print_header(*header, "gain", f"gain after {seconds:.0f} s")
    gains = {}
    for run in runs:
        values = [value for _, value in run.curve()]
        gain = values[-1] - values[0]
        timed = run.accuracy_after(seconds) - values[0]
        gains.setdefault(run.method, []).append((gain, timed))
        tokens = f"{run.curve()[-1][0] / 1e6:.2f} M"
        cells = [run.method, f"{run.rate:g}", run.seed, len(run.metrics()), tokens]
        cells += [f"{run.seconds():.0f}", *(f"{value:.3f}" for value in values)]
        print(table_row(*cells, f"{gain:+.3f}", f"{timed:+.3f}"))
    for method, pairs in gains.items():
        cells = [spread([pair[i] for pair in pairs]) for i in (0, 1)]
        print(table_row(f"**{method}**", "", "mean", *[""] * (len(header) - 3), *cells))


def print_metrics(runs):
    """What the metrics of the final runs say, as means over the steps of each method."""
    keys = {
        "tokens of a response": "response_tokens_mean",
        "tokens of a continuation": "continuation_tokens_mean",
        "pairs of initial responses that differ": "initial_gain",
        "pairs of continuations that differ": "branch_gain",
        "tokens a step": "generated_tokens",
    }
    print_header("method", *keys)
    for method, group in itertools.groupby(runs, key=lambda run: run.method):
        lines = [line for run in group for line in run.metrics()]
        cells = []
        for key in keys.values():
            values = [line[key] for line in lines if line[key] is not None]
            mean = statistics.mean(values) if values else None
            cells.append("" if mean is None else f"{mean:.3f}" if mean < 1 else f"{mean:,.0f}")
        print(table_row(method, *cells))


def spread(values):
    """The mean, and the standard deviation of one run."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0
    return f"{statistics.mean(values):+.3f} (+-{deviation:.3f})"


def parse_flags():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--tokens", type=int, default=1_200_000)
    flags = parser.parse_args()
    flags.methods = flags.methods.split(",")
    flags.seeds = [int(seed) for seed in flags.seeds.split(",")]
    for method in flags.methods:
        if method not in METHODS:
            parser.error(f"--methods {method}: {', '.join(METHODS)} are allowed")
    if TUNING_SEED in flags.seeds:
        parser.error(f"--seeds {TUNING_SEED}: chooses the rates; any other is allowed")
    return flags


def main():
    flags = parse_flags()
    flags.out.mkdir(parents=True, exist_ok=True)
    rates = tune(flags.out.absolute(), flags.methods, flags.tokens // 2)
    print()
    runs = []
    for seed in flags.seeds:
        for method in flags.methods:
            runs.append(
                Run(flags.out.absolute(), "final", method, rates[method], seed, flags.tokens)
            )
            values = ", ".join(f"{value:.3f}" for _, value in runs[-1].curve())
            print(f"{method}, seed {seed}: {values}", file=sys.stderr, flush=True)
    runs.sort(key=lambda run: flags.methods.index(run.method))
    print_results(runs)
    print()
    print_metrics(runs)


if __name__ == "__main__":
    main()
