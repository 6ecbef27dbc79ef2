# SPDX-License-Identifier: Apache-2.0
"""`tools/check k8s`: builds the image and plays the rendered dev-cpu overlay in real containers.
The four services find each other by name over TCP and finish a short run; a second worker joins in
mid-run; the first is stopped with its grace period; nothing is lost.

Exit code 0 and `passed`, 77 and the reason where containers can't run here, 1 and what went wrong.
TEST_BIN_DIR names the binaries (default build/bin); logs of the services stay in build/check/k8s/.
"""

import contextlib
import copy
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import manifests
import podman
from manifests import HEALTH, METRICS_PORT, PORTS, ROOT, pod_of, yaml
from podman import Failed, Podman

BIN = pathlib.Path(os.environ.get("TEST_BIN_DIR", ROOT / "build/bin")).resolve()
LOGS = ROOT / "build/check/k8s"
USER = 65532
# What tools/check takes for skipped.
SKIPPED = 77
START = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def wait_until(what, condition, seconds, about=lambda: ""):
    """Until condition() is true; Failed naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s for {what}. {about()}")
        time.sleep(0.5)


def claims_of(pod, workload):
    """What a cluster makes of volumeClaimTemplates: a claim for the pod, and the pod's volume on
    it.
    """
    documents = []
    for template in workload["spec"].get("volumeClaimTemplates", []):
        volume = template["metadata"]["name"]
        claim = f"{volume}-{pod['metadata']['name']}"
        # podman has no fsGroup; the volume gets its owner from these.
        owner = {"volume.podman.io/uid": str(USER), "volume.podman.io/gid": str(USER)}
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": claim, "annotations": owner},
                "spec": template["spec"],
            }
        )
        volumes = pod["spec"].setdefault("volumes", [])
        volumes.append({"name": volume, "persistentVolumeClaim": {"claimName": claim}})
    return documents


def pod_documents(docs, workload, pod_name):
    """The documents of one pod of a workload as podman plays them. What podman 4.3 can't do is done
    here: claims are made, the arguments' $(POD_NAME) is filled in, probes are left out (this check
    asks instead), and ports, which podman would publish on the host, so that replicas collide.
    """
    template = copy.deepcopy(workload["spec"]["template"])
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod_name, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    for container in pod["spec"]["containers"]:
        for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
            container.pop(key, None)
        container["args"] = [word.replace("$(POD_NAME)", pod_name) for word in container["args"]]
    configs = list(manifests.of_kind(docs, "ConfigMap").values())
    documents = [*claims_of(pod, workload), *configs, pod]
    return "---\n".join(yaml.safe_dump(document) for document in documents)


def role_of(pod):
    return pod.rsplit("-", 1)[0]


def container_of(pod):
    """The name that podman gives the container of a pod."""
    return f"{pod}-{role_of(pod)}"


class Cluster:
    """The pods of one played overlay."""

    def __init__(self, world, docs):
        self.world = world
        self.docs = docs
        self.workloads = manifests.workloads(docs)
        self.addresses = {}

    def start(self, role, index=0):
        """Starts a pod; returns its name."""
        pod = f"{role}-{index}"
        self.world.play(pod_documents(self.docs, self.workloads[role], pod), alias=role)
        self.addresses[pod] = self.world.address(pod)
        return pod

    def end_of_output(self, pod):
        return self.world.logs(container_of(pod)).strip()[-600:]

    def check_running(self, pod):
        state = self.world.inspect(container_of(pod))["State"]
        if not state["Running"]:
            code = state["ExitCode"]
            raise Failed(f"{pod} ended with exit code {code}: {self.end_of_output(pod)}")

    def wait_ready(self, pod, seconds=120):
        role = role_of(pod)

        def ready():
            self.check_running(pod)
            return podman.health(self.addresses[pod], PORTS[role], HEALTH[role])

        wait_until(f"{pod} to be ready", ready, seconds, lambda: self.end_of_output(pod))

    def wait_for_metrics(self, pod, seconds=30):
        def served():
            return "attnrl_build_info" in podman.metrics(self.addresses[pod], METRICS_PORT)

        wait_until(f"/metrics of {pod}", served, seconds)

    def stop(self, pod):
        """Stops a pod as a cluster would; its exit code must be 0 before the grace period ends."""
        grace = pod_of(self.workloads[role_of(pod)])["terminationGracePeriodSeconds"]
        code, seconds = self.world.stop(pod, container_of(pod), grace)
        result = f"exit code {code} after {seconds:.1f} s of {grace} s"
        if code != 0 or seconds >= grace:
            raise Failed(f"{pod} ended with {result}: {self.end_of_output(pod)}")
        say(f"{pod} was stopped: {result}")

    def log(self, pod):
        """What the pod said on stderr, and in the log of its run directory where it has one."""
        role = role_of(pod)
        text = self.world.logs(container_of(pod))
        if "volumeClaimTemplates" in self.workloads[role]["spec"]:
            with contextlib.suppress(OSError):
                text += (self.world.volume(f"run-{pod}") / f"logs/{role}.log").read_text()
        return text

    def save_logs(self):
        for pod in self.addresses:
            (LOGS / f"{pod}.log").write_text(self.log(pod))

    def check_container(self, pod):
        """What the manifest asks for was in force: user, read-only root, no capability; and the log
        repeats that TCP is plain.
        """
        details = self.world.inspect(container_of(pod))
        user = details["Config"]["User"]
        capabilities = details["EffectiveCaps"]
        problems = []
        if user.split(":")[0] != str(USER):
            problems.append(f"user {user}")
        if not details["HostConfig"]["ReadonlyRootfs"]:
            problems.append("its root is writable")
        if capabilities:
            problems.append(f"capabilities {capabilities}")
        if "security.allow_plaintext" not in self.log(pod):
            problems.append("its log does not repeat security.allow_plaintext")
        if problems:
            raise Failed(f"{pod}: {', '.join(problems)}")


def count_leaves(rows):
    """The finished responses of a batch: initial ones and continuations."""
    responses = [response for row in rows for response in row["responses"]]
    branches = [branch for response in responses for branch in response["branches"]]
    return len(responses) + sum(len(branch["children"]) for branch in branches)


class Records:
    """What the run wrote, read on its volumes."""

    def __init__(self, world):
        self.run = world.volume("run-branch-scheduler-0")
        self.weights = world.volume("run-learner-0")

    def jsonl(self, path):
        """The whole lines of a file of the run directory, which may be written meanwhile."""
        try:
            if path.endswith(".zst"):
                text = subprocess.check_output(["zstd", "-dc", self.run / path], text=True)
            else:
                text = (self.run / path).read_text()
        except (OSError, subprocess.CalledProcessError):
            return []
        lines = text.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def steps(self):
        return [line["step"] for line in self.jsonl("metrics.jsonl")]

    def workers(self):
        return {line["worker"] for line in self.jsonl("events.jsonl") if line["worker"]}

    def check(self, steps, workers):
        """One line a step, every batch complete, both workers in it, the last checkpoint there."""
        problems = list(self.problems(steps, workers))
        if problems:
            raise Failed("; ".join(problems))

    def problems(self, steps, workers):
        if self.steps() != list(range(steps)):
            yield f"metrics.jsonl has the steps {self.steps()}"
        if not workers <= self.workers():
            yield f"events.jsonl names the workers {sorted(self.workers())}"
        for batch, line in enumerate(self.jsonl("metrics.jsonl")):
            file = f"trees/batch-{batch}.jsonl.zst"
            rows = self.jsonl(file)
            if len(rows) != line["problems"]:
                yield f"{file} has {len(rows)} of {line['problems']} problems"
            if count_leaves(rows) != line["leaves"]:
                yield f"{file} has {count_leaves(rows)} of {line['leaves']} leaves"
        checkpoint = f"checkpoints/step-{steps}"
        if not list((self.weights / checkpoint).glob("*.safetensors")):
            yield f"no weights in {checkpoint}"


def build_image(world, docs, folder):
    image = manifests.container_of(manifests.workloads(docs)["learner"])["image"]
    collect = ROOT / "deploy/containers/collect"
    subprocess.run([collect, BIN, folder / "image"], check=True, timeout=300)
    containerfile = ROOT / "deploy/containers/Containerfile"
    world.build(containerfile, "prebuilt", folder / "image", image)
    shutil.rmtree(folder / "image")
    say(f"{image} is built from {BIN}")


def play_run(cluster, steps):
    """The run from its start to its end, with everything that happens to it."""
    # A cluster starts them in any order: first those that wait for others.
    roles = ("rollout-worker", "learner", "branch-scheduler", "verifier")
    pods = [cluster.start(role) for role in roles]
    for pod in pods:
        cluster.wait_ready(pod)
    for pod in pods:
        cluster.wait_for_metrics(pod)
    say("all four are ready and serve metrics")
    records = Records(cluster.world)

    def wait_while_all_run(what, condition, seconds):
        def happened():
            for pod in pods:
                cluster.check_running(pod)
            return condition()

        wait_until(what, happened, seconds, lambda: f"steps {records.steps()}")

    wait_while_all_run("the first step", lambda: len(records.steps()) >= 1, 600)
    say("the first step is trained; a second worker joins")
    pods.append(cluster.start("rollout-worker", 1))
    wait_while_all_run(
        "results of the second worker", lambda: "rollout-worker-1" in records.workers(), 300
    )
    if len(records.steps()) >= steps - 1:
        raise Failed("the run was over before the second worker had worked")
    say(f"the second worker works, at step {len(records.steps())} of {steps}; the first is stopped")
    for pod in pods:
        cluster.check_container(pod)
    cluster.stop(pods.pop(0))

    wait_while_all_run(f"step {steps}", lambda: len(records.steps()) >= steps, 900)
    # The last line is written after its checkpoint is durable.
    records.check(steps, {"rollout-worker-0", "rollout-worker-1"})
    for pod in pods:
        cluster.check_running(pod)
    say(f"{steps} steps are trained: one line each, every batch whole, the last checkpoint there")
    for pod in reversed(pods):
        cluster.stop(pod)


def play(world, folder):
    docs = manifests.load(manifests.DEV_CPU)
    steps = yaml.safe_load(manifests.configuration(docs)[1])["run"]["steps"]
    build_image(world, docs, folder)
    cluster = Cluster(world, docs)
    try:
        play_run(cluster, steps)
    finally:
        cluster.save_logs()


def skip(reason):
    print(f"skipped: {reason}")
    return SKIPPED


def main():
    reason = manifests.unavailable() or podman.unavailable()
    if reason:
        return skip(reason)
    if not (BIN / "attnrl").exists():
        print(f"error: {BIN}/attnrl: is not built; run tools/build, or set TEST_BIN_DIR")
        return 1
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    # However it is ended, containers are taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="attnrl-k8s-", dir="/var/tmp"))
    world = Podman(folder / "podman")
    try:
        reason = world.trial()
        if reason:
            return skip(reason)
        play(world, folder)
    except (Failed, subprocess.SubprocessError) as error:
        print(f"failed: {error}\nlogs of the services: {LOGS}")
        return 1
    finally:
        world.remove_everything()
        shutil.rmtree(folder, ignore_errors=True)
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
