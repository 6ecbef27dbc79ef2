# SPDX-License-Identifier: Apache-2.0
"""What must hold in rendered manifests beyond their schemas. Each rule takes the documents and
yields one sentence a violation.
"""

import pathlib
import re

import component_rules
import link_rules
import manifests
import store_rules
from binaries import help_of, own_settings, reference, settings, variable_of
from manifests import (
    HEALTH,
    HEALTH_PORT,
    METRICS_PORT,
    PORTS,
    RANKS_PORT,
    binary_of,
    container_of,
    labels_of,
    of_kind,
    pod_of,
    workloads,
)

# Environment of other libraries that a manifest may set; everything else must be a key of ours or
# used in the arguments.
OTHERS = {
    *("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "POD_NAME"),
    *("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("NCCL_SOCKET_IFNAME", "NCCL_DEBUG"),
    *("NVIDIA_DRIVER_CAPABILITIES", "CUDA_CACHE_DISABLE"),
    "PGPASSFILE",
}
# Seconds that each needs from SIGTERM to its end, beyond scheduler.drain_seconds: the constants of
# its code and room for a slow disk.
DRAIN = {
    "branch-scheduler": 10,
    "learner": 60,
    "learner-rank": 60,
    "verifier": 15,
    "rollout-worker": 10,
}
SANDBOX = manifests.ROOT / "services/verifier/process/sandbox.h"
# What the verifier itself takes, its queue included.
VERIFIER_BYTES = 512 << 20
# The configuration key of each service's own address.
ADDRESS_KEYS = {
    "branch-scheduler": "scheduler.address",
    "learner": "learner.address",
    "verifier": "verifier.address",
}
CERTIFICATE_KEYS = ("security.certificate", "security.key", "security.ca")


# Parts of documents.


def ports_of(workload):
    """{name: number} of the container's ports."""
    return {port["name"]: port["containerPort"] for port in container_of(workload)["ports"]}


def environment_of(workload):
    """{name: value} of the container's environment."""
    return {entry["name"]: entry.get("value") for entry in container_of(workload).get("env", [])}


def chosen(docs, labels):
    """The workloads whose pods have these labels."""
    return [
        name
        for name, workload in workloads(docs).items()
        if labels.items() <= labels_of(workload).items()
    ]


# The rules.


def selectors(docs):
    """Selectors pick the pods they mean; ports of Services are there."""
    for name, workload in workloads(docs).items():
        spec = workload["spec"]
        selected = spec.get("selector", {}).get("matchLabels", {})  # that of a Job is made for it
        if not selected.items() <= labels_of(workload).items():
            yield f"{name}: its selector does not match its own pods"
        if "serviceName" in spec and spec["serviceName"] not in of_kind(docs, "Service"):
            yield f"{name}: no Service {spec['serviceName']}"
    yield from service_selectors(docs)
    yield from budget_selectors(docs)


def service_selectors(docs):
    for name, service in of_kind(docs, "Service").items():
        pods = chosen(docs, service["spec"]["selector"])
        if pods != [name]:
            yield f"Service {name}: selects {pods}"
            continue
        if service["spec"].get("clusterIP") != "None":
            yield f"Service {name}: is not headless, gRPC would keep to one pod"
        ports = ports_of(workloads(docs)[name])
        for port in service["spec"]["ports"]:
            target = port["targetPort"]
            if ports.get(target) != port["port"]:
                yield f"Service {name}: port {port['port']} leads to {target} of {ports}"


def budget_selectors(docs):
    for name, budget in of_kind(docs, "PodDisruptionBudget").items():
        spec = budget["spec"]
        pods = chosen(docs, spec["selector"]["matchLabels"])
        if pods != [name]:
            yield f"PodDisruptionBudget {name}: selects {pods}"
        if spec.get("maxUnavailable") in (0, "0%") or "minAvailable" in spec:
            yield f"PodDisruptionBudget {name}: may block the drain of a node for ever"


def rights(docs):
    """The restricted pod security standard, a read-only root, an account of its own without a
    token.
    """
    for name, namespace in of_kind(docs, "Namespace").items():
        labels = namespace["metadata"].get("labels", {})
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {name}: does not enforce the restricted standard"
    accounts = of_kind(docs, "ServiceAccount")
    for name, workload in workloads(docs).items():
        pod = pod_of(workload)
        wrongs = [*pod_rights(pod), *account_rights(pod, name, accounts)]
        for container in pod["containers"] + pod.get("initContainers", []):
            wrongs += container_rights(container.get("securityContext", {}))
        for wrong in wrongs:
            yield f"{name}: {wrong}"


def pod_rights(pod):
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares namespaces of the host"


def account_rights(pod, name, accounts):
    if pod.get("serviceAccountName") != name or name not in accounts:
        yield "has no account of its own"
    holders = (pod, accounts.get(name, {}))
    if any(holder.get("automountServiceAccountToken") is not False for holder in holders):
        yield "mounts a token"


def container_rights(context):
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root is writable"
    if context.get("capabilities", {}) != {"drop": ["ALL"]}:
        yield "keeps capabilities"


def probes(docs):
    """Three probes each, of the port that serves health, under the name that the service answers
    to.
    """
    for name, workload in workloads(docs).items():
        ports, health = ports_of(workload), PORTS[name]
        wanted = {"grpc": PORTS[name], "metrics": METRICS_PORT}
        if name == "learner-rank":
            del wanted["grpc"]
        if "RANK" in environment_of(workload):
            wanted["ranks"] = RANKS_PORT
        if "ATTNRL_OBSERVE_HEALTH_ADDRESS" in environment_of(workload):
            wanted["health"] = health = HEALTH_PORT
        if ports != wanted:
            yield f"{name}: has the ports {ports}"
        expected = {
            "startupProbe": HEALTH[name],
            "readinessProbe": HEALTH[name],
            "livenessProbe": "",
        }
        if name == "branch-scheduler" and store_rules.has_standby(docs):
            expected["startupProbe"] = ""  # a standby is alive, and not ready
        for kind, service in expected.items():
            asked = container_of(workload).get(kind, {}).get("grpc", {})
            if asked.get("port") != health or asked.get("service", "") != service:
                yield f"{name}: its {kind} asks {asked}"


def resources(docs):
    """Requests of both kinds and a limit of memory; images have a fixed tag; storage belongs to one
    node.
    """
    for name, workload in workloads(docs).items():
        container, spec = container_of(workload), workload["spec"]
        asked = container.get("resources", {})
        limits = asked.get("limits", {})
        if not {"cpu", "memory"} <= asked.get("requests", {}).keys() or "memory" not in limits:
            yield f"{name}: its resources are {asked}"
        if "cpu" in limits:
            yield f"{name}: has a limit of processor time"
        if container["image"].endswith(":latest"):
            yield f"{name}: image {container['image']} moves"
        for claim in spec.get("volumeClaimTemplates", []):
            if not set(claim["spec"]["accessModes"]) <= {"ReadWriteOnce", "ReadWriteOncePod"}:
                yield f"{name}: its volume may be written from several nodes"
        shared = name == "branch-scheduler" and store_rules.has_standby(docs)
        if workload["kind"] == "StatefulSet" and spec["replicas"] != 1 and not shared:
            yield f"{name}: has {spec['replicas']} replicas; there is one owner"


def graders(docs):
    """The verifier's container has room for all that its graders may take, so that one that takes
    too much dies alone.
    """
    needed = settings(docs)["verifier.children"] * grader_bytes() + VERIFIER_BYTES
    limit = container_of(workloads(docs)["verifier"])["resources"]["limits"]["memory"]
    if bytes_of(limit) < needed:
        yield f"verifier: its limit of memory is {limit}, its graders may take {needed >> 20}Mi"


def grader_bytes():
    (mib,) = re.findall(r"address_space_bytes = uint64_t\{(\d+)\} << 20;", SANDBOX.read_text())
    return int(mib) << 20


def bytes_of(quantity):
    return int(quantity[:-2]) << {"Mi": 20, "Gi": 30}[quantity[-2:]]


def grace(docs):
    """A pod's grace period is longer than what its service needs to end in order."""
    drain = float(settings(docs)["scheduler.drain_seconds"])
    for name, workload in workloads(docs).items():
        needed = DRAIN[name] + (drain if name == "rollout-worker" else 0)
        if pod_of(workload).get("terminationGracePeriodSeconds", 30) < needed:
            yield f"{name}: its grace period is shorter than {needed:g} s"


def volumes(docs):
    """Everything that is mounted exists, and the one ConfigMap is the one that is used."""
    config, _ = manifests.configuration(docs)
    for name, workload in workloads(docs).items():
        there = {volume["name"]: volume for volume in pod_of(workload).get("volumes", [])}
        templates = workload["spec"].get("volumeClaimTemplates", [])
        claims = {claim["metadata"]["name"] for claim in templates}
        mounts = container_of(workload)["volumeMounts"]
        mounted = {mount["name"] for mount in mounts}
        if mounted != there.keys() | claims:
            yield f"{name}: mounts {sorted(mounted)} of {sorted(there.keys() | claims)}"
        if there.get("config", {}).get("configMap", {}).get("name") != config:
            yield f"{name}: its configuration is not {config}"
        if any(mount.get("subPath") for mount in mounts):
            yield f"{name}: a subPath never gets a changed file"


def addresses(docs):
    """Callers find their peers by the Services' names and ports; each service listens where its
    ports say, on every interface.
    """
    keys = settings(docs)
    for name, key in ADDRESS_KEYS.items():
        if not is_service(docs, str(keys[key])):
            yield f"config.yaml: {key} {keys[key]} is no Service"
        variable = variable_of(key)
        value = environment_of(workloads(docs)[name]).get(variable)
        if value != f"0.0.0.0:{PORTS[name]}":
            yield f"{name}: {variable} is {value}"
    arguments = container_of(workloads(docs)["rollout-worker"])["args"]
    if f"0.0.0.0:{PORTS['rollout-worker']}" not in arguments:
        yield "rollout-worker: does not serve on every interface"
    metrics = keys["observe.metrics_address"]
    if metrics != f"0.0.0.0:{METRICS_PORT}":
        yield f"config.yaml: observe.metrics_address is {metrics}"


def is_service(docs, address):
    """Whether an address is the name and a port of a Service."""
    host, _, port = address.removeprefix("dns:///").rpartition(":")
    service = of_kind(docs, "Service").get(host)
    return service is not None and int(port) in [
        entry["port"] for entry in service["spec"]["ports"]
    ]


def certificates(docs):
    """Either no workload has a certificate, or each has one of its own role, under the names at
    which it is called, with a port for probes where its other one serves calls.
    """
    made = {doc["spec"]["secretName"]: doc["spec"] for doc in of_kind(docs, "Certificate").values()}
    run = settings(docs)["run.id"]
    for name, workload in workloads(docs).items() if made else ():
        if name == "learner-rank":
            continue  # talks to nobody but the other ranks
        mounts = {m["mountPath"]: m["name"] for m in container_of(workload)["volumeMounts"]}
        secrets = {
            volume["name"]: volume["secret"]["secretName"]
            for volume in pod_of(workload)["volumes"]
            if "secret" in volume
        }
        environment = environment_of(workload)
        for key in CERTIFICATE_KEYS:
            file = pathlib.PurePath(environment.get(variable_of(key), ""))
            secret = secrets.get(mounts.get(str(file.parent)))
            certificate = made.get(secret, {})
            if certificate.get("uris") != [f"spiffe://attnrl/{run}/{name}"]:
                yield f"{name}: {key} is {file} of the secret {secret}, which is not its own"
        names = certificate.get("dnsNames", [])
        if name in of_kind(docs, "Service") and name not in names:
            yield f"{name}: its certificate names {names}"
        health = environment.get("ATTNRL_OBSERVE_HEALTH_ADDRESS")
        served = name in ADDRESS_KEYS or name == "rollout-worker"
        if served and health != f"0.0.0.0:{HEALTH_PORT}":
            yield f"{name}: answers probes at {health}"


def flags(docs):
    """Commands, flags, environment and configuration keys are those of the binaries."""
    for key in own_settings(docs):
        if key not in reference():
            yield f"config.yaml: {key} is no key"
    variables = set(map(variable_of, reference()))
    for name, workload in workloads(docs).items():
        container, binary = container_of(workload), binary_of(name)
        if container["command"] != [binary]:
            yield f"{name}: runs {container['command']}"
        for word in container["args"]:
            if word.startswith("--") and not has_flag(binary, word):
                yield f"{name}: {binary} has no flag {word}"
        for variable in environment_of(workload):
            if variable not in variables | OTHERS:
                yield f"{name}: {variable} is no key of the configuration"


def has_flag(binary, flag):
    return re.search(rf"(^|\s){re.escape(flag)}\b", help_of(binary)) is not None


RULES = (
    selectors,
    rights,
    probes,
    resources,
    graders,
    grace,
    volumes,
    link_rules.links,
    addresses,
    certificates,
    flags,
    *component_rules.RULES,
    *store_rules.RULES,
)


def violations(docs):
    return [violation for rule in RULES for violation in rule(docs)]
