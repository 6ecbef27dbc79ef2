# SPDX-License-Identifier: Apache-2.0
"""What the network policies must allow, and nothing else. A rule like those of rules.py."""

from manifests import METRICS_PORT, NAME, PORTS, of_kind, workloads
from store_rules import has_standby

# Who calls whom (caller, called); the port is the called one's.
LINKS = {
    ("rollout-worker", "branch-scheduler"),
    ("rollout-worker", "learner"),
    ("rollout-worker", "rollout-worker"),
    ("learner", "branch-scheduler"),
    ("branch-scheduler", "verifier"),
}
# Where the learner has ranks: each with each, on ports from this one on.
RANK_LINKS = {
    ("learner", "learner-rank"),
    ("learner-rank", "learner"),
    ("learner-rank", "learner-rank"),
}
FIRST_RANKS_PORT = 1024
DNS_PORT = 53
# Where clusters have their resolver: pods of kube-system, or NodeLocal DNSCache on the node.
RESOLVERS = (
    {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    },
    {"ipBlock": {"cidr": "169.254.20.10/32"}},
)
POSTGRES_PORT = 5432


def links(docs):
    """Nothing is allowed but the links that exist, each at both ends, DNS for callers, and metrics
    for Prometheus.
    """
    policies = of_kind(docs, "NetworkPolicy")
    if not denies_everything(policies.get("default-deny", {}).get("spec", {})):
        yield "NetworkPolicy default-deny: does not deny everything"
    for name, policy in policies.items():
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            if not (rule.get("from") or rule.get("to")) or not rule.get("ports"):
                yield f"NetworkPolicy {name}: a rule without peers or ports allows all"
    of_ranks = RANK_LINKS if of_kind(docs, "JobSet") else set()
    between = {(caller, called, PORTS[called]) for caller, called in LINKS}
    between |= {(caller, called, FIRST_RANKS_PORT) for caller, called in of_ranks}
    callers = {caller for caller, _ in LINKS | of_ranks}
    wanted = {
        "ingress": between | {("prometheus", None, METRICS_PORT)},
        "egress": between
        | {(caller, f"DNS {n}", DNS_PORT) for caller in callers for n in range(len(RESOLVERS))},
    }
    if has_standby(docs):
        wanted["egress"].add(("branch-scheduler", "postgres", POSTGRES_PORT))
    for direction, links_wanted in wanted.items():
        found = allowed_links(docs, direction)
        for link in sorted(links_wanted - found, key=str):
            yield f"NetworkPolicies, {direction}: {link} is missing"
        for link in sorted(found - links_wanted, key=str):
            yield f"NetworkPolicies, {direction}: {link} is not a link that exists"


def denies_everything(spec):
    return (
        spec.get("podSelector") == {}
        and set(spec.get("policyTypes", [])) == {"Ingress", "Egress"}
        and not spec.get("ingress")
        and not spec.get("egress")
    )


def allowed_links(docs, direction):
    """(caller, called, port) of all that the policies allow in one direction."""
    end = "from" if direction == "ingress" else "to"
    found = set()
    for policy in of_kind(docs, "NetworkPolicy").values():
        for rule in policy["spec"].get(direction, []):
            for peer in rule.get(end, []):
                for port in (port["port"] for port in rule.get("ports", [])):
                    for me in chosen_names(policy["spec"], workloads(docs)):
                        other = peer_name(peer)
                        caller, called = (other, me) if direction == "ingress" else (me, other)
                        found.add((caller, called, port))
    return found


def peer_name(peer):
    if peer in RESOLVERS:
        return f"DNS {RESOLVERS.index(peer)}"
    (name,) = chosen_names(peer, ())
    return name


def chosen_names(holder, there):
    """The names of the pods that a podSelector picks, of a list those that are `there`; None where
    it names none.
    """
    selector = holder.get("podSelector", {})
    for listed in selector.get("matchExpressions", []):
        if (listed["key"], listed["operator"]) == (NAME, "In"):
            return [name for name in listed["values"] if name in there]
    return [selector.get("matchLabels", {}).get(NAME)]
