#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py with a stand-in for vLLM, and with PyTorch on the CPU where python3 has it."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PEERS = pathlib.Path(__file__).with_name("peers.py")
ROW = r"\A\| {} \| \d+\.\d\d \| \d+ \| \| \|\n\Z"
CONFIG = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 40,
    "tie_word_embeddings": True,
}
# Where PyTorch may be.
INHERITED = os.environ.get("PYTHONPATH", "")
# Says what it is called with.
VLLM = """
__version__ = "0.0"
def SamplingParams(**how):
    return how
class LLM:
    def __init__(self, **how):
        print(how["load_format"], how["max_model_len"], how["max_num_seqs"])
    def generate(self, prompts, how, use_tqdm):
        lengths = {len(prompt["prompt_token_ids"]) for prompt in prompts}
        print(len(prompts), lengths, how["max_tokens"], how["ignore_eos"])
"""


class Peers(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        (self.folder / "config.json").write_text(json.dumps(CONFIG))

    def run_it(self, *arguments, path=""):
        return subprocess.run(
            [sys.executable, "-B", PEERS, *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(path), INHERITED]))},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def test_wrong_arguments_are_refused_in_one_line(self):
        model = f"model={self.folder}"
        for arguments in (
            [],
            ["sample", model],
            ["train", model, "leaf=x"],
            ["train", model, "leaves=3"],
            ["decode", "model=/nowhere"],
        ):
            done = self.run_it(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertRegex(done.stderr, r"\Aerror: [^\n]*\n\Z")

    def test_says_what_is_not_installed(self):
        for module, what, name in (("vllm", "decode", "vLLM"), ("torch", "train", "PyTorch")):
            missing = f"raise ModuleNotFoundError('no', name='{module}')"
            (self.folder / f"{module}.py").write_text(missing)
            done = self.run_it(what, f"model={self.folder}", path=self.folder)
            self.assertEqual(done.stdout, f"| {name}: not installed | | | | |\n")
            self.assertEqual(done.returncode, 0)

    def test_says_why_one_did_not_run(self):
        (self.folder / "vllm.py").write_text(VLLM.replace("def generate", "def other"))
        done = self.run_it("decode", f"model={self.folder}", path=self.folder)
        self.assertRegex(done.stdout, r"\A\| vLLM 0\.0: did not run: [^|\n]+ \| \| \| \| \|\n\Z")

    def test_says_why_one_that_is_there_cannot_be_loaded_or_lacks_a_part(self):
        lacking = VLLM.replace("print(how", "raise ImportError('no flash_attn'); print(how", 1)
        for text, title, reason in (
            ("raise OSError('libcuda.so.1: not there')", "vLLM", "libcuda.so.1: not there"),
            (lacking, "vLLM 0.0", "no flash_attn"),
        ):
            (self.folder / "vllm.py").write_text(text)
            done = self.run_it("decode", f"model={self.folder}", path=self.folder)
            self.assertEqual(done.stdout, f"| {title}: did not run: {reason} | | | | |\n")
            self.assertEqual(done.returncode, 0)

    def test_decodes_the_same_shapes_and_counts_the_last_steps(self):
        (self.folder / "vllm.py").write_text(VLLM)
        done = self.run_it("decode", f"model={self.folder}", "prompt=6", "response=9", "timed=4",
                           "groups=2", "samples=3", path=self.folder)  # fmt: skip
        self.assertRegex(
            done.stdout,
            ROW.format("vLLM 0.0: decoding 6 sequences of 15 tokens, 2 prompts of 6"),
        )
        self.assertEqual(
            done.stderr.splitlines(),
            ["dummy 15 6", "6 {6} 2 True", "6 {6} 5 True", "6 {6} 9 True"],
        )

    @unittest.skipUnless(importlib.util.find_spec("torch"), "python3 has no PyTorch")
    def test_trains(self):
        done = self.run_it("train", f"model={self.folder}", "device=cpu", "prompt=4", "leaf=12")
        self.assertRegex(
            done.stdout,
            ROW.format(r"PyTorch \S+: updating with 5 leaves of 16 tokens, leaf by leaf"),
        )


if __name__ == "__main__":
    unittest.main()
