# SPDX-License-Identifier: Apache-2.0
"""podman and buildah with settings and storage of their own, so that a check leaves nothing of
itself on the machine and sees nothing that is there.
"""

import json
import os
import pathlib
import shutil
import subprocess
import time

COMMANDS = ["podman", "buildah", "runc", "curl", "zstd"]

# crun refuses hybrid cgroups, and without systemd neither its cgroups nor its journal are there.
# Limits above 1024 can't be set without the privilege to raise them.
CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE_CONF = """[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


def unavailable():
    """Why containers can't be played here; empty where it can be tried."""
    if os.geteuid() != 0:
        return "playing containers needs root"
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if missing:
        return f"{', '.join(missing)} not installed; run as root: tools/install k8s"
    return ""


class Failed(AssertionError):
    """What was expected of the containers did not happen."""


class Podman:
    """One private world: images, volumes, networks and pods under `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        # podman serves names by the name of the network, over all storages of the machine.
        self.network = f"attnrl-check-{os.getpid()}"
        for name in ("graph", "run", "tmp", "networks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        containers_conf = self.folder / "containers.conf"
        containers_conf.write_text(CONTAINERS_CONF.format(folder=self.folder))
        storage_conf = self.folder / "storage.conf"
        storage_conf.write_text(STORAGE_CONF.format(folder=self.folder))
        self.policy = self.folder / "policy.json"
        self.policy.write_text(POLICY)
        self.env = {
            **os.environ,
            "CONTAINERS_CONF": str(containers_conf),
            "CONTAINERS_STORAGE_CONF": str(storage_conf),
        }

    def call(self, *words, seconds=120, check=True, input=None):
        """Runs a command in this world; Failed where it fails, unless `check` is false."""
        words = list(map(str, words))
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=seconds, env=self.env, input=input
        )
        if check and done.returncode:
            said = done.stderr.strip()[-600:]
            raise Failed(f"{' '.join(words[:6])}: exit {done.returncode}: {said}")
        return done

    def trial(self):
        """Why pods can't run on this machine; empty where one could: its pause process, with
        cgroups, network and all.
        """
        try:
            self.call("podman", "network", "create", self.network)
            self.call("podman", "pod", "create", "--name", "trial", "--network", self.network)
            self.call("podman", "pod", "start", "trial")
            self.call("podman", "pod", "rm", "--force", "--time", 0, "trial")
        except (Failed, subprocess.TimeoutExpired) as error:
            return f"podman can't run a pod here: {' '.join(str(error).split())[:400]}"
        return ""

    def build(self, containerfile, target, context, tag):
        """Without a daemon and without user namespaces: every RUN is a chroot."""
        how = ["--signature-policy", self.policy, "--isolation", "chroot", "--format", "oci"]
        what = ["--timestamp", 0, "--target", target, "--file", containerfile, "--tag", tag]
        self.call("buildah", "bud", *how, *what, context, seconds=600)

    def play(self, text, alias):
        """Plays Kubernetes documents; other pods find them by the name `alias`."""
        network = f"{self.network}:alias={alias}"
        self.call("podman", "kube", "play", "--network", network, "-", input=text, seconds=180)

    def inspect(self, container):
        return json.loads(self.call("podman", "container", "inspect", container).stdout)[0]

    def address(self, pod):
        """The pod's address on the network: that of its infra container."""
        infra = json.loads(self.call("podman", "pod", "inspect", pod).stdout)["InfraContainerID"]
        return self.inspect(infra)["NetworkSettings"]["Networks"][self.network]["IPAddress"]

    def volume(self, name):
        """Where a volume lies on this machine."""
        done = self.call("podman", "volume", "inspect", "--format", "{{.Mountpoint}}", name)
        return pathlib.Path(done.stdout.strip())

    def logs(self, container):
        done = self.call("podman", "logs", container, check=False)
        return done.stdout + done.stderr

    def stop(self, pod, container, grace):
        """SIGTERM, and SIGKILL after `grace` seconds, as a kubelet does. (exit code, seconds)."""
        start = time.monotonic()
        self.call("podman", "pod", "stop", "--time", grace, pod, seconds=grace + 60)
        return self.inspect(container)["State"]["ExitCode"], time.monotonic() - start

    def remove_everything(self):
        for words in (
            ["pod", "rm", "--all", "--force", "--time", "0"],
            ["rm", "--all", "--force", "--time", "0"],
            ["volume", "rm", "--all", "--force"],
            ["network", "rm", "--force", self.network],
            ["rmi", "--all", "--force"],
        ):
            self.call("podman", *words, check=False, seconds=180)
        shutil.rmtree(self.folder, ignore_errors=True)


def curl(*words, seconds, input=None):
    """What a server answers, as bytes; empty while there is none."""
    command = ["curl", "--silent", "--max-time", str(seconds), *words]
    return subprocess.run(command, input=input, capture_output=True).stdout


def health(address, port, service, seconds=5):
    """What a kubelet's probe asks. grpc.health.v1 by hand: one message with one text field each
    way, over HTTP/2 without TLS.
    """
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    answer = curl(
        "--http2-prior-knowledge",
        *("--header", "content-type: application/grpc"),
        *("--header", "te: trailers"),
        *("--data-binary", "@-"),
        f"http://{address}:{port}/grpc.health.v1.Health/Check",
        seconds=seconds,
        input=b"\0" + len(message).to_bytes(4, "big") + message,
    )
    return answer[5:] == b"\x08\x01"  # HealthCheckResponse {status: SERVING}


def metrics(address, port, seconds=5):
    """What /metrics serves; empty while nobody answers."""
    return curl(f"http://{address}:{port}/metrics", seconds=seconds).decode()
