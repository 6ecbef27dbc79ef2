# SPDX-License-Identifier: Apache-2.0
"""Bad input ends with exit code 2 and one line `error: <where>: <what>; <what is allowed>`, before
anything is written.
"""

import json
import shutil
import socket
import subprocess

from framework import BIN, CONFIG, ROOT, SMALL, Scenario, main, settings, wait_until

MODEL = ROOT / "deploy/local/model"
TRAIN = ROOT / "deploy/local/data/train.jsonl"


# What can be wrong with a model's folder. Each takes the folder of a copy and breaks it.


def truncate_weights(folder):
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1000])


def claim_a_huge_header(folder):
    """A safetensors file begins with the length of its header."""
    file = next(folder.glob("*.safetensors"))
    raw = bytearray(file.read_bytes())
    raw[:8] = (2**40).to_bytes(8, "little")
    file.write_bytes(raw)


def edit_config(folder, **values):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def name_another_architecture(folder):
    edit_config(folder, architectures=["GPT9"], model_type="gpt9")


def change_a_shape(folder):
    edit_config(folder, intermediate_size=64)


def spoil_the_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{")


def remove_the_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


class BadInput(Scenario):
    def refused(self, *arguments, says, binary="attnrl"):
        """Runs a command, which must be refused within seconds, in one line with all of `says`."""
        words = list(map(str, arguments))
        what = " ".join(words)
        done = subprocess.run(
            [str(BIN / binary), *words],
            capture_output=True,
            text=True,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        self.assertEqual(done.returncode, 2, f"{what}: {done.stderr[-300:]}")
        self.assertEqual(len(lines), 1, f"{what}: {done.stderr[-600:]}")
        self.assertRegex(lines[0], r"^error: .+: .+; .+")
        for word in says:
            self.assertIn(str(word), lines[0], what)

    def train_refused(self, *extra, says, config=CONFIG, maps=()):
        """The same of `attnrl train`, which must not have made its run directory."""
        run_dir = self.folder / "refused"
        flags = [*settings(SMALL, *maps), *extra]
        self.refused("train", "--config", config, "--run-dir", run_dir, *flags, says=says)
        self.assertFalse(run_dir.exists(), f"{says}: a run directory was left behind")

    def verifier_refused(self, *sets, says):
        """The same of the verifier, with these settings."""
        flags = [word for setting in sets for word in ("--set", setting)]
        self.refused("--config", CONFIG, *flags, binary="attnrl-verifier", says=says)

    def config_with(self, name, text):
        """A configuration of seven lines, with `text` from the eighth."""
        file = self.folder / f"{name}.yaml"
        file.write_text(
            f"model:\n  path: {MODEL}\ndata:\n  train: {TRAIN}\nalgorithm:\n  name: grpo\n{text}"
        )
        return file

    def data_with(self, name, *records):
        """A JSON Lines file of these records; one that is text is taken as it is."""
        file = self.folder / f"{name}.jsonl"
        with open(file, "w") as out:
            for record in records:
                out.write(record if isinstance(record, str) else json.dumps(record) + "\n")
        return file

    def model_with(self, change):
        """A copy of the model, broken by `change`."""
        folder = self.folder / change.__name__
        shutil.copytree(MODEL, folder)
        change(folder)
        return folder

    def test_configuration(self):
        unknown = self.config_with("unknown", "learner:\n  lerning_rate: 1\n")
        self.train_refused(config=unknown, says=(f"{unknown}:8", "lerning_rate"))
        wrong_type = self.config_with("type", "learner:\n  learning_rate: fast\n")
        self.train_refused(config=wrong_type, says=(f"{wrong_type}:8", "learning_rate", "fast"))
        out_of_range = self.config_with("range", "rollout:\n  temperature: -1\n")
        self.train_refused(config=out_of_range, says=(f"{out_of_range}:8", "temperature", "-1"))
        no_yaml = self.config_with("broken", "learner: [1, 2\n")
        self.train_refused(config=no_yaml, says=(no_yaml,))
        self.train_refused(config=self.folder / "nowhere.yaml", says=("nowhere.yaml",))

    def test_settings(self):
        self.train_refused(
            "--set", "pipeline.mode=sometimes", says=("pipeline.mode", "sometimes", "overlapped")
        )
        self.train_refused("--set", "run.steps", says=("run.steps",))
        self.train_refused("--set", "rollout.top_p=0.9", says=("top_p",))

    def test_data(self):
        def data_refused(file, *says):
            self.train_refused(maps=({"data.train": file},), says=says)

        good = {"id": "a", "prompt": "a=1;?a\n\n", "answers": ["1"]}
        nowhere = self.folder / "nowhere.jsonl"
        data_refused(nowhere, nowhere)
        empty = self.data_with("empty")
        data_refused(empty, empty)
        broken = self.data_with("broken", good, "{not json\n")
        data_refused(broken, f"{broken}:2")
        unanswered = self.data_with("unanswered", good, {"id": "b", "prompt": "x"})
        data_refused(unanswered, f"{unanswered}:2")
        wrong_type = self.data_with("type", {**good, "answers": {"one": 1}})
        data_refused(wrong_type, f"{wrong_type}:1", "answers", "a text, a number or a list")
        misspelt = self.data_with("misspelt", good, {"id": "b", "promt": "x", "answer": "1"})
        data_refused(misspelt, f"{misspelt}:2", "promt", "did you mean", "problem")
        long = self.data_with("long", good, {**good, "id": "b", "prompt": "a=1;" * 400})
        data_refused(long, f"{long}:2", "max_prompt_tokens")

    def test_model(self):
        def model_refused(folder, word):
            self.train_refused(maps=({"model.path": folder},), says=(word,))

        model_refused(self.folder / "nowhere", "nowhere")
        model_refused(self.model_with(truncate_weights), ".safetensors")
        model_refused(self.model_with(claim_a_huge_header), ".safetensors")
        model_refused(self.model_with(name_another_architecture), "GPT9")
        model_refused(self.model_with(change_a_shape), "mlp")
        model_refused(self.model_with(spoil_the_tokenizer), "tokenizer.json")
        model_refused(self.model_with(remove_the_tokenizer), "tokenizer.json")

    def test_flags(self):
        self.refused("trane", says=("trane",))
        self.refused("train", "--confg", CONFIG, says=("--confg",))
        self.refused("train", says=("--config", "--set"))
        self.refused("train", "--set", "run.steps=2", says=("model.path", "is not set"))
        empty = self.data_with("in")
        self.refused("verify", "--threads", "0", "--input", empty, says=("--threads",))
        nowhere = self.folder / "nowhere.jsonl"
        self.refused("verify", "--input", nowhere, says=("nowhere.jsonl",))
        for role in ("rollout-worker", "branch-scheduler", "verifier", "learner"):
            flags = ["--config", CONFIG, "--run-dir", self.folder, "--verbos"]
            self.refused(*flags, binary=f"attnrl-{role}", says=("--verbos",))
            flags = ["--set", "run.steps=2", "--run-dir", self.folder]
            self.refused(*flags, binary=f"attnrl-{role}", says=("not set",))

    def test_a_bad_record_is_named_or_skipped(self):
        first, last = (
            {"id": i, "response": f"\\boxed{{{i}}}", "answers": [str(i)]} for i in (0, 2)
        )
        file = self.data_with("verify", first, "{\n", {"id": 1, "answers": ["1"]}, last)
        self.refused("verify", "--input", file, says=(f"{file}:2",))
        done = self.tool("verify", "--input", file, "--skip-bad")
        self.assertEqual([json.loads(line)["id"] for line in done.stdout.splitlines()], [0, 2])
        self.assertIn("2", done.stderr)

    def test_a_run_directory_that_holds_a_run_or_is_in_use(self):
        run = self.start("used", SMALL, {"run.steps": 40})
        run.wait_for_step(0)
        train = ["train", "--config", CONFIG, "--run-dir", run.dir]
        small = settings(SMALL)
        self.refused(*train, *small, says=(run.dir, "--resume"))
        self.refused(*train, "--resume", *small, says=(run.dir, "in use"))
        self.assertIsNone(run.process.poll(), "the run that was there did not survive")
        run.kill_everything()
        self.refused(*train, *small, says=(run.dir, "--resume"))
        other = settings(SMALL, {"run.seed": 5, "algorithm.sampling.initial_responses": 3})
        self.refused(*train, "--resume", *other, says=("run.seed", "initial_responses"))

    def test_a_port_in_use(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            address = f"127.0.0.1:{holder.getsockname()[1]}"
            self.verifier_refused(f"verifier.address={address}", says=(address, "in use"))
            self.verifier_refused(
                f"verifier.address=unix:{self.folder}/v",
                f"observe.metrics_address={address}",
                says=(address,),
            )

    def test_a_socket_in_use(self):
        path = self.folder / "verifier.sock"
        setting = f"verifier.address=unix:{path}"
        first = subprocess.Popen(
            [str(BIN / "attnrl-verifier"), "--config", str(CONFIG), "--set", setting],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until("the first verifier's socket", path.exists, 20)
            self.verifier_refused(setting, says=("verifier.sock", "in use"))
        finally:
            first.terminate()
            self.assertEqual(first.wait(20), 0)

    def test_plain_tcp_beyond_loopback(self):
        self.verifier_refused("verifier.address=0.0.0.0:0", says=("allow_plaintext",))


if __name__ == "__main__":
    main()
