# SPDX-License-Identifier: Apache-2.0
"""The manifests of k8s/ as the tests see them: rendered by `kubectl kustomize`, loaded, and looked
up by kind and name.
"""

import pathlib
import shutil
import subprocess

try:
    import yaml
except ImportError:
    yaml = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEV_CPU = ROOT / "k8s/overlays/dev-cpu"
# Every folder that renders by itself.
FOLDERS = {
    "base": ROOT / "k8s/base",
    "dev-cpu": DEV_CPU,
    "single-gpu": ROOT / "k8s/overlays/single-gpu",
    "multi-node": ROOT / "k8s/overlays/multi-node",
    "mtls": ROOT / "tests/k8s/overlays/mtls",  # base with the component
    "postgres": ROOT / "tests/k8s/overlays/postgres",  # that with a database and a standby
    "ranks": ROOT / "tests/k8s/overlays/ranks",  # base with a learner of two ranks
    "gpu-ranks": ROOT / "tests/k8s/overlays/gpu-ranks",  # these on GPUs, with TLS elsewhere
}
# What each service listens on; ranks of the learner but the first serve health alone.
PORTS = {
    "branch-scheduler": 7001,
    "learner": 7002,
    "verifier": 7003,
    "rollout-worker": 7004,
    "learner-rank": 7010,
}
METRICS_PORT = 9464
# Where a service that has TLS answers probes, which have no certificate.
HEALTH_PORT = 7010
# Where ranks of the learner meet.
RANKS_PORT = 29500
# What each answers to in grpc.health.v1.
HEALTH = {
    "branch-scheduler": "branch-scheduler",
    "learner": "learner",
    "verifier": "verifier",
    "rollout-worker": "rollout",
    "learner-rank": "learner",
}
NAME = "app.kubernetes.io/name"


def unavailable():
    """Why manifests can't be rendered here; empty where they can."""
    if yaml is None:
        return (
            "the Python module yaml is missing "
            "(Debian's python3-yaml, installed by tools/install test)"
        )
    if not shutil.which("kubectl"):
        return "kubectl is not installed"
    return ""


def render(folder):
    """The text that `kubectl apply -k` would send."""
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"kubectl kustomize {folder}: {done.stderr.strip()[-500:]}")
    return done.stdout


def load(folder):
    """The rendered documents."""
    return [doc for doc in yaml.safe_load_all(render(folder)) if doc]


def of_kind(docs, kind):
    """{name: document} of one kind."""
    return {doc["metadata"]["name"]: doc for doc in docs if doc["kind"] == kind}


def workloads(docs):
    """{name: document} of everything that runs pods. Of a JobSet each of its jobs is one, under the
    name that its pods have as a label.
    """
    found = {**of_kind(docs, "StatefulSet"), **of_kind(docs, "Deployment")}
    for jobset in of_kind(docs, "JobSet").values():
        for job in jobset["spec"]["replicatedJobs"]:
            spec = {**job["template"]["spec"], "replicas": job["replicas"]}
            workload = {"kind": "Job", "metadata": {"name": job["name"]}, "spec": spec}
            found[labels_of(workload)[NAME]] = workload
    return found


def binary_of(name):
    """The program of a workload."""
    return "attnrl-learner" if name == "learner-rank" else f"attnrl-{name}"


def labels_of(workload):
    """The labels of a workload's pods."""
    return workload["spec"]["template"]["metadata"]["labels"]


def pod_of(workload):
    return workload["spec"]["template"]["spec"]


def container_of(workload):
    return pod_of(workload)["containers"][0]


def configuration(docs):
    """(name, text) of the one ConfigMap with the services' configuration."""
    ((name, text),) = (
        (name, doc["data"]["config.yaml"])
        for name, doc in of_kind(docs, "ConfigMap").items()
        if "config.yaml" in doc["data"]
    )
    return name, text
