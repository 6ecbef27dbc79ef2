#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seconds that a step of the paper's runs should take, from bytes and FLOPs; no GPU was at hand.

usage: tests/bench/scale.py            prints the tables of tests/bench/scale.md
       tests/bench/scale.py --check    says where the page has other numbers, and exits 1

Each constant below is an assumption with its reason, or is marked as measured. The shapes are those
of deploy/local/paper/shapes.
"""

import json
import math
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
SHAPES = FOLDER.parents[1] / "deploy/local/paper/shapes"

# One H100 SXM by its data sheet.
FLOPS = 989e12  # bfloat16, dense
BANDWIDTH = 3.35e12  # bytes a second of its memory
NVLINK = 450e9  # bytes a second each way
NETWORK = 50e9  # bytes a second each way: 400 Gb/s a GPU
SLOW_NETWORK = 3.125e9  # 25 Gb/s, as a pod network without RDMA may have

# Shares of these that kernels are assumed to reach. Decoding and training: what this project wants
# to measure on a GPU at least. Products of decoding, exchange: usual values.
DECODE_SHARE = 0.6  # of memory bandwidth, all of a decode step
SCORE_COST = 0.05  # attention scores while decoding, of the step
PRODUCT_SHARE = 0.5  # of FLOPs, products with few rows, and prefill
TRAIN_SHARE = 0.4  # of FLOPs, the whole update but what is counted below
STREAM_SHARE = 0.7  # of memory bandwidth, sums of gradients and the optimizer
EXCHANGE_SHARE = 0.7  # of NVLink
LAUNCHES = 0.5e-3  # seconds a decode step, for launching its graph and the host's share

# The workload of a step. None of it is published: what a run of this kind looks like.
RESPONSE = 5000  # tokens of a response on average, of 8,192 at most
PROMPT = 200  # tokens
ACCURACY = 0.6  # mean share of right responses
VALID = 0.7  # share of problems with right and wrong leaves
REST = 0.75  # of a response lies behind its branch points, which are early by definition
SLOTS = 256
CACHE = {"1.5b": 60e9, "7b": 30e9}  # bytes of KV cache (deploy/local/paper)
PASS = 16384  # tokens of a training pass

# Measured on a CPU (tests/bench/README.md).
RESULT_CPU = 320e-6  # seconds of the scheduler's processor time a result
TRANSFER = 0.57e9  # bytes a second of a whole version to a worker, a thread on each side
DIFFERENCE = 1 / 20  # bytes of what a step has changed, of the whole version (proto/README.md)
FANOUT = 2  # workers that each sender of a version sends it to (services/learner/client)
# The run directory (tools/attnrl/train/estimate/disk_estimate.cc): bytes a token.
STORED = 13
TREES = 6


class Model:
    def __init__(self, size):
        shape = json.loads((SHAPES / size / "config.json").read_text())
        self.size = size
        self.layers = shape["num_hidden_layers"]
        hidden, inner = shape["hidden_size"], shape["intermediate_size"]
        self.attention = shape["hidden_size"]  # heads x head size
        kv = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
        layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * inner
        embedding = shape["vocab_size"] * hidden
        self.products = self.layers * layer + embedding  # weights that a token is multiplied with
        self.weights = self.products + embedding
        self.bytes = 2 * self.weights
        self.kv_bytes = 2 * 2 * self.layers * kv  # a token

    def flops(self, passes, context):
        """Of one token in so many forward passes' worth; attention to `context` keys on average."""
        return passes * (2 * self.products + 4 * self.layers * self.attention * context)


class Workload:
    """What one batch samples and trains."""

    def __init__(self, branches):
        expanded = math.ceil(math.exp(-ACCURACY) * 6) if branches else 0
        self.samples = 64 * 6 * 5 if branches else 64 * 6
        # The batch grows until its valid samples are as many as if all were expanded and valid.
        self.problems = self.samples / (VALID * expanded * 5) if branches else 64
        self.initial = self.problems * 6
        self.continuations = self.problems * expanded * 4
        self.sampled = (self.initial + self.continuations * REST) * RESPONSE
        # What leaves share is computed once; of GRPO every valid group is trained.
        trees = self.problems * VALID * expanded
        rows = trees * (1 + 4 * REST) if branches else 64 * 6 * VALID
        self.trained = rows * RESPONSE
        self.updates = max(1, round(self.samples / (32 * 6)))

    @property
    def results(self):
        return self.initial + self.continuations


def cached(model, sequences):
    """Bytes of keys and values of so many sequences half way."""
    return sequences * (PROMPT + RESPONSE / 2) * model.kv_bytes


