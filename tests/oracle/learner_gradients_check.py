# SPDX-License-Identifier: Apache-2.0
"""Compares `attnrl learn-bench --dump-grads` with the same objective written in PyTorch.

usage: learner_gradients_check.py [MODEL TREES [--config FILE]] [--attnrl build/bin/attnrl]
                                  [--kl-weight 0.001]

MODEL is a Hugging Face folder, TREES a trees/batch-N.jsonl of a run with observe.trees: plain.
All samples of the file must fit one minibatch (give a file of few problems, or raise
learner.minibatch_problems). Without them a small run is made: its last batch, as the weights after
it see it, so that ratios are away from 1.
Needs torch, transformers and safetensors; without them it says so and exits 77, which ctest counts
as skipped.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    import transformers
    from safetensors.torch import load_file
except ImportError as error:
    print(f"skipped: {error.name} is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIP_LOW, CLIP_HIGH, DUAL_CLIP = 0.2, 0.28, 3.0
TOLERANCE = 2e-3  # of the largest gradient of a tensor, float32 against float64


def leaves_of(response):
    """(tokens, log-probs, segments) of a response and of its continuations, each from the start."""
    tokens, logprobs = response["token_ids"], response["logprobs"]
    yield tokens, logprobs, response["segments"]
    for branch in response.get("branches") or []:
        split = branch["split"]
        for child in branch["children"]:
            yield (
                tokens[:split] + child["token_ids"],
                logprobs[:split] + child["logprobs"],
                child["segments"],
            )


def samples(path):
    """Every leaf that trains: (prompt, response, behaviour log-probs, advantage per token)."""
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        if row["kept"] != "all":
            continue
        for response in row["responses"]:
            for tokens, logprobs, segments in leaves_of(response):
                if segments:
                    advantage = [a for length, a in segments for _ in range(length)]
                    yield row["prompt_ids"], tokens, logprobs, advantage


def token_losses(model, prompt, response, behaviour, advantage, kl_weight):
    """The objective per token (services/learner/train/README.md, "Objective"); the reference
    policy is the model itself."""
    ids = torch.tensor([prompt + response])
    logits = model(ids).logits[0, len(prompt) - 1 : -1].double()
    logp = torch.log_softmax(logits, -1).gather(1, torch.tensor(response)[:, None])[:, 0]
    mu, adv = torch.tensor(behaviour).double(), torch.tensor(advantage).double()
    ratio = torch.exp(logp - mu)
    loss = torch.maximum(-adv * ratio, -adv * ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH))
    loss = torch.where(adv < 0, torch.minimum(loss, -adv * DUAL_CLIP), loss)
    log_ref = logp.detach()
    kl = torch.exp(log_ref - logp) - (log_ref - logp) - 1
    return loss + kl_weight * kl


def small_run(attnrl, folder, kl_weight):
    """(model, trees, config) of a run with branches: 40 leaves a batch, in one minibatch of 20
    problems' initial responses.
    """
    settings = {
        "run.steps": 3,
        "algorithm.name": "treerl",
        "algorithm.branching.criterion": "earliest",
        "algorithm.branching.min_distance": 0,
        "algorithm.sampling.batch_problems": 4,
        "algorithm.sampling.initial_responses": 2,
        "learner.minibatch_problems": 20,
        "learner.kl_weight": kl_weight,
        "rollout.slots": 16,
        "observe.trees": "plain",
    }
    config = ROOT / "deploy/local/quickstart.yaml"
    command = [attnrl, "train", "--config", str(config), "--run-dir", folder]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (
        f"{folder}/checkpoints/step-3",
        f"{folder}/trees/batch-2.jsonl",
        f"{folder}/config.yaml",
    )


def add_gradients(model, rows, kl_weight):
    """Leaves the gradients of the mean over all tokens in the model's parameters."""
    total = sum(len(response) for _, response, _, _ in rows)
    for row in rows:
        (token_losses(model, *row, kl_weight).sum() / total).backward()


def gradients_of_attnrl(args):
    """{tensor: gradient} as the learner computes them."""
    with tempfile.TemporaryDirectory() as folder:
        dump = pathlib.Path(folder) / "grads.safetensors"
        command = [args.attnrl, "learn-bench", "--model", args.model, "--input", args.trees]
        command += ["--dtype", "float32", "--steps", "1", "--dump-grads", str(dump)]
        if args.config:
            command += ["--config", args.config]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return load_file(dump)


def worst_gap(model, ours):
    """(difference relative to the largest gradient of its tensor, tensor) where it is largest; one
    that is no number is larger than all others.
    """
    gaps = []
    for name, parameter in model.named_parameters():
        scale = parameter.grad.abs().max().clamp_min(1e-12)
        gap = ((ours[name].double() - parameter.grad).abs().max() / scale).item()
        gaps.append((gap, name))
    return max(gaps, key=lambda gap: math.inf if math.isnan(gap[0]) else gap[0])


def check(args):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.model, dtype=torch.float64, attn_implementation="eager"
    )
    rows = list(samples(args.trees))
    add_gradients(model, rows, args.kl_weight)
    worst, name = worst_gap(model, gradients_of_attnrl(args))
    tokens = sum(len(response) for _, response, _, _ in rows)
    print(
        f"{len(rows)} samples, {tokens} tokens: worst relative gradient difference {worst:.1e} "
        f"({name}; limit {TOLERANCE:.0e})"
    )
    return 0 if worst <= TOLERANCE else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("trees", nargs="?")
    parser.add_argument("--attnrl", default="build/bin/attnrl")
    parser.add_argument("--config")
    parser.add_argument("--kl-weight", type=float, default=0.001)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.trees is None:
            run = small_run(args.attnrl, f"{folder}/run", args.kl_weight)
            args.model, args.trees, args.config = run
        return check(args)


if __name__ == "__main__":
    sys.exit(main())
