# SPDX-License-Identifier: Apache-2.0
"""Bad input ends with exit code 2 and one line `error: <where>: <what>; <what is allowed>`, before anything is written."""
import json, shutil, socket, subprocess

from framework import BIN, CONFIG, ROOT, SMALL, Scenario, main, settings, wait_until

MODEL = ROOT / "deploy/local/model"
TRAIN = ROOT / "deploy/local/data/train.jsonl"


class BadInput(Scenario):
    def refused(self, *arguments, says, binary="attnrl"):
        """Runs the command; it must be refused within seconds in one line that has every word of `says`."""
        what = " ".join(map(str, arguments))
        done = subprocess.run([str(BIN / binary), *map(str, arguments)], capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        self.assertEqual(done.returncode, 2, f"{what}: {done.stderr[-300:]}")
        self.assertEqual(len(lines), 1, f"{what}: {done.stderr[-600:]}")
        self.assertRegex(lines[0], r"^error: .+: .+; .+")
        for word in says: self.assertIn(str(word), lines[0], what)

    def train_refused(self, *extra, says, config=CONFIG, maps=()):
        run_dir = self.folder / "refused"
        self.refused("train", "--config", config, "--run-dir", run_dir, *settings(SMALL, *maps), *extra, says=says)
        self.assertFalse(run_dir.exists(), f"{says}: a run directory was left behind")

    def config_with(self, name, text):
        """A file beside a copy of the paths of the quickstart's, with further lines."""
        file = self.folder / f"{name}.yaml"
        file.write_text(f"model:\n  path: {MODEL}\ndata:\n  train: {TRAIN}\nalgorithm:\n  name: grpo\n{text}")
        return file

    def data_with(self, name, *records):
        file = self.folder / f"{name}.jsonl"
        file.write_text("".join(record if isinstance(record, str) else json.dumps(record) + "\n" for record in records))
        return file

    def model_with(self, name, change):
        folder = self.folder / name
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
        self.train_refused(config=no_yaml, says=(str(no_yaml),))
        self.train_refused(config=self.folder / "nowhere.yaml", says=("nowhere.yaml",))
        self.train_refused("--set", "pipeline.mode=sometimes", says=("pipeline.mode", "sometimes", "overlapped"))
        self.train_refused("--set", "run.steps", says=("run.steps",))
        self.train_refused("--set", "rollout.top_p=0.9", says=("top_p",))

    def test_data(self):
        good = {"id": "a", "prompt": "a=1;?a\n\n", "answers": ["1"]}
        cases = {"nowhere": None, "empty": [], "broken": [good, "{not json\n"], "unanswered": [good, {"id": "b", "prompt": "x"}],
                 "type": [{**good, "answers": "1"}]}
        line = {"broken": ":2", "unanswered": ":2", "type": ":1"}
        for name, records in cases.items():
            file = self.folder / f"{name}.jsonl" if records is None else self.data_with(name, *records)
            self.train_refused(maps=({"data.train": file},), says=(f"{file}{line.get(name, '')}",))
        long = self.data_with("long", good, {**good, "id": "b", "prompt": "a=1;" * 400})
        self.train_refused(maps=({"data.train": long},), says=(f"{long}:2", "max_prompt_tokens"))

    def test_model(self):
        def cut(folder):
            file = next(folder.glob("*.safetensors"))
            file.write_bytes(file.read_bytes()[:-1000])

        def header(folder):
            file = next(folder.glob("*.safetensors"))
            raw = bytearray(file.read_bytes())
            raw[:8] = (2 ** 40).to_bytes(8, "little")
            file.write_bytes(raw)

        def edit(**values):
            return lambda folder: (folder / "config.json").write_text(json.dumps({**json.loads((folder / "config.json").read_text()), **values}))

        self.train_refused(maps=({"model.path": self.folder / "nowhere"},), says=("nowhere",))
        changes = {"cut": (cut, ".safetensors"), "header": (header, ".safetensors"), "other": (edit(architectures=["GPT9"], model_type="gpt9"), "GPT9"),
                   "shape": (edit(intermediate_size=64), "mlp"), "unreadable": (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json"),
                   "missing": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json")}
        for name, (change, word) in changes.items():
            self.train_refused(maps=({"model.path": self.model_with(name, change)},), says=(word,))

    def test_flags(self):
        self.refused("trane", says=("trane",))
        self.refused("train", "--confg", CONFIG, says=("--confg",))
        self.refused("train", says=("--config",))
        self.refused("verify", "--threads", "0", "--input", self.data_with("in"), says=("--threads",))
        self.refused("verify", "--input", self.folder / "nowhere.jsonl", says=("nowhere.jsonl",))
        for role in ("rollout-worker", "branch-scheduler", "verifier", "learner"):
            self.refused("--config", CONFIG, "--run-dir", self.folder, "--verbos", binary=f"attnrl-{role}", says=("--verbos",))

    def test_a_bad_record_is_named_or_skipped(self):
        records = [{"id": i, "response": f"\\boxed{{{i}}}", "answers": [str(i)]} for i in range(3)]
        file = self.data_with("verify", records[0], "{\n", {"id": 1, "answers": ["1"]}, records[2])
        self.refused("verify", "--input", file, says=(f"{file}:2",))
        done = self.tool("verify", "--input", file, "--skip-bad")
        self.assertEqual([json.loads(line)["id"] for line in done.stdout.splitlines()], [0, 2])
        self.assertIn("2", done.stderr)

    def test_a_run_directory_that_holds_a_run_or_is_in_use(self):
        run = self.start("used", SMALL, {"run.steps": 40})
        run.wait_for_step(0)
        self.refused("train", "--config", CONFIG, "--run-dir", run.dir, *settings(SMALL), says=(run.dir, "--resume"))
        self.refused("train", "--config", CONFIG, "--run-dir", run.dir, "--resume", *settings(SMALL), says=(run.dir, "in use"))
        self.assertIsNone(run.process.poll(), "the run that was there did not survive")
        run.kill_everything()
        self.refused("train", "--config", CONFIG, "--run-dir", run.dir, *settings(SMALL), says=(run.dir, "--resume"))
        self.refused("train", "--config", CONFIG, "--run-dir", run.dir, "--resume", *settings(SMALL, {"run.seed": 5, "algorithm.sampling.initial_responses": 3}), says=("run.seed", "initial_responses"))

    def test_a_port_or_socket_in_use(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            self.refused("--config", CONFIG, "--set", f"verifier.address=127.0.0.1:{port}", binary="attnrl-verifier", says=(f"127.0.0.1:{port}", "in use"))
            self.refused("--config", CONFIG, "--set", f"verifier.address=unix:{self.folder}/v", "--set", f"observe.metrics_address=127.0.0.1:{port}",
                         binary="attnrl-verifier", says=(f"127.0.0.1:{port}",))
        address = f"unix:{self.folder}/verifier.sock"
        first = subprocess.Popen([str(BIN / "attnrl-verifier"), "--config", str(CONFIG), "--set", f"verifier.address={address}"], stderr=subprocess.DEVNULL)
        try:
            wait_until("the first verifier's socket", (self.folder / "verifier.sock").exists, 20)
            self.refused("--config", CONFIG, "--set", f"verifier.address={address}", binary="attnrl-verifier", says=("verifier.sock", "in use"))
        finally:
            first.terminate()
            self.assertEqual(first.wait(20), 0)
        self.refused("--config", CONFIG, "--set", "verifier.address=0.0.0.0:0", binary="attnrl-verifier", says=("allow_plaintext",))


if __name__ == "__main__": main()
