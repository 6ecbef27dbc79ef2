# SPDX-License-Identifier: Apache-2.0
"""What must hold in rendered manifests beyond their schemas. Each rule takes the documents and yields one sentence a violation."""
import functools, os, pathlib, re, subprocess

from manifests import HEALTH, METRICS_PORT, PORTS, ROOT, WORKLOADS, configuration, container_of, of_kind, pod_of, workloads, yaml

BIN = pathlib.Path(os.environ.get("TEST_BIN_DIR", ROOT / "build/bin")).resolve()
REFERENCE = ROOT / "deploy/local/reference.yaml"
# Environment of other libraries that a manifest may set; everything else must be a key of ours or used in the arguments.
OTHERS = {"OMP_WAIT_POLICY", "OMP_NUM_THREADS", "POD_NAME"}
# Who calls whom (caller, called); the port is the called one's.
LINKS = {("rollout-worker", "branch-scheduler"), ("rollout-worker", "learner"), ("learner", "branch-scheduler"), ("branch-scheduler", "verifier")}
# Seconds that each needs from SIGTERM to its end, beyond scheduler.drain_seconds: the constants of its code and room for a slow disk.
DRAIN = {"branch-scheduler": 10, "learner": 60, "verifier": 15, "rollout-worker": 10}
NAME = "app.kubernetes.io/name"


def flatten(tree, prefix=""):
    for key, value in (tree or {}).items():
        if isinstance(value, dict): yield from flatten(value, f"{prefix}{key}.")
        else: yield prefix + key, value


@functools.cache
def reference(): return dict(flatten(yaml.safe_load(REFERENCE.read_text())))


def settings(docs): return {**reference(), **dict(flatten(yaml.safe_load(configuration(docs)[1])))}


@functools.cache
def help_of(binary): return subprocess.run([str(BIN / binary), "--help"], capture_output=True, text=True, timeout=60).stdout


def each_workload(docs): return workloads(docs).items()


def selectors(docs):
    """Selectors pick the pods they mean; ports of Services are there."""
    labels = {}
    for name, workload in each_workload(docs):
        labels[name] = workload["spec"]["template"]["metadata"]["labels"]
        if not workload["spec"]["selector"]["matchLabels"].items() <= labels[name].items(): yield f"{name}: its selector does not match its own pods"
        if "serviceName" in workload["spec"] and workload["spec"]["serviceName"] not in of_kind(docs, "Service"): yield f"{name}: no Service {workload['spec']['serviceName']}"
    for name, service in of_kind(docs, "Service").items():
        chosen = [workload for workload, pod in labels.items() if service["spec"]["selector"].items() <= pod.items()]
        if chosen != [name]: yield f"Service {name}: selects {chosen}"; continue
        if service["spec"].get("clusterIP") != "None": yield f"Service {name}: is not headless, gRPC would keep to one pod"
        ports = {port["name"]: port["containerPort"] for port in container_of(workloads(docs)[name])["ports"]}
        for port in service["spec"]["ports"]:
            if ports.get(port["targetPort"]) != port["port"]: yield f"Service {name}: port {port['port']} leads to {port['targetPort']} of {ports}"
    for name, budget in of_kind(docs, "PodDisruptionBudget").items():
        chosen = [workload for workload, pod in labels.items() if budget["spec"]["selector"]["matchLabels"].items() <= pod.items()]
        if chosen != [name]: yield f"PodDisruptionBudget {name}: selects {chosen}"
        if budget["spec"].get("maxUnavailable") in (0, "0%") or "minAvailable" in budget["spec"]: yield f"PodDisruptionBudget {name}: may block the drain of a node for ever"


def rights(docs):
    """The restricted pod security standard, a read-only root, an account of its own without a token."""
    for name, namespace in of_kind(docs, "Namespace").items():
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted": yield f"Namespace {name}: does not enforce the restricted standard"
    accounts = of_kind(docs, "ServiceAccount")
    for name, workload in each_workload(docs):
        pod, context = pod_of(workload), pod_of(workload).get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"): yield f"{name}: may run as root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault": yield f"{name}: has no seccomp profile"
        if pod.get("serviceAccountName") != name or name not in accounts: yield f"{name}: has no account of its own"
        if pod.get("automountServiceAccountToken") is not False or accounts.get(name, {}).get("automountServiceAccountToken") is not False: yield f"{name}: mounts a token"
        if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")): yield f"{name}: shares namespaces of the host"
        for container in pod["containers"] + pod.get("initContainers", []):
            own = container.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False: yield f"{name}: may gain privileges"
            if own.get("readOnlyRootFilesystem") is not True: yield f"{name}: its root is writable"
            if own.get("capabilities", {}) != {"drop": ["ALL"]}: yield f"{name}: keeps capabilities"


def probes(docs):
    """Three probes each, of the port that serves health, under the name that the service answers to."""
    for name, workload in each_workload(docs):
        container = container_of(workload)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        if ports != {"grpc": PORTS[name], "metrics": METRICS_PORT}: yield f"{name}: has the ports {ports}"
        for kind, service in (("startupProbe", HEALTH[name]), ("readinessProbe", HEALTH[name]), ("livenessProbe", "")):
            asked = container.get(kind, {}).get("grpc", {})
            if asked.get("port") != PORTS[name] or asked.get("service", "") != service: yield f"{name}: its {kind} asks {asked}"


