# SPDX-License-Identifier: Apache-2.0
"""What every scenario uses: real runs of `attnrl train` that are small, can be watched, killed and compared.

Every wait has a deadline, and its error says what was waited for and what the run's logs last said.
Python 3 standard library only. TEST_BIN_DIR names the folder of the binaries (default build/bin)."""
import hashlib, json, os, pathlib, signal, subprocess, sys, tempfile, time, unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TEST_BIN_DIR", ROOT / "build/bin")).resolve()
CONFIG = ROOT / "deploy/local/quickstart.yaml"
ROLES = ("rollout-worker", "verifier", "learner", "branch-scheduler")

# Four steps of four problems: seconds, and still several batches in the pipeline at once.
SMALL = {"run.steps": 4, "algorithm.sampling.batch_problems": 4, "algorithm.sampling.initial_responses": 4,
         "algorithm.sampling.batch_min": 2, "algorithm.sampling.batch_max": 6,
         "learner.minibatch_problems": 4, "learner.checkpoint_every": 2, "rollout.slots": 16}
EXACT = {"rollout.deterministic": "true"}
# Outcome rewards alone, no continuation.
GROUPS = {"algorithm.name": "grpo"}


def tail(path, lines=3):
    try: return " | ".join(pathlib.Path(path).read_text(errors="replace").strip().splitlines()[-lines:])
    except OSError: return "(nothing)"


def wait_until(what, condition, seconds, about=lambda: ""):
    """The first true value of condition(); AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value: return value
        if time.monotonic() > deadline: raise AssertionError(f"waited {seconds} s for {what}. {about()}")
        time.sleep(0.05)


def settings(*maps):
    merged = {}
    for one in maps: merged.update(one)
    return [word for key, value in merged.items() for word in ("--set", f"{key}={value}")]


def children(pid):
    """(pid, argv[0]) of each direct child that runs."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit(): continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            name = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError: continue
        if int(stat[1]) == pid and stat[0] != "Z": found.append((int(entry.name), name))
    return found


def still_running(pids):
    """Those that neither ended nor became zombies."""
    left = []
    for pid in pids:
        try: state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError: continue
        if state != "Z": left.append(pid)
    return left


class Run:
    """One `attnrl train` in a process group of its own."""
    def __init__(self, folder, name, *maps, workers=1, resume=False, config=CONFIG):
        self.dir, self.name = folder / name, name
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        command = [BIN / "attnrl", "train", "--config", config, "--run-dir", self.dir, "--workers", workers, *settings(*maps)]
        if resume: command.append("--resume")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
        self.pid = self.process.pid

    def about(self):
        return f"run {self.name}: stderr: {tail(self.err)}; stdout: {tail(self.out)}; scheduler: {tail(self.dir / 'logs/branch-scheduler.log', 2)}"

    def wait(self, seconds, code=0):
        """Ends with `code` within `seconds`; returns what stderr said."""
        try: got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise AssertionError(f"waited {seconds} s for the end of the run. {self.about()}") from None
        if got != code: raise AssertionError(f"exit code {got} instead of {code}. {self.about()}")
        return self.err.read_text(errors="replace")

    def lines(self):
        try: return [json.loads(line) for line in (self.dir / "metrics.jsonl").read_text().splitlines(True) if line.endswith("\n")]
        except OSError: return []

    def wait_for_step(self, step, seconds=180):
        """Until metrics.jsonl has the line of `step` (from 0), or the run has ended."""
        def reached():
            if self.process.poll() is not None: raise AssertionError(f"the run ended before step {step}. {self.about()}")
            return len(self.lines()) > step
        wait_until(f"step {step} in metrics.jsonl", reached, seconds, self.about)

    def service(self, role, seconds=60):
        """The process id of one service, as soon as there is one."""
        named = lambda: [pid for pid, name in children(self.pid) if name.endswith(f"attnrl-{role}")]
        return wait_until(f"a child attnrl-{role}", named, seconds, self.about)[0]

    def kill_everything(self):
        """kill -9 of `attnrl train` and every service, at once."""
        pids = [self.pid] + [pid for pid, _ in children(self.pid)]
        for pid in pids:
            try: os.kill(pid, signal.SIGKILL)
            except ProcessLookupError: pass
        self.process.wait()
        wait_until("the services to be gone", lambda: not still_running(pids), 20)

    def digest(self, step):
        """SHA-256 over the weights of checkpoints/step-N."""
        files = sorted((self.dir / f"checkpoints/step-{step}").glob("*.safetensors"))
        if not files: raise AssertionError(f"no weights in checkpoints/step-{step}. {self.about()}")
        sha = hashlib.sha256()
        for file in files: sha.update(file.read_bytes())
        return sha.hexdigest()

    def trees(self):
        return [json.loads(line) for file in sorted((self.dir / "trees").glob("batch-*.jsonl")) for line in file.read_text().splitlines()]


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
            if run.process.poll() is None: run.kill_everything()
        self._folder.cleanup()

    def start(self, name, *maps, **kwargs):
        self.runs.append(Run(self.folder, name, *maps, **kwargs))
        return self.runs[-1]

    def finish(self, name, *maps, seconds=300, **kwargs):
        run = self.start(name, *maps, **kwargs)
        run.wait(seconds)
        return run

    def tool(self, *arguments, code=0, seconds=60, input=None, env=None):
        """Runs `attnrl ...`; returns the completed process."""
        done = subprocess.run([str(BIN / "attnrl"), *map(str, arguments)], capture_output=True, text=True, timeout=seconds, input=input, env=env)
        self.assertEqual(done.returncode, code, f"attnrl {' '.join(map(str, arguments[:2]))}: {done.stderr.strip()[-300:]}")
        return done

    def check_records(self, run, steps):
        """Exactly one line a step, in order, and trees of every batch."""
        self.assertEqual([line["step"] for line in run.lines()], list(range(steps)))
        self.assertEqual([line["weight_version"] for line in run.lines()], list(range(1, steps + 1)))
        self.assertEqual(sorted({row["batch"] for row in run.trees()}), list(range(steps)))


def main():
    """Runs the file's cases. Exit code 77 when all of them were skipped, for ctest."""
    program = unittest.main(verbosity=2, exit=False)
    result = program.result
    if not result.wasSuccessful(): sys.exit(1)
    sys.exit(77 if result.skipped and len(result.skipped) == result.testsRun else 0)
