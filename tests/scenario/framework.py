# SPDX-License-Identifier: Apache-2.0
"""What every scenario uses: real runs of `attnrl train` that are small, can be watched, killed and
compared.

Every wait has a deadline, and its error says what was waited for and what the run's logs last said.
Python 3 standard library only. TEST_BIN_DIR names the folder of the binaries (default build/bin).
"""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TEST_BIN_DIR", ROOT / "build/bin")).resolve()
CONFIG = ROOT / "deploy/local/quickstart.yaml"
ROLES = ("rollout-worker", "verifier", "learner", "branch-scheduler")
# What ctest takes for skipped.
SKIPPED = 77

# Four steps of four problems: seconds, and still several batches in the pipeline at once.
SMALL = {
    "run.steps": 4,
    "algorithm.sampling.batch_problems": 4,
    "algorithm.sampling.initial_responses": 4,
    "algorithm.sampling.batch_min": 2,
    "algorithm.sampling.batch_max": 6,
    "learner.minibatch_problems": 4,
    "learner.checkpoint_every": 2,
    "rollout.slots": 16,
}
EXACT = {"rollout.deterministic": "true"}
# Outcome rewards alone, no continuation.
GROUPS = {"algorithm.name": "grpo"}


def tail(path, lines=3):
    """The last lines of a file, as one."""
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return "(nothing)"
    return " | ".join(text.strip().splitlines()[-lines:])


def wait_until(what, condition, seconds, about=lambda: ""):
    """The first true value of condition(); AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}. {about()}")
        time.sleep(0.05)


def settings(*maps):
    """The flags that set the keys of all maps; of a key in several the last one counts."""
    merged = {}
    for one in maps:
        merged.update(one)
    return [word for key, value in merged.items() for word in ("--set", f"{key}={value}")]


def read_lines(path):
    """The records of a JSON Lines file that may be written meanwhile: of its whole lines."""
    try:
        lines = path.read_text().splitlines(keepends=True)
    except OSError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def process_stat(pid):
    """What /proc says of a process after its name: state, parent, ...; OSError where it is gone."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def children(pid):
    """(pid, argv[0]) of each direct child that runs."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = process_stat(entry.name)[:2]
            name = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append((int(entry.name), name))
    return found


def is_running(pid):
    """Whether a process neither ended nor became a zombie."""
    try:
        return process_stat(pid)[0] != "Z"
    except OSError:
        return False


def still_running(pids):
    return [pid for pid in pids if is_running(pid)]


def free_port():
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """One `attnrl train` in a process group of its own."""

    def __init__(self, folder, name, *maps, workers=1, resume=False, config=CONFIG):
        self.dir = folder / name
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        command = [BIN / "attnrl", "train", "--config", config, "--run-dir", self.dir]
        command += ["--workers", workers, *settings(*maps)]
        if resume:
            command.append("--resume")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def about(self):
        scheduler = self.dir / "logs/branch-scheduler.log"
        return (
            f"run {self.name}: stderr: {tail(self.err)}; stdout: {tail(self.out)}; "
            f"scheduler: {tail(scheduler, 2)}"
        )

    def process_ends(self, seconds):
        """Until `attnrl train` has ended; TimeoutError after `seconds`."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"run {self.name} still runs") from None

    def wait(self, seconds, code=0):
        """Ends with `code` within `seconds`; returns what stderr said."""
        try:
            got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            message = f"waited {seconds} s for the end of the run. {self.about()}"
            raise AssertionError(message) from None
        if got != code:
            raise AssertionError(f"exit code {got} instead of {code}. {self.about()}")
        return self.err.read_text(errors="replace")

    def lines(self):
        """The lines of metrics.jsonl so far, one a step."""
        return read_lines(self.dir / "metrics.jsonl")

    def wait_for_step(self, step, seconds=180):
        """Until metrics.jsonl has the line of `step` (from 0), or the run has ended."""

        def reached():
            if self.process.poll() is not None:
                raise AssertionError(f"the run ended before step {step}. {self.about()}")
            return len(self.lines()) > step

        wait_until(f"step {step} in metrics.jsonl", reached, seconds, self.about)

    def services(self, role=""):
        """The process ids of the services that run now, or of those of one role."""
        return [pid for pid, name in children(self.pid) if f"attnrl-{role}" in name]

    def service(self, role, seconds=60):
        """The process id of one service, as soon as there is one."""
        what = f"a child attnrl-{role}"
        return wait_until(what, lambda: self.services(role), seconds, self.about)[0]

    def kill_everything(self):
        """kill -9 of `attnrl train` and every service, at once."""
        pids = [self.pid] + [pid for pid, _ in children(self.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_until("the services to be gone", lambda: not still_running(pids), 20)

    def digest(self, step):
        """SHA-256 over the weights of checkpoints/step-N."""
        files = sorted((self.dir / f"checkpoints/step-{step}").glob("*.safetensors"))
        if not files:
            raise AssertionError(f"no weights in checkpoints/step-{step}. {self.about()}")
        sha = hashlib.sha256()
        for file in files:
            sha.update(file.read_bytes())
        return sha.hexdigest()

    def trees(self):
        """The records of all batches, one a problem."""
        files = sorted((self.dir / "trees").glob("batch-*.jsonl.zst"))
        texts = [subprocess.check_output(["zstd", "-dc", file], text=True) for file in files]
        return [json.loads(line) for text in texts for line in text.splitlines()]


class Scenario(unittest.TestCase):
    """A test case with a folder of its own, and nothing left running behind it."""

    maxDiff = None

    def setUp(self):
        self.assertTrue((BIN / "attnrl").exists(), f"{BIN}/attnrl is not built")
        self._folder = tempfile.TemporaryDirectory(prefix="attnrl-scenario-")
        self.folder = pathlib.Path(self._folder.name)
        self.runs = []

    def tearDown(self):
        for run in self.runs:
            if run.process.poll() is None:
                run.kill_everything()
        self._folder.cleanup()

    def start(self, name, *maps, **kwargs):
        """A run that has been started; see Run."""
        self.runs.append(Run(self.folder, name, *maps, **kwargs))
        return self.runs[-1]

    def finish(self, name, *maps, seconds=300, **kwargs):
        """A run that has ended well."""
        run = self.start(name, *maps, **kwargs)
        run.wait(seconds)
        return run

    def tool(self, *arguments, code=0, seconds=60):
        """Runs `attnrl ...`; returns the completed process. `code` None: it may end with any."""
        words = list(map(str, arguments))
        command = [str(BIN / "attnrl"), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        about = f"attnrl {' '.join(words[:2])}: {done.stderr.strip()[-300:]}"
        if code is not None:
            self.assertEqual(done.returncode, code, about)
        return done

    def check_records(self, run, steps):
        """Exactly one line a step, in order, and trees of every batch."""
        lines = run.lines()
        self.assertEqual([line["step"] for line in lines], list(range(steps)))
        self.assertEqual([line["weight_version"] for line in lines], list(range(1, steps + 1)))
        self.assertEqual(sorted({row["batch"] for row in run.trees()}), list(range(steps)))


def main():
    """Runs the file's cases. Exit code 77 when all of them were skipped, for ctest."""
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped and len(result.skipped) == result.testsRun else 0)
