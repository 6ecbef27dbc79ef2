# SPDX-License-Identifier: Apache-2.0
"""`tools/check k8s`: builds the image and plays the rendered dev-cpu overlay in real containers. The four services find each other
by name over TCP and finish a short run; a second worker joins in mid-run; the first is stopped with its grace period; nothing is lost.

Exit code 0 and `passed`, 77 and the reason where containers can't run here, 1 and what went wrong. TEST_BIN_DIR names the binaries
(default build/bin); logs of the services stay in build/check/k8s/."""
import copy, json, os, pathlib, shutil, signal, subprocess, sys, tempfile, time

import manifests, podman
from manifests import HEALTH, METRICS_PORT, PORTS, ROOT, WORKLOADS, yaml
from podman import Failed, Podman

BIN = pathlib.Path(os.environ.get("TEST_BIN_DIR", ROOT / "build/bin")).resolve()
LOGS = ROOT / "build/check/k8s"
USER = 65532


def say(text): print(f"[{time.monotonic() - BEGIN:6.1f} s] {text}", flush=True)


def wait_until(what, condition, seconds, about=lambda: ""):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value: return value
        if time.monotonic() > deadline: raise Failed(f"waited {seconds} s for {what}. {about()}")
        time.sleep(0.5)


def claims_of(pod, workload):
    """What a cluster makes of volumeClaimTemplates: a claim for the pod, and the pod's volume on it."""
    documents = []
    for template in workload["spec"].get("volumeClaimTemplates", []):
        name = f"{template['metadata']['name']}-{pod['metadata']['name']}"
        # podman has no fsGroup; the volume gets its owner from these.
        owner = {"volume.podman.io/uid": str(USER), "volume.podman.io/gid": str(USER)}
        documents.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "annotations": owner}, "spec": template["spec"]})
        pod["spec"].setdefault("volumes", []).append({"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}})
    return documents


def pod_documents(docs, workload, pod_name):
    """The documents of one pod of a workload as podman plays them. What podman 4.3 can't do is done here: claims are made, the
    arguments' $(POD_NAME) is filled in, probes are left out (this check asks instead), and ports, which podman would publish on
    the host, so that replicas collide."""
    template = copy.deepcopy(workload["spec"]["template"])
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod_name, "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    for container in pod["spec"]["containers"]:
        for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe"): container.pop(key, None)
        container["args"] = [word.replace("$(POD_NAME)", pod_name) for word in container["args"]]
    configs = list(manifests.of_kind(docs, "ConfigMap").values())
    return "---\n".join(yaml.safe_dump(document) for document in claims_of(pod, workload) + configs + [pod])


class Cluster:
    """The pods of one played overlay."""
    def __init__(self, world, docs):
        self.world, self.docs, self.workloads, self.addresses = world, docs, manifests.workloads(docs), {}

    def start(self, role, index=0):
        pod = f"{role}-{index}"
        self.world.play(pod_documents(self.docs, self.workloads[role], pod), alias=role)
        self.addresses[pod] = self.world.address(pod)
        return pod

    @staticmethod
    def role(pod): return pod.rsplit("-", 1)[0]

    def container(self, pod): return f"{pod}-{self.role(pod)}"

    def running(self, pod):
        state = self.world.inspect(self.container(pod))["State"]
        if not state["Running"]: raise Failed(f"{pod} ended with exit code {state['ExitCode']}: {self.world.logs(self.container(pod)).strip()[-600:]}")
        return True

    def wait_ready(self, pod, seconds=120):
        role = self.role(pod)
        ready = lambda: self.running(pod) and podman.health(self.addresses[pod], PORTS[role], HEALTH[role])
        wait_until(f"{pod} to be ready", ready, seconds, lambda: self.world.logs(self.container(pod))[-600:])

    def stop(self, pod):
        """Stops a pod as a cluster would; its exit code must be 0 before the grace period ends."""
        grace = self.workloads[self.role(pod)]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        code, seconds = self.world.stop(pod, self.container(pod), grace)
        if code != 0 or seconds >= grace: raise Failed(f"{pod} ended with exit code {code} after {seconds:.1f} s of {grace} s: {self.world.logs(self.container(pod))[-600:]}")
        say(f"{pod} was stopped: exit code 0 after {seconds:.1f} s of {grace} s")

    def log(self, pod):
        """What the pod said on stderr, and in the log of its run directory where it has one."""
        text = self.world.logs(self.container(pod))
        if "volumeClaimTemplates" in self.workloads[self.role(pod)]["spec"]:
            try: text += (self.world.volume(f"run-{pod}") / f"logs/{self.role(pod)}.log").read_text()
            except OSError: pass
        return text

    def save_logs(self):
        for pod in self.addresses: (LOGS / f"{pod}.log").write_text(self.log(pod))


class Records:
    """What the run wrote, read on its volumes."""
    def __init__(self, world):
        self.run, self.weights = world.volume("run-branch-scheduler-0"), world.volume("run-learner-0")

    def jsonl(self, path):
        try: return [json.loads(line) for line in (self.run / path).read_text().splitlines(True) if line.endswith("\n")]
        except OSError: return []

    def steps(self): return [line["step"] for line in self.jsonl("metrics.jsonl")]

    def workers(self): return {line["worker"] for line in self.jsonl("events.jsonl") if line["worker"]}

    def check(self, steps, workers):
        """One line a step, every batch complete, both workers in it, the last checkpoint there."""
        problems = []
        if self.steps() != list(range(steps)): problems.append(f"metrics.jsonl has the steps {self.steps()}")
        if not workers <= self.workers(): problems.append(f"events.jsonl names the workers {sorted(self.workers())}")
        for batch, line in enumerate(self.jsonl("metrics.jsonl")):
            rows = self.jsonl(f"trees/batch-{batch}.jsonl")
            if len(rows) != line["problems"]: problems.append(f"trees/batch-{batch}.jsonl has {len(rows)} of {line['problems']} problems")
            leaves = sum(1 + sum(len(branch["children"]) for branch in response["branches"]) for row in rows for response in row["responses"])
            if leaves != line["leaves"]: problems.append(f"batch {batch} has {leaves} of {line['leaves']} leaves")
        folder = self.weights / f"checkpoints/step-{steps}"
        if not list(folder.glob("*.safetensors")): problems.append(f"no weights in {folder.relative_to(self.weights)}")
        if problems: raise Failed("; ".join(problems))


def check_container(cluster, pod):
    """What the manifest asks for was in force: user, read-only root, no capability; and the log repeats that TCP is plain."""
    details, problems = cluster.world.inspect(cluster.container(pod)), []
    if details["Config"]["User"].split(":")[0] != str(USER): problems.append(f"user {details['Config']['User']}")
    if not details["HostConfig"]["ReadonlyRootfs"]: problems.append("its root is writable")
    if details["EffectiveCaps"]: problems.append(f"capabilities {details['EffectiveCaps']}")
    if "security.allow_plaintext" not in cluster.log(pod): problems.append("its log does not repeat security.allow_plaintext")
    if problems: raise Failed(f"{pod}: {', '.join(problems)}")


def play(world, folder):
    docs = manifests.load(manifests.DEV_CPU)
    steps = yaml.safe_load(manifests.configuration(docs)[1])["run"]["steps"]
    image = manifests.container_of(manifests.workloads(docs)["learner"])["image"]
    subprocess.run([ROOT / "deploy/containers/collect", BIN, folder / "image"], check=True, timeout=300)
    world.build(ROOT / "deploy/containers/Containerfile", "prebuilt", folder / "image", image)
    shutil.rmtree(folder / "image")
    say(f"{image} is built from {BIN}")

    cluster = Cluster(world, docs)
    try:
        # A cluster starts them in any order: first those that wait for others.
        pods = [cluster.start(role) for role in ("rollout-worker", "learner", "branch-scheduler", "verifier")]
        for pod in pods: cluster.wait_ready(pod)
        for pod in pods:
            wait_until(f"/metrics of {pod}", lambda pod=pod: "attnrl_build_info" in podman.metrics(cluster.addresses[pod], METRICS_PORT), 30)
        say("all four are ready and serve metrics")
        records = Records(world)
        alive = lambda: all(cluster.running(pod) for pod in pods)
        about = lambda: f"steps {records.steps()}"
        wait_until("the first step", lambda: alive() and len(records.steps()) >= 1, 600, about)
        say("the first step is trained; a second worker joins")
        pods.append(cluster.start("rollout-worker", 1))
        wait_until("results of the second worker", lambda: alive() and "rollout-worker-1" in records.workers(), 300, about)
        if len(records.steps()) >= steps - 1: raise Failed("the run was over before the second worker had worked")
        say(f"the second worker works, at step {len(records.steps())} of {steps}; the first is stopped")
        for pod in pods: check_container(cluster, pod)
        cluster.stop(pods.pop(0))
        wait_until(f"step {steps}", lambda: alive() and len(records.steps()) >= steps, 900, about)
        # The last line is written after its checkpoint is durable.
        records.check(steps, {"rollout-worker-0", "rollout-worker-1"})
        for pod in pods: cluster.running(pod)
        say(f"{steps} steps are trained, one line each, every batch is whole, the last checkpoint is there")
        for pod in reversed(pods): cluster.stop(pod)
    finally: cluster.save_logs()


def main():
    why_not = manifests.unavailable() or podman.unavailable()
    if why_not: print(f"skipped: {why_not}"); return 77
    if not (BIN / "attnrl").exists(): print(f"error: {BIN}/attnrl: is not built; run tools/build, or set TEST_BIN_DIR"); return 1
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    # However it is ended, containers are taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="attnrl-k8s-", dir="/var/tmp"))
    world = Podman(folder / "podman")
    try:
        why_not = world.trial()
        if why_not: print(f"skipped: {why_not}"); return 77
        play(world, folder)
    except (Failed, subprocess.SubprocessError) as error:
        print(f"failed: {error}\nlogs of the services: {LOGS}"); return 1
    finally:
        world.remove_everything()
        shutil.rmtree(folder, ignore_errors=True)
    print("passed")
    return 0


BEGIN = time.monotonic()
if __name__ == "__main__": sys.exit(main())
