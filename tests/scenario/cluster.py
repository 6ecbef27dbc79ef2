# SPDX-License-Identifier: Apache-2.0
"""The four services of a run, each started by itself as on a cluster, and reached by loopback TCP:
plainly, or with mutual TLS and the certificates of tools/make-certs.
"""

import os
import signal
import subprocess

from framework import BIN, CONFIG, ROOT, Run, free_port, settings, tail, wait_until

SECTIONS = {"branch-scheduler": "scheduler", "learner": "learner", "verifier": "verifier"}


def make_certificates(folder, *flags):
    """One certificate a role in `folder`; the completed process."""
    command = [str(ROOT / "tools/make-certs"), *flags, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def files_of(certificates, role):
    """{file: path} of a role: certificate, key and ca."""
    return {
        "certificate": certificates / f"{role}.crt",
        "key": certificates / f"{role}.key",
        "ca": certificates / "ca.crt",
    }


def security(certificates, role):
    """The keys of the configuration that give a service its certificate."""
    return {f"security.{name}": file for name, file in files_of(certificates, role).items()}


def flags_of(certificates, role):
    """The same for the commands of `attnrl`."""
    files = files_of(certificates, role)
    return [word for name, file in files.items() for word in (f"--{name}", str(file))]


class Services:
    """One run without `attnrl train`. Its records are read as those of a Run."""

    lines = Run.lines
    digest = Run.digest
    trees = Run.trees

    def __init__(self, folder, name, *maps, certificates=None, workers=1):
        self.dir = folder / name
        self.name = name
        self.addresses = {role: f"localhost:{free_port()}" for role in SECTIONS}
        self.processes = {}
        (self.dir / "logs").mkdir(parents=True)
        addresses = {f"{SECTIONS[role]}.address": at for role, at in self.addresses.items()}
        for role in (*SECTIONS, *(f"rollout-worker {i}" for i in range(workers))):
            own = security(certificates, role.split()[0]) if certificates else {}
            self.start(role, settings(*maps, addresses, own))

    def start(self, role, flags):
        binary, _, number = role.partition(" ")
        command = [BIN / f"attnrl-{binary}", "--config", CONFIG, "--run-dir", self.dir]
        command += ["--name", f"{binary}{number and '-' + number}", *flags]
        with open(self.dir / f"logs/{role.replace(' ', '-')}.out", "wb") as out:
            self.processes[role] = subprocess.Popen(
                list(map(str, command)),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
            )

    def about(self):
        outs = sorted((self.dir / "logs").glob("*.out"))
        return f"run {self.name}: " + "; ".join(f"{out.stem}: {tail(out)}" for out in outs)

    def wait_for_step(self, step, seconds=180):
        """Until metrics.jsonl has the line of `step` (from 0); no service may end before."""

        def reached():
            for role, process in self.processes.items():
                if process.poll() is not None:
                    raise AssertionError(f"{role} ended before step {step}. {self.about()}")
            return len(self.lines()) > step

        wait_until(f"step {step} in metrics.jsonl", reached, seconds, self.about)

    def stop(self):
        """SIGTERM to all; {role: exit code}."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {role: process.wait(60) for role, process in self.processes.items()}

    def kill_everything(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
