# SPDX-License-Identifier: Apache-2.0
"""What the network policies must allow, and nothing else. A rule like those of rules.py."""

from manifests import METRICS_PORT, NAME, PORTS, of_kind
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
        "egress": between | {(caller, "DNS", DNS_PORT) for caller in callers},
    }
    if has_standby(docs):
        wanted["egress"].add(("branch-scheduler", "postgres", POSTGRES_PORT))
    for direction, links_wanted in wanted.items():
        found = allowed_links(policies, direction)
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


def allowed_links(policies, direction):
    """(caller, called, port) of all that the policies allow in one direction."""
    end = "from" if direction == "ingress" else "to"
    found = set()
    for policy in policies.values():
        me = chosen_name(policy["spec"])
        for rule in policy["spec"].get(direction, []):
            for peer in rule.get(end, []):
                for port in (port["port"] for port in rule.get("ports", [])):
                    other = "DNS" if port == DNS_PORT else chosen_name(peer)
                    caller, called = (other, me) if direction == "ingress" else (me, other)
                    found.add((caller, called, port))
    return found


def chosen_name(holder):
    """The name of the pods that a podSelector picks; None where it names none."""
    return holder.get("podSelector", {}).get("matchLabels", {}).get(NAME)
