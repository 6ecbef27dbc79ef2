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
    "mtls": ROOT / "tests/k8s/mtls",  # base with the component
}
WORKLOADS = {
    "branch-scheduler": "StatefulSet",
    "learner": "StatefulSet",
    "rollout-worker": "Deployment",
    "verifier": "Deployment",
}
PORTS = {"branch-scheduler": 7001, "learner": 7002, "verifier": 7003, "rollout-worker": 7004}
METRICS_PORT = 9464
# Where a service that has TLS answers probes, which have no certificate.
HEALTH_PORT = 7010
# What each answers to in grpc.health.v1.
HEALTH = {
    "branch-scheduler": "branch-scheduler",
    "learner": "learner",
    "verifier": "verifier",
    "rollout-worker": "rollout",
}


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
    """{name: document} of the four workloads."""
    return {name: of_kind(docs, kind)[name] for name, kind in WORKLOADS.items()}


def labels_of(workload):
    """The labels of a workload's pods."""
    return workload["spec"]["template"]["metadata"]["labels"]


def pod_of(workload):
    return workload["spec"]["template"]["spec"]


def container_of(workload):
    return pod_of(workload)["containers"][0]


def configuration(docs):
    """(name, text) of the one ConfigMap."""
    ((name, doc),) = of_kind(docs, "ConfigMap").items()
    return name, doc["data"]["config.yaml"]
