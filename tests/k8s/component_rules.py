# SPDX-License-Identifier: Apache-2.0
"""What must hold of GPUs, ranks of the learner, scaling and monitoring, where a render has them.
Rules like those of rules.py.
"""

import functools
import pathlib
import re

from binaries import settings
from manifests import (
    NAME,
    RANKS_PORT,
    ROOT,
    container_of,
    labels_of,
    of_kind,
    pod_of,
    workloads,
)

GPU = "nvidia.com/gpu"
# The configuration key that says on what a workload computes.
DEVICE_KEYS = {
    "rollout-worker": "rollout.device",
    "learner": "learner.device",
    "learner-rank": "learner.device",
}
RANK_LABEL = "metadata.labels['jobset.sigs.k8s.io/job-global-index']"
# An int32 in JobSet's schema.
MOST_RESTARTS = 2**31 - 1
# What every way to scrape gives a pod's series (deploy/prometheus, the PodMonitor).
TARGET_LABELS = {"process", "run"}
METRIC_NAMES = ROOT / "common/observe/metric_names.h"
EXPIRY = r"certificate_expiry_timestamp_seconds\) - time\(\)"
SUFFIXES = r"_(bucket|sum|count)$"
# Seconds that two steps of the published runs take (deploy/local/paper).
TWO_STEPS = 2 * 451


def gpus(docs):
    """A workload has a GPU, and may run where GPUs are, exactly where it computes on one."""
    keys = settings(docs)
    for name, workload in workloads(docs).items():
        pod, container = pod_of(workload), container_of(workload)
        wanted = keys.get(DEVICE_KEYS.get(name), "cpu") != "cpu"
        asked = container["resources"].get("limits", {}).get(GPU)
        if wanted != (asked == "1"):
            yield f"{name}: computes on {'a GPU' if wanted else 'the CPU'} and asks for {asked}"
        tolerated = [entry["key"] for entry in pod.get("tolerations", [])]
        if wanted != (GPU in tolerated):
            yield f"{name}: tolerates the taints {tolerated}"
        if wanted != ("cuda" in container["image"]):
            yield f"{name}: runs the image {container['image']}"
        if not wanted:
            continue
        driver = dict(variables(container)).get("NVIDIA_DRIVER_CAPABILITIES", "").split(",")
        if not {"compute", "utility"} <= set(driver):
            yield f"{name}: gets {driver} of the driver; metrics need utility"
        if not pod.get("nodeSelector"):
            yield f"{name}: may be put on a node without a GPU"
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        shared = [m["name"] for m in container["volumeMounts"] if m["mountPath"] == "/dev/shm"]
        if [volumes[name].get("emptyDir", {}).get("medium") for name in shared] != ["Memory"]:
            yield f"{name}: has no shared memory of its own"


def variables(container):
    """(name, value) of the environment; of a field its path."""
    for entry in container.get("env", []):
        field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        yield entry["name"], entry.get("value", field)


def ranks(docs):
    """Ranks of the learner know their number, their count and rank 0, which is one pod with the
    run's volume; they end and start together.
    """
    keys = settings(docs)
    if not of_kind(docs, "JobSet"):
        if keys["learner.ranks"] != 1:
            yield f"config.yaml: learner.ranks is {keys['learner.ranks']} without a JobSet"
        return
    jobset = of_kind(docs, "JobSet")["learner"]["spec"]
    first, *others = jobset["replicatedJobs"]
    count = 1 + sum(job["replicas"] for job in others)
    zero = f"learner-{first['name']}-0-0.{jobset['network'].get('subdomain')}"
    if first["replicas"] != 1 or keys["learner.ranks"] != count:
        yield f"JobSet learner: {count} ranks, and learner.ranks is {keys['learner.ranks']}"
    if count > 1 and not keys["security.allow_plaintext"]:
        yield "JobSet learner: ranks in several pods need security.allow_plaintext"
    if jobset["failurePolicy"].get("maxRestarts") != MOST_RESTARTS:
        yield "JobSet learner: stays down after a number of restarts"
    if not jobset["network"].get("publishNotReadyAddresses"):
        yield "JobSet learner: ranks that are not ready have no names"
    wanted = {
        "RANK": RANK_LABEL,
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": zero,
        "MASTER_PORT": str(RANKS_PORT),
    }
    if keys["learner.device"] != "cpu":
        wanted |= {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_DEBUG": "WARN"}
    for job in jobset["replicatedJobs"]:
        spec = job["template"]["spec"]
        if near(spec["template"]["spec"]) != {"learner", "learner-rank"}:
            yield f"JobSet learner: {job['name']}: is not put on the node of the other ranks"
        known = dict(variables(spec["template"]["spec"]["containers"][0]))
        for variable, value in wanted.items():
            if known.get(variable) != value:
                yield f"JobSet learner: {job['name']}: {variable} is {known.get(variable)}"
        together = spec["template"]["spec"]["restartPolicy"] == "Never" and not spec["backoffLimit"]
        if not together or (spec["parallelism"], spec["completions"]) != (1, 1):
            yield f"JobSet learner: {job['name']}: its pods don't end and start with the others"
    volumes = first["template"]["spec"]["template"]["spec"]["volumes"]
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in volumes}
    claim = (claims.get("run") or {}).get("claimName")
    if claim not in of_kind(docs, "PersistentVolumeClaim"):
        yield f"JobSet learner: rank 0 keeps its files in the claim {claim}"


