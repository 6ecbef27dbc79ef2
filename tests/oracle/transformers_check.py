# SPDX-License-Identifier: Apache-2.0
"""Loads a folder that attnrl wrote (a checkpoint, the output of `attnrl sft`) in transformers, and
compares its log-probs and entropies with those of `attnrl score`.

usage: transformers_check.py MODEL... [--attnrl build/bin/attnrl] [--tolerance 1e-3]

Both compute in float32, whatever the folder's dtype. Needs torch and transformers; without them it
says so and exits 77, which ctest counts as skipped.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import torch
    import transformers
except ImportError as error:
    print(f"skipped: {error.name} is not installed")
    sys.exit(77)


def sequences(vocabulary, limit):
    """Prompts and responses of random tokens, of many lengths."""
    numbers = random.Random(7)

    def draw(count):
        return [numbers.randrange(vocabulary) for _ in range(count)]

    total = min(limit, 120)
    prompt_lengths = [1 + 7 * i for i in range(8)]
    return [
        {"id": i, "prompt_ids": draw(length), "response_ids": draw(total - length)}
        for i, length in enumerate(prompt_lengths)
    ]


def scored_by_attnrl(attnrl, model, records):
    """{id: what `attnrl score` writes of the record}."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = pathlib.Path(folder, "in.jsonl"), pathlib.Path(folder, "out.jsonl")
        given.write_text("".join(json.dumps(record) + "\n" for record in records))
        command = [attnrl, "score", "--model", model, "--dtype", "float32"]
        command += ["--input", given, "--output", found]
        subprocess.run(command, check=True)
        return {row["id"]: row for row in map(json.loads, found.read_text().splitlines())}


def scored_by_transformers(model, record):
    """(log-probs, entropies) of the response's tokens."""
    ids = record["prompt_ids"] + record["response_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, len(record["prompt_ids"]) - 1 : -1].double()
    logprobs = torch.log_softmax(logits, -1)
    taken = logprobs[torch.arange(len(logprobs)), torch.tensor(record["response_ids"])]
    return taken.tolist(), (-(logprobs.exp() * logprobs).sum(-1)).tolist()


def check(attnrl, folder, tolerance):
    """Whether both agree about the model in `folder`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, attn_implementation="eager"
    ).eval()
    records = sequences(model.config.vocab_size, model.config.max_position_embeddings)
    ours = scored_by_attnrl(attnrl, folder, records)
    worst = 0.0
    for record in records:
        mine = ours[record["id"]]
        logprobs, entropies = scored_by_transformers(model, record)
        for ours_here, theirs in ((mine["logprobs"], logprobs), (mine["entropy"], entropies)):
            gaps = [abs(a - b) for a, b in zip(ours_here, theirs, strict=True)]
            worst = max([worst, *gaps])
    print(f"{folder}: worst difference {worst:.2e} (limit {tolerance:g})")
    return worst <= tolerance


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--attnrl", default="build/bin/attnrl")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    flags = parser.parse_args()
    results = [check(flags.attnrl, model, flags.tolerance) for model in flags.models]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
