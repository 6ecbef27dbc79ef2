#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What others take on the same device for what whole_check measures, as rows of its table.

  peers.py decode  vLLM's decoding: the time of a step among the last ones
  peers.py train   PyTorch's training: an update with five sequences, one pass each; float32
                   masters, bfloat16 products, scaled_dot_product_attention, fused AdamW
Where python3 has no vLLM or PyTorch the row says so. Weights are random: model= names a folder
with a config.json. Settings are whole_check's:
  model=FOLDER device=cuda groups=16 samples=16 prompt=1024 response=1024 timed=64 leaf=8192
"""

import importlib
import json
import os
import pathlib
import sys
import time

SETTINGS = {
    "model": "",
    "device": "cuda",
    "groups": 16,
    "samples": 16,
    "prompt": 1024,
    "response": 1024,
    "timed": 64,
    "leaf": 8192,
}
LEAVES = 5


def parse(arguments):
    """The settings, or a SystemExit with one line."""
    settings = dict(SETTINGS)
    for argument in arguments:
        key, _, value = argument.partition("=")
        try:
            settings[key] = type(SETTINGS[key])(value)
        except (KeyError, ValueError):
            allowed = " ".join(f"{name}={default}" for name, default in SETTINGS.items())
            sys.exit(f"error: {argument}: not a setting; {allowed}")
    if not settings["model"] or not pathlib.Path(settings["model"], "config.json").is_file():
        sys.exit(f"error: model={settings['model']}: wanted is a folder with a config.json")
    return settings


def row(what, seconds, tokens):
    return f"| {what} | {seconds * 1e3:.2f} | {tokens / seconds:.0f} | | |"


def decode(vllm, settings):
    sequences = settings["groups"] * settings["samples"]
    length = settings["prompt"] + settings["response"]
    model = vllm.LLM(
        model=settings["model"],
        load_format="dummy",
        skip_tokenizer_init=True,
        dtype="bfloat16",
        max_model_len=length,
        max_num_seqs=sequences,
        enable_prefix_caching=True,
    )
    prompts = [
        {
            "prompt_token_ids": [
                (group * 31 + token * 7) % 1000 for token in range(settings["prompt"])
            ]
        }
        for group in range(settings["groups"])
        for _ in range(settings["samples"])
    ]

    def seconds(tokens):
        how = vllm.SamplingParams(
            temperature=1.0, max_tokens=tokens, ignore_eos=True, detokenize=False
        )
        start = time.monotonic()
        model.generate(prompts, how, use_tqdm=False)
        return time.monotonic() - start

    # The first one fills the cache of prefixes: the others differ in their last steps alone.
    seconds(2)
    few, all_of_them = (
        seconds(settings["response"] - settings["timed"]),
        seconds(settings["response"]),
    )
    what = (
        f"vLLM {vllm.__version__}: decoding {sequences} sequences of {length} tokens, "
        f"{settings['groups']} prompts of {settings['prompt']}"
    )
    return row(what, max(all_of_them - few, 1e-9) / settings["timed"], sequences)


def make_decoder(torch, config):
    """The forward pass of a Qwen2 decoder as a function of ids, and its parameters."""
    functional = torch.nn.functional
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config.get("head_dim") or hidden // heads
    epsilon = config.get("rms_norm_eps", 1e-6)
    base = config.get("rope_theta") or config.get("rope_parameters", {}).get("rope_theta", 1e4)
    parameters = []

    def matrix(*shape):
        tensor = torch.empty(*shape).normal_(0, 0.02).requires_grad_()
        parameters.append(tensor)
        return tensor

    def ones():
        tensor = torch.ones(hidden).requires_grad_()
        parameters.append(tensor)
        return tensor

    embedding = matrix(config["vocab_size"], hidden)
    layers = [
        {
            "attention_norm": ones(),
            "projection": matrix((heads + 2 * kv_heads) * size, hidden),
            "output": matrix(hidden, heads * size),
            "norm": ones(),
            "gate_up": matrix(2 * inner, hidden),
            "down": matrix(hidden, inner),
        }
        for _ in range(config["num_hidden_layers"])
    ]
    last_norm = ones()
    head = embedding if config.get("tie_word_embeddings") else matrix(config["vocab_size"], hidden)

    def norm(x, weight):
        return functional.rms_norm(x.float(), (hidden,), weight, epsilon)

    def turned(x, cosine, sine):
        a, b = x.float().chunk(2, dim=-1)
        both = torch.cat((a * cosine - b * sine, b * cosine + a * sine), dim=-1)
        return both.to(x.dtype)

    def forward(ids):
        steps = torch.arange(len(ids), device=ids.device, dtype=torch.float32)
        powers = torch.arange(0, size, 2, device=ids.device, dtype=torch.float32) / size
        angles = torch.outer(steps, base**-powers)
        cosine, sine = angles.cos(), angles.sin()
        x = functional.embedding(ids, embedding)
        for layer in layers:
            mixed = functional.linear(norm(x, layer["attention_norm"]), layer["projection"])
            mixed = mixed.view(1, len(ids), heads + 2 * kv_heads, size).transpose(1, 2)
            q, k, v = mixed.split((heads, kv_heads, kv_heads), dim=1)
            attended = functional.scaled_dot_product_attention(
                turned(q, cosine, sine), turned(k, cosine, sine), v, is_causal=True, enable_gqa=True
            )
            attended = attended.transpose(1, 2).reshape(len(ids), heads * size)
            x = x + functional.linear(attended, layer["output"])
            gate, up = functional.linear(norm(x, layer["norm"]), layer["gate_up"]).chunk(2, dim=-1)
            x = x + functional.linear(functional.silu(gate) * up, layer["down"])
        return functional.linear(norm(x, last_norm), head)

    return forward, parameters


def train(torch, settings):
    config = json.loads(pathlib.Path(settings["model"], "config.json").read_text())
    device = torch.device(settings["device"])
    torch.manual_seed(1)
    with device:
        forward, parameters = make_decoder(torch, config)
        length = settings["prompt"] + settings["leaf"]
        leaves = torch.randint(config["vocab_size"], (LEAVES, length))
    optimizer = torch.optim.AdamW(parameters, lr=1e-6, fused=True)

    def update():
        for ids in leaves:
            with torch.autocast(device.type, torch.bfloat16):
                logits = forward(ids)[settings["prompt"] - 1 : -1]
            loss = torch.nn.functional.cross_entropy(logits.float(), ids[settings["prompt"] :])
            (loss / LEAVES).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()  # which waits for the device

    def seconds():
        start = time.monotonic()
        update()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic() - start

    seconds()
    what = f"updating with {LEAVES} leaves of {length} tokens, leaf by leaf"
    return row(
        f"PyTorch {torch.__version__}: {what}", min(seconds() for _ in range(3)), LEAVES * length
    )


PEERS = {"decode": ("vLLM", "vllm", decode), "train": ("PyTorch", "torch", train)}


def main(arguments):
    if not arguments or arguments[0] not in PEERS:
        print("error: decode or train, then settings", file=sys.stderr)
        return 2
    name, module, measure = PEERS[arguments[0]]
    try:
        settings = parse(arguments[1:])
    except SystemExit as error:
        print(error, file=sys.stderr)
        return 2
    # What a library and its processes print isn't part of the table.
    table = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    library = None
    try:
        library = importlib.import_module(module)
        line = measure(library, settings)
    except Exception as error:  # a peer that fails says nothing about this build
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            line = f"| {name}: not installed | | | | |"
        else:
            title = f"{name} {getattr(library, '__version__', '')}".strip()
            reason = str(error).strip().partition("\n")[0].replace("|", "/")
            line = f"| {title}: did not run: {reason} | | | | |"
    print(line, file=table, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
