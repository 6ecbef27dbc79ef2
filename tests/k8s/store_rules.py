# SPDX-License-Identifier: Apache-2.0
"""What must hold of the branch-scheduler's database, where a render has one. A rule like those of
rules.py.
"""

import pathlib
import urllib.parse

from manifests import container_of, of_kind, pod_of, workloads

STORE = "ATTNRL_SCHEDULER_STORE"
# Nobody else may read a file of passwords, and the group of the pod must.
MODE = 0o440


def variables(workload):
    """{name: value} of the container's environment."""
    return {entry["name"]: entry.get("value") for entry in container_of(workload).get("env", [])}


def has_standby(docs):
    """Whether the scheduler's rows are where another one can take them over."""
    return STORE in variables(workloads(docs)["branch-scheduler"])


def store(docs):
    """The database is reached with TLS and a password from a Secret that only this process can
    read; owner and standby share the records, and neither blocks rollouts or drains.
    """
    for name, workload in workloads(docs).items():
        if name != "branch-scheduler" and STORE in variables(workload):
            yield f"{name}: knows the database"
    if not has_standby(docs):
        return
    workload = workloads(docs)["branch-scheduler"]
    yield from connection(workload)
    yield from standby(docs, workload)


def connection(workload):
    known = variables(workload)
    url = urllib.parse.urlsplit(known[STORE])
    if url.password is not None:
        yield "branch-scheduler: its database's URL holds a password"
    asked = dict(urllib.parse.parse_qsl(url.query))
    if asked.get("sslmode") != "verify-full":
        yield f"branch-scheduler: reaches its database with sslmode {asked.get('sslmode')}"
    for what, file in (("PGPASSFILE", known.get("PGPASSFILE")), ("CA", asked.get("sslrootcert"))):
        folder = str(pathlib.PurePath(file or "").parent)
        volume = volume_at(workload, folder)
        if "secret" not in volume:
            yield f"branch-scheduler: {what} {file} is in no Secret"
        elif volume["secret"].get("defaultMode") != MODE:
            yield f"branch-scheduler: the Secret with {what} has another mode than 0440"


def volume_at(workload, folder):
    """The pod's volume that is mounted there; an empty one where none is."""
    mounts = {m["mountPath"]: m["name"] for m in container_of(workload)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod_of(workload)["volumes"]}
    return volumes.get(mounts.get(folder), {})


def standby(docs, workload):
    spec = workload["spec"]
    if spec["replicas"] != 2:
        yield f"branch-scheduler: has {spec['replicas']} replicas, not an owner and a standby"
    if spec.get("podManagementPolicy") != "Parallel":
        yield "branch-scheduler: its second pod waits for the first to be ready"
    if spec.get("updateStrategy", {}).get("type") != "OnDelete":
        yield "branch-scheduler: its rollout waits for a standby to be ready"
    budget = of_kind(docs, "PodDisruptionBudget")["branch-scheduler"]["spec"]
    if budget.get("maxUnavailable", 0) < 2:
        yield "branch-scheduler: with a standby that is never ready its nodes can't be drained"
    claim = volume_at(workload, variables(workload).get("ATTNRL_OBSERVE_RECORDS", ""))
    name = claim.get("persistentVolumeClaim", {}).get("claimName")
    claims = of_kind(docs, "PersistentVolumeClaim")
    if name not in claims or claims[name]["spec"]["accessModes"] != ["ReadWriteMany"]:
        yield f"branch-scheduler: owner and standby have no records in common ({name})"


RULES = (store,)