def decode(model, sequences, share=DECODE_SHARE):
    """Seconds of a decode step of so many sequences half way."""
    moved = 2 * model.products + cached(model, sequences)
    products = 2 * model.products * sequences / (FLOPS * PRODUCT_SHARE)
    return max(moved / (BANDWIDTH * share) * (1 + SCORE_COST), products) + LAUNCHES


def full_batch(model):
    """Sequences that a worker decodes at once: as many as its cache holds half way."""
    return min(SLOTS, int(CACHE[model.size] / cached(model, 1)))


def rollout(model, work, workers, share=DECODE_SHARE):
    """{part: seconds} of sampling a batch with so many workers."""
    sequences = min(full_batch(model), math.ceil(work.initial / workers))
    generated = work.sampled / workers
    prefixes = work.continuations * (1 - REST) * RESPONSE + work.initial * PROMPT
    prefill = prefixes / workers * model.flops(1, RESPONSE / 4) / (FLOPS * PRODUCT_SHARE)
    # A response of full length, while fewer and fewer others are left.
    tail = 8192 * decode(model, 8, share) - RESPONSE * decode(model, sequences, share)
    return {
        "decoding": generated / sequences * decode(model, sequences, share),
        "prefill": prefill,
        "the longest": max(0.0, tail),
    }


def learner(model, work, ranks, share=TRAIN_SHARE, link=NVLINK):
    """{part: seconds} of training a batch with ranks that are linked by so many bytes a second."""
    # Forward, forward again, backward twice that, and the reference's forward.
    tokens = work.trained / ranks
    passes = math.ceil(tokens / PASS) + work.updates
    gradient = 4 * model.weights
    exchanged = passes * gradient * (ranks - 1) / ranks / (link * EXCHANGE_SHARE)
    # Clipped, and with the rounded copy (services/learner/parameters).
    state = 46 * model.weights / ranks
    return {
        "products and attention": tokens * model.flops(5, RESPONSE / 2) / (FLOPS * share),
        "sums of gradients": passes * 3 * gradient / (BANDWIDTH * STREAM_SHARE),
        "optimizer": work.updates * state / (BANDWIDTH * STREAM_SHARE),
        "exchange": exchanged,
    }


def total(parts):
    return sum(parts.values())


def step(
    model, work, workers, ranks, decode_share=DECODE_SHARE, train_share=TRAIN_SHARE, link=NVLINK
):
    """Seconds of a step where sampling and training overlap."""
    return max(
        total(rollout(model, work, workers, decode_share)),
        total(learner(model, work, ranks, train_share, link)),
    )


def best_split(model, work, gpus):
    """(workers, ranks) with the shortest step; ranks within one node of eight."""
    splits = [(gpus - ranks, ranks) for ranks in range(1, min(gpus, 9))]
    return min(splits, key=lambda split: step(model, work, *split))


