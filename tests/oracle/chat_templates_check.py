# SPDX-License-Identifier: Apache-2.0
"""Renders conversations with chat templates in the shapes of published ones, and compares the token
ids of `attnrl tokenize` with those of transformers' apply_chat_template.

usage: chat_templates_check.py MODEL [--attnrl build/bin/attnrl]

MODEL's tokenizer is used for all templates (common/text/testing/templates). Needs transformers and
jinja2; without them it says so and exits 77, which ctest counts as skipped.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import jinja2  # noqa: F401
    import transformers
except ImportError as error:
    print(f"skipped: {error.name} is not installed")
    sys.exit(77)

TEMPLATES = pathlib.Path(__file__).resolve().parents[2] / "common/text/testing/templates"
# A template that asks for the date has another text each day; attnrl tells it of no clock.
ASKS_FOR_THE_DATE = "strftime_now is defined"

TEXTS = [
    "1+1?",
    "",
    "  blanks and a newline \n",
    "\u00a0wide blanks\u3000",
    "a special token<|endoftext|> within",
    "<think>\nhm\n</think>\n\nthe answer\n",
    "two </think> marks </think>\n of it",
    "<tool_response>x</tool_response>",
    "ünïcödé 漢字 \U0001f600",
]
ROLES = [
    ["user"],
    ["system", "user"],
    ["user", "assistant"],
    ["user", "assistant", "user"],
    ["system", "user", "assistant", "user", "assistant"],
    ["user", "assistant", "user", "user"],
    ["assistant", "user"],
]


def conversations():
    for start in range(len(TEXTS)):
        for roles in ROLES:
            texts = [TEXTS[(start + i) % len(TEXTS)] for i in range(len(roles))]
            yield [{"role": r, "content": t} for r, t in zip(roles, texts, strict=True)]


def records():
    return [
        {"id": i, "messages": messages, "add_generation_prompt": bool(opens)}
        for i, (messages, opens) in enumerate(
            (messages, opens) for messages in conversations() for opens in (0, 1)
        )
    ]


def ids_of_attnrl(attnrl, folder, cases):
    done = subprocess.run(
        [attnrl, "tokenize", "--model", folder, "--input", "-", "--output", "-"],
        input="".join(json.dumps(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"attnrl tokenize: {done.stderr.strip()}")
    return {row["id"]: row["ids"] for row in map(json.loads, done.stdout.splitlines())}


def ids_of_transformers(tokenizer, case):
    rendered = tokenizer.apply_chat_template(
        case["messages"], add_generation_prompt=case["add_generation_prompt"], tokenize=True
    )
    return rendered["input_ids"] if hasattr(rendered, "keys") else rendered


def check(attnrl, model, template):
    """How many conversations differ."""
    text = template.read_text(encoding="utf-8").replace(ASKS_FOR_THE_DATE, "false")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copy(model / "tokenizer.json", folder)
        config = json.loads((model / "tokenizer_config.json").read_text())
        config |= {"chat_template": text, "bos_token": config["eos_token"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
        cases = records()
        ours = ids_of_attnrl(attnrl, folder, cases)
        wrong = [case for case in cases if ours[case["id"]] != ids_of_transformers(tokenizer, case)]
    print(f"{template.name}: {len(cases) - len(wrong)} of {len(cases)} conversations agree")
    if wrong:
        print(f"  the first that does not: {json.dumps(wrong[0])}")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--attnrl", type=pathlib.Path, default="build/bin/attnrl")
    flags = parser.parse_args()
    wrong = [check(flags.attnrl, flags.model, each) for each in sorted(TEMPLATES.glob("*.jinja"))]
    return 1 if sum(wrong) or not wrong else 0


if __name__ == "__main__":
    sys.exit(main())