def near(pod):
    """The names of the pods on whose node this one would rather be."""
    affinity = pod.get("affinity", {}).get("podAffinity", {})
    terms = [
        entry["podAffinityTerm"]
        for entry in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
    ]
    return {
        name
        for term in terms
        if term["topologyKey"] == "kubernetes.io/hostname"
        for wanted in term["labelSelector"]["matchExpressions"]
        if (wanted["key"], wanted["operator"]) == (NAME, "In")
        for name in wanted["values"]
    }


def scaling(docs):
    """What scales workers finds them, goes down to none, has the last word on their number, asks
    for a metric that there is, and waits longer than a pause between steps.
    """
    for name, scaled in of_kind(docs, "ScaledObject").items():
        spec = scaled["spec"]
        target = workloads(docs).get(spec["scaleTargetRef"]["name"])
        if target is None:
            yield f"ScaledObject {name}: there is no {spec['scaleTargetRef']['name']}"
        elif "replicas" in target["spec"]:
            yield f"ScaledObject {name}: the manifest says how many replicas there are"
        if spec.get("minReplicaCount", 0) != 0:
            yield f"ScaledObject {name}: keeps workers where there is no work"
        if spec["cooldownPeriod"] <= TWO_STEPS:
            yield f"ScaledObject {name}: gives workers up between two steps"
        for trigger in spec["triggers"]:
            query = trigger["metadata"]["query"]
            yield from unknown_metrics(f"ScaledObject {name}", query)
            if trigger["metadata"].get("ignoreNullValues") != "false":
                yield f"ScaledObject {name}: takes a scheduler that is away for no work"
            asked = set(re.findall(r"(\w+)=~?\"", query))
            if not asked <= TARGET_LABELS:
                yield f"ScaledObject {name}: asks for the labels {sorted(asked)}"
        if spec.get("fallback"):
            yield f"ScaledObject {name}: scales to a fixed number where Prometheus is away"


def monitoring(docs):
    """The monitor finds the metrics of every pod; alerts ask for metrics that there are, and say
    how bad it is and what to do; the dashboard has the label that Grafana looks for.
    """
    for name, monitor in of_kind(docs, "PodMonitor").items():
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        for workload_name, workload in workloads(docs).items():
            there = {port["name"] for port in container_of(workload)["ports"]}
            if not wanted <= labels_of(workload).items() or not ports <= there:
                yield f"PodMonitor {name}: does not find {workload_name}"
        given = {
            change.get("targetLabel")
            for endpoint in monitor["spec"]["podMetricsEndpoints"]
            for change in endpoint["relabelings"]
        }
        if not given >= TARGET_LABELS:
            yield f"PodMonitor {name}: gives only the labels {sorted(given)}"
    for name, rule in of_kind(docs, "PrometheusRule").items():
        for alert in (alert for group in rule["spec"]["groups"] for alert in group["rules"]):
            yield from alert_faults(f"PrometheusRule {name}: {alert['alert']}", alert)
    for name, config in of_kind(docs, "ConfigMap").items():
        labelled = config["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
        if labelled != ("training.json" in config["data"]):
            yield f"ConfigMap {name}: Grafana does not find its dashboard"


def renewal(docs):
    """A certificate is renewed a day or more before its alert would come."""
    rules = of_kind(docs, "PrometheusRule").values()
    groups = (group for rule in rules for group in rule["spec"]["groups"])
    expressions = [alert["expr"] for group in groups for alert in group["rules"]]
    days = [int(d) for text in expressions for d in re.findall(EXPIRY + r" < (\d+) \* 86400", text)]
    for name, certificate in of_kind(docs, "Certificate").items():
        before = certificate["spec"].get("renewBefore", "0h")
        hours = int(before.removesuffix("h"))
        if days and not certificate["spec"].get("isCA") and hours < 24 * (max(days) + 1):
            yield f"Certificate {name}: renewed {before} before its end, behind an alert"


def alert_faults(where, alert):
    yield from unknown_metrics(where, alert["expr"])
    for counter in sorted(set(re.findall(r"increase\((attnrl_\w+_total)", alert["expr"]))):
        if counter not in counters_from_zero():
            yield f"{where}: {counter} has no series before its first event"
    if alert["labels"].get("severity") not in ("critical", "warning"):
        yield f"{where}: has the severity {alert['labels'].get('severity')}"
    notes = alert["annotations"]
    if not notes.get("summary") or not notes.get("description"):
        yield f"{where}: does not say what it means"
    page, _, heading = notes.get("runbook", "").partition("#")
    path = pathlib.Path(ROOT, page)
    if not path.is_file() or f"## {alert['alert']}\n" not in path.read_text():
        yield f"{where}: its runbook {page}#{heading} is not there"


@functools.cache
def counters_from_zero():
    """The counters that a service starts at zero: in others Prometheus sees no first increase."""
    code = "".join(source.read_text() for source in pathlib.Path(ROOT, "services").rglob("*.cc"))
    lists = re.findall(r":\s*\{([^{}]*)\}\) *\{\s*observe::StartAtZero\(", code)
    started = set(re.findall(r"\bobserve::(k\w+)", "".join(lists)))
    started |= set(re.findall(r"\bobserve::StartAtZero\(observe::(k\w+)\)", code))
    named = re.findall(r'(k\w+) = \{\s*"(attnrl_\w+)",\s*MetricType', METRIC_NAMES.read_text())
    return {name for constant, name in named if constant in started}


def unknown_metrics(where, expression):
    known = set(re.findall(r'"(attnrl_\w+)",\s*MetricType', METRIC_NAMES.read_text()))
    for name in sorted(set(re.findall(r"attnrl_\w+", expression))):
        if name not in known and re.sub(SUFFIXES, "", name) not in known:
            yield f"{where}: {name} is no metric"


RULES = (gpus, ranks, scaling, monitoring, renewal)