RUNS = [
    ("AttnRL, 1.5 B, 8 GPUs", "1.5b", True, 8, "451"),
    ("GRPO, 1.5 B, 8 GPUs", "1.5b", False, 8, "243"),
    ("AttnRL, 7 B, 24 GPUs", "7b", True, 24, "not known"),
]


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def seconds(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def workload_table():
    yield row("a step of", "problems", "responses and continuations", "sampled", "trained rows")
    yield row(*["---"] * 5)
    for name, branches in (("AttnRL", True), ("GRPO", False)):
        work = Workload(branches)
        sampled, trained = f"{work.sampled / 1e6:.1f} M", f"{work.trained / 1e6:.1f} M"
        yield row(name, f"{work.problems:.0f}", f"{work.results:,.0f}", sampled, trained)


def kernel_table():
    yield row("", "1.5 B", "7 B")
    yield row(*["---"] * 3)
    models = [Model("1.5b"), Model("7b")]

    def line(name, value):
        return row(name, *(value(model) for model in models))

    yield line("weights, GB in bfloat16", lambda m: f"{m.bytes / 1e9:.1f}")
    yield line("sequences that a worker decodes at once", full_batch)
    yield line("a decode step of them, ms", lambda m: f"{1e3 * decode(m, full_batch(m)):.1f}")
    yield line(
        "of its bytes keys and values",
        lambda m: f"{cached(m, full_batch(m)) / (cached(m, full_batch(m)) + 2 * m.products):.0%}",
    )
    yield line(
        "tokens a second and worker",
        lambda m: f"{full_batch(m) / decode(m, full_batch(m)):,.0f}",
    )
    yield line("a decode step of one sequence, ms", lambda m: f"{1e3 * decode(m, 1):.1f}")
    yield line("GFLOPs a trained row", lambda m: f"{m.flops(5, RESPONSE / 2) / 1e9:.0f}")
    yield line(
        "trained rows a second and rank",
        lambda m: f"{FLOPS * TRAIN_SHARE / m.flops(5, RESPONSE / 2):,.0f}",
    )


def step_table():
    yield row("run", "workers : ranks", "sampling, s", "training, s", "step, s", "published, s")
    yield row(*["---"] * 6)
    for name, size, branches, gpus, published in RUNS:
        model, work = Model(size), Workload(branches)
        for (workers, ranks), note in (
            ((gpus - 1, 1), "one rank"),
            (best_split(model, work, gpus), "best"),
        ):
            sampling = total(rollout(model, work, workers))
            training = total(learner(model, work, ranks))
            yield row(
                f"{name} ({note})",
                f"{workers} : {ranks}",
                seconds(sampling),
                seconds(training),
                seconds(max(sampling, training)),
                published,
            )


def parts_table():
    yield row("part of a step at the best split, s", *(run[0] for run in RUNS))
    yield row(*["---"] * 4)
    columns = []
    for _, size, branches, gpus, _ in RUNS:
        model, work = Model(size), Workload(branches)
        workers, ranks = best_split(model, work, gpus)
        columns.append({**rollout(model, work, workers), **learner(model, work, ranks)})
    for part in columns[0]:
        yield row(part, *(seconds(column[part]) for column in columns))


def sensitivity_table():
    global RESPONSE
    yield row("AttnRL, seconds a step at the best split", "1.5 B, 8 GPUs", "7 B, 24 GPUs")
    yield row(*["---"] * 3)

    def line(name, **assumed):
        cells = []
        for size, gpus in (("1.5b", 8), ("7b", 24)):
            model, work = Model(size), Workload(True)
            cells.append(seconds(step(model, work, *best_split(model, work, gpus), **assumed)))
        return row(name, *cells)

    yield line("as assumed")
    yield line("decoding at 30 % of bandwidth", decode_share=0.3)
    yield line("training at 20 % of FLOPs", train_share=0.2)
    yield line("both", decode_share=0.3, train_share=0.2)
    yield line("ranks on 400 Gb/s instead of NVLink", link=NETWORK)
    yield line("ranks on 25 Gb/s", link=SLOW_NETWORK)
    average = RESPONSE
    for RESPONSE in (3000, 7000):
        yield line(f"responses of {RESPONSE:,} tokens")
    RESPONSE = average


def depth(workers):
    """How many links the last of so many workers is away from the learner."""
    reached, level = 0, 0
    while reached < workers:
        level += 1
        reached += FANOUT**level
    return level


def growth_table():
    """The 7 B run, and ten and a hundred times as many GPUs, problems a batch and workers."""
    model, work = Model("7b"), Workload(True)
    workers, ranks = best_split(model, work, 24)
    duration = step(model, work, workers, ranks)
    yield row("7 B, a step of the same seconds", "24 GPUs", "240", "2,400")
    yield row(*["---"] * 4)
    factors = (1, 10, 100)
    yield row("workers", *(f"{workers * f:,}" for f in factors))
    yield row(
        "scheduler, processor seconds a step",
        *(seconds(work.results * f * RESULT_CPU) for f in factors),
    )
    yield row("of the step", *(f"{work.results * f * RESULT_CPU / duration:.1%}" for f in factors))
    for name, size in (("database", STORED), ("trees", TREES)):
        written = (f"{work.sampled * f * size / 1e9:.1f}" for f in factors)
        yield row(f"{name}, GB written a step", *written)
    whole = workers * model.bytes
    yield row("whole versions to all workers, GB", *(f"{whole * f / 1e9:,.0f}" for f in factors))
    changed = whole * DIFFERENCE
    yield row("what changed to all workers, GB", *(f"{changed * f / 1e9:,.0f}" for f in factors))
    yield row("links from the learner to the last worker", *(depth(workers * f) for f in factors))
    # The same with any number of workers: of the learner, and of each worker that passes it on.
    sent = FANOUT * model.bytes
    yield row("whole versions sent by the learner, GB", *(f"{sent / 1e9:,.0f}" for _ in factors))
    yield row("its processor seconds for them", *(seconds(sent / TRANSFER) for _ in factors))
    yield row("seconds on one 400 Gb/s link", *(seconds(sent / NETWORK) for _ in factors))


TABLES = {
    "workload": workload_table,
    "kernels": kernel_table,
    "steps": step_table,
    "parts": parts_table,
    "sensitivity": sensitivity_table,
    "growth": growth_table,
}


def main():
    texts = {name: "\n".join(table()) for name, table in TABLES.items()}
    if sys.argv[1:] == ["--check"]:
        page = (FOLDER / "scale.md").read_text(encoding="utf-8")
        wrong = [name for name, text in texts.items() if text not in page]
        for name in wrong:
            print(f"tests/bench/scale.md: the table {name} has other numbers than scale.py")
        return 1 if wrong else 0
    print("\n\n".join(f"{name}\n\n{text}" for name, text in texts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