def resources(docs):
    """Requests of both kinds and a limit of memory; images have a fixed tag; storage belongs to one node."""
    for name, workload in each_workload(docs):
        asked = container_of(workload).get("resources", {})
        if not {"cpu", "memory"} <= asked.get("requests", {}).keys() or "memory" not in asked.get("limits", {}): yield f"{name}: its resources are {asked}"
        if "cpu" in asked.get("limits", {}): yield f"{name}: has a limit of processor time"
        image = container_of(workload)["image"]
        if ":" in image.rsplit("/", 1)[-1] and image.endswith(":latest"): yield f"{name}: image {image} moves"
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            if not set(claim["spec"]["accessModes"]) <= {"ReadWriteOnce", "ReadWriteOncePod"}: yield f"{name}: its volume may be written from several nodes"
        if WORKLOADS[name] == "StatefulSet" and workload["spec"]["replicas"] != 1: yield f"{name}: has {workload['spec']['replicas']} replicas; there is one owner"


def grace(docs):
    """A pod's grace period is longer than what its service needs to end in order."""
    drain = float(settings(docs)["scheduler.drain_seconds"])
    for name, workload in each_workload(docs):
        needed = DRAIN[name] + (drain if name == "rollout-worker" else 0)
        if pod_of(workload).get("terminationGracePeriodSeconds", 30) < needed: yield f"{name}: its grace period is shorter than {needed:g} s"


def volumes(docs):
    """Everything that is mounted exists, and the one ConfigMap is the one that is used."""
    config, _ = configuration(docs)
    for name, workload in each_workload(docs):
        there = {volume["name"]: volume for volume in pod_of(workload).get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        mounts = {mount["name"] for mount in container_of(workload)["volumeMounts"]}
        if mounts != there.keys() | claims: yield f"{name}: mounts {sorted(mounts)} of {sorted(there.keys() | claims)}"
        if there.get("config", {}).get("configMap", {}).get("name") != config: yield f"{name}: its configuration is not {config}"
        if any(mount.get("subPath") for mount in container_of(workload)["volumeMounts"]): yield f"{name}: a subPath never gets a changed file"


def links(docs):
    """Nothing is allowed but the links that exist, each at both ends, DNS for callers, and metrics for Prometheus."""
    policies = of_kind(docs, "NetworkPolicy")
    deny = policies.get("default-deny", {}).get("spec", {})
    if deny.get("podSelector") != {} or set(deny.get("policyTypes", [])) != {"Ingress", "Egress"} or deny.get("ingress") or deny.get("egress"): yield "NetworkPolicy default-deny: does not deny everything"
    found = {"ingress": set(), "egress": set()}
    for policy in policies.values():
        me = policy["spec"]["podSelector"].get("matchLabels", {}).get(NAME)
        for direction, end in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                if not rule.get(end) or not rule.get("ports"): yield f"NetworkPolicy {policy['metadata']['name']}: a rule without peers or ports allows all"
                for peer in rule.get(end, []):
                    for port in rule.get("ports", []):
                        other = "DNS" if port["port"] == 53 else peer.get("podSelector", {}).get("matchLabels", {}).get(NAME)
                        found[direction].add((other, me, port["port"]) if direction == "ingress" else (me, other, port["port"]))
    between = {(caller, called, PORTS[called]) for caller, called in LINKS}
    wanted = {"ingress": between | {("prometheus", None, METRICS_PORT)}, "egress": between | {(caller, "DNS", 53) for caller, _ in LINKS}}
    for direction in found:
        for link in sorted(map(str, found[direction] ^ wanted[direction])): yield f"NetworkPolicies, {direction}: {link} is {'missing' if link in map(str, wanted[direction]) else 'not a link that exists'}"


def addresses(docs):
    """Callers find their peers by the Services' names and ports; each service listens where its ports say, on every interface."""
    keys, services = settings(docs), of_kind(docs, "Service")
    listening = {"branch-scheduler": "scheduler.address", "learner": "learner.address", "verifier": "verifier.address"}
    for name, key in listening.items():
        host, _, port = str(keys[key]).removeprefix("dns:///").rpartition(":")
        if host not in services or int(port) not in [entry["port"] for entry in services[host]["spec"]["ports"]]: yield f"config.yaml: {key} {keys[key]} is no Service"
        environment = {entry["name"]: entry.get("value") for entry in container_of(workloads(docs)[name]).get("env", [])}
        variable = "ATTNRL_" + key.upper().replace(".", "_")
        if environment.get(variable) != f"0.0.0.0:{PORTS[name]}": yield f"{name}: {variable} is {environment.get(variable)}"
    if f"0.0.0.0:{PORTS['rollout-worker']}" not in container_of(workloads(docs)["rollout-worker"])["args"]: yield "rollout-worker: does not serve health on every interface"
    if keys["observe.metrics_address"] != f"0.0.0.0:{METRICS_PORT}": yield f"config.yaml: observe.metrics_address is {keys['observe.metrics_address']}"


def flags(docs):
    """Commands, flags, environment and configuration keys are those of the binaries."""
    variables = {"ATTNRL_" + key.upper().replace(".", "_") for key in reference()}
    for key, _ in flatten(yaml.safe_load(configuration(docs)[1])):
        if key not in reference(): yield f"config.yaml: {key} is no key"
    for name, workload in each_workload(docs):
        container = container_of(workload)
        if container["command"] != [f"attnrl-{name}"]: yield f"{name}: runs {container['command']}"
        text = help_of(f"attnrl-{name}")
        for word in container["args"]:
            if word.startswith("--") and not re.search(rf"(^|\s){re.escape(word)}\b", text): yield f"{name}: attnrl-{name} has no flag {word}"
        for entry in container.get("env", []):
            if entry["name"] not in variables | OTHERS: yield f"{name}: {entry['name']} is no key of the configuration"


RULES = (selectors, rights, probes, resources, grace, volumes, links, addresses, flags)


def violations(docs): return [violation for rule in RULES for violation in rule(docs)]
