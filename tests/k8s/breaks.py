# SPDX-License-Identifier: Apache-2.0
"""Changes of rendered manifests that the rules must notice: each rule has at least one."""

import component_rules
import link_rules
import manifests
import rules
import store_rules
from manifests import container_of, of_kind, pod_of, workloads


def spec(docs, kind, name):
    return of_kind(docs, kind)[name]["spec"]


def pod(docs, name):
    return pod_of(workloads(docs)[name])


def container(docs, name):
    return container_of(workloads(docs)[name])


# [(rule, folder, a change of its documents that the rule must notice)]
BREAKS = []


def breaks(rule, folder="mtls"):
    """Enters the function below as a change for a rule."""

    def enter(change):
        BREAKS.append((rule, folder, change))
        return change

    return enter


@breaks(rules.selectors)
def misspell_a_selector(docs):
    spec(docs, "Service", "learner")["selector"][manifests.NAME] = "lerner"


@breaks(rules.rights)
def allow_a_writable_root(docs):
    del container(docs, "verifier")["securityContext"]["readOnlyRootFilesystem"]


@breaks(rules.probes)
def ask_for_another_service(docs):
    container(docs, "rollout-worker")["readinessProbe"]["grpc"]["service"] = "rollout-worker"


@breaks(rules.resources)
def run_two_schedulers(docs):
    spec(docs, "StatefulSet", "branch-scheduler")["replicas"] = 2


@breaks(rules.graders, "single-gpu")
def give_the_graders_too_little_memory(docs):
    container(docs, "verifier")["resources"]["limits"]["memory"] = "2Gi"


@breaks(rules.grace)
def shorten_the_grace_period(docs):
    pod(docs, "rollout-worker")["terminationGracePeriodSeconds"] = 30


@breaks(rules.volumes)
def remove_a_volume(docs):
    pod(docs, "learner")["volumes"].pop()


@breaks(link_rules.links)
def forbid_a_link(docs):
    spec(docs, "NetworkPolicy", "learner")["egress"].pop(0)


@breaks(rules.addresses)
def forget_an_address(docs):
    container(docs, "verifier")["env"].pop()


@breaks(rules.certificates)
def take_the_certificate_of_another(docs):
    for volume in pod(docs, "rollout-worker")["volumes"]:
        if "secret" in volume:
            volume["secret"]["secretName"] = "attnrl-operator"


@breaks(rules.flags)
def pass_an_unknown_flag(docs):
    container(docs, "learner")["args"].append("--rank")


@breaks(link_rules.links, "ranks")
def let_anybody_be_a_rank(docs):
    spec(docs, "NetworkPolicy", "learner-rank")["ingress"][0]["from"].append(
        {"podSelector": {"matchLabels": {manifests.NAME: "verifier"}}}
    )


@breaks(component_rules.gpus, "single-gpu")
def ask_for_no_gpu(docs):
    del container(docs, "rollout-worker")["resources"]["limits"][component_rules.GPU]


@breaks(component_rules.gpus, "gpu-ranks")
def forget_the_taint_of_a_rank(docs):
    del pod(docs, "learner-rank")["tolerations"]


@breaks(component_rules.gpus, "single-gpu")
def give_the_scheduler_a_gpu(docs):
    container(docs, "branch-scheduler")["resources"]["limits"][component_rules.GPU] = "1"


@breaks(component_rules.gpus, "single-gpu")
def take_the_shared_memory_away(docs):
    container(docs, "learner")["volumeMounts"].pop()


@breaks(component_rules.gpus, "single-gpu")
def run_a_gpu_worker_from_the_image_without_cuda(docs):
    container(docs, "rollout-worker")["image"] = container(docs, "verifier")["image"]


@breaks(component_rules.gpus, "gpu-ranks")
def put_a_rank_on_any_node(docs):
    del pod(docs, "learner-rank")["nodeSelector"]


def driver_capabilities(docs, value):
    for entry in container(docs, "learner")["env"]:
        if entry["name"] == "NVIDIA_DRIVER_CAPABILITIES":
            entry["value"] = value


@breaks(component_rules.gpus, "single-gpu")
def ask_for_no_computing_of_the_driver(docs):
    driver_capabilities(docs, "utility")


@breaks(component_rules.gpus, "single-gpu")
def ask_for_no_metrics_of_the_driver(docs):
    driver_capabilities(docs, "compute")


@breaks(component_rules.ranks, "ranks")
def count_one_rank_too_many(docs):
    spec(docs, "JobSet", "learner")["replicatedJobs"][1]["replicas"] = 2


@breaks(component_rules.ranks, "ranks")
def look_for_rank_zero_elsewhere(docs):
    spec(docs, "JobSet", "learner")["network"]["subdomain"] = "learner"


@breaks(component_rules.ranks, "ranks")
def restart_a_rank_alone(docs):
    pod(docs, "learner-rank")["restartPolicy"] = "OnFailure"


@breaks(component_rules.ranks, "ranks")
def lose_the_checkpoints(docs):
    pod(docs, "learner")["volumes"][-1] = {"name": "run", "emptyDir": {}}


@breaks(component_rules.ranks, "ranks")
def give_up_after_a_hundred_restarts(docs):
    spec(docs, "JobSet", "learner")["failurePolicy"]["maxRestarts"] = 100


@breaks(component_rules.ranks, "multi-node")
def let_nccl_choose_its_network(docs):
    env = container(docs, "learner-rank")["env"]
    env[:] = [entry for entry in env if entry["name"] != "NCCL_SOCKET_IFNAME"]


@breaks(component_rules.ranks, "multi-node")
def scatter_the_ranks_over_the_nodes(docs):
    del pod(docs, "learner-rank")["affinity"]


@breaks(component_rules.scaling, "multi-node")
def keep_a_worker_without_work(docs):
    spec(docs, "ScaledObject", "rollout-worker")["minReplicaCount"] = 1


@breaks(component_rules.scaling, "multi-node")
def give_workers_up_between_steps(docs):
    spec(docs, "ScaledObject", "rollout-worker")["cooldownPeriod"] = 600


@breaks(component_rules.scaling, "multi-node")
def fall_back_to_a_fixed_number(docs):
    fallback = {"failureThreshold": 3, "replicas": 6}
    spec(docs, "ScaledObject", "rollout-worker")["fallback"] = fallback


@breaks(component_rules.scaling, "multi-node")
def take_no_scheduler_for_no_work(docs):
    del spec(docs, "ScaledObject", "rollout-worker")["triggers"][0]["metadata"]["ignoreNullValues"]


@breaks(component_rules.scaling, "multi-node")
def say_how_many_workers_there_are(docs):
    spec(docs, "Deployment", "rollout-worker")["replicas"] = 1


@breaks(component_rules.scaling, "multi-node")
def scale_by_a_metric_that_is_not_there(docs):
    trigger = spec(docs, "ScaledObject", "rollout-worker")["triggers"][0]
    trigger["metadata"]["query"] = "attnrl_scheduler_pending_items"


@breaks(component_rules.scaling, "multi-node")
def scale_by_a_label_that_no_series_has(docs):
    trigger = spec(docs, "ScaledObject", "rollout-worker")["triggers"][0]
    trigger["metadata"]["query"] = 'attnrl_scheduler_open_items{namespace="attnrl"}'


@breaks(component_rules.renewal, "multi-node")
def renew_a_certificate_behind_its_alert(docs):
    spec(docs, "Certificate", "attnrl-learner")["renewBefore"] = "168h"


@breaks(link_rules.links)
def ask_one_resolver_alone(docs):
    spec(docs, "NetworkPolicy", "dns")["egress"][0]["to"].pop()


@breaks(component_rules.monitoring, "multi-node")
def watch_other_pods(docs):
    spec(docs, "PodMonitor", "attnrl")["selector"]["matchLabels"] = {manifests.NAME: "learner"}


@breaks(component_rules.monitoring, "multi-node")
def alert_without_a_runbook(docs):
    spec(docs, "PrometheusRule", "attnrl")["groups"][0]["rules"][0]["alert"] = "Nobody"


@breaks(component_rules.monitoring, "multi-node")
def alert_on_a_counter_without_a_zero(docs):
    alert = spec(docs, "PrometheusRule", "attnrl")["groups"][0]["rules"][0]
    alert["expr"] = "increase(attnrl_rollout_preemptions_total[30m]) > 0"


@breaks(component_rules.monitoring, "multi-node")
def alert_on_a_counter_of_a_file_that_starts_others_at_zero(docs):
    alert = spec(docs, "PrometheusRule", "attnrl")["groups"][0]["rules"][0]
    alert["expr"] = "increase(attnrl_scheduler_batches_total[30m]) > 0"


@breaks(component_rules.monitoring, "multi-node")
def hide_the_dashboard(docs):
    del of_kind(docs, "ConfigMap")["attnrl-dashboard"]["metadata"]["labels"]


def store_variable(docs, name):
    (entry,) = (e for e in container(docs, "branch-scheduler")["env"] if e["name"] == name)
    return entry


@breaks(store_rules.store, "postgres")
def write_the_password_into_the_url(docs):
    entry = store_variable(docs, store_rules.STORE)
    entry["value"] = entry["value"].replace("attnrl@", "attnrl:secret@")


@breaks(store_rules.store, "postgres")
def reach_the_database_without_tls(docs):
    entry = store_variable(docs, store_rules.STORE)
    entry["value"] = entry["value"].replace("verify-full", "prefer")


@breaks(store_rules.store, "postgres")
def let_everybody_read_the_password(docs):
    for volume in pod(docs, "branch-scheduler")["volumes"]:
        if volume["name"] == "postgres":
            volume["secret"]["defaultMode"] = 0o444


@breaks(store_rules.store, "postgres")
def take_the_password_from_nowhere(docs):
    store_variable(docs, "PGPASSFILE")["value"] = "/tmp/pgpass"


@breaks(store_rules.store, "postgres")
def go_without_a_standby(docs):
    spec(docs, "StatefulSet", "branch-scheduler")["replicas"] = 1


@breaks(store_rules.store, "postgres")
def wait_for_the_standby_in_a_rollout(docs):
    spec(docs, "StatefulSet", "branch-scheduler")["updateStrategy"] = {"type": "RollingUpdate"}


@breaks(store_rules.store, "postgres")
def block_the_drain_of_the_owners_node(docs):
    spec(docs, "PodDisruptionBudget", "branch-scheduler")["maxUnavailable"] = 1


@breaks(store_rules.store, "postgres")
def give_each_its_own_records(docs):
    spec(docs, "PersistentVolumeClaim", "attnrl-records")["accessModes"] = ["ReadWriteOnce"]


@breaks(rules.probes, "postgres")
def wait_for_a_standby_to_be_ready(docs):
    container(docs, "branch-scheduler")["startupProbe"]["grpc"]["service"] = "branch-scheduler"


@breaks(link_rules.links, "postgres")
def cut_the_database_off(docs):
    spec(docs, "NetworkPolicy", "branch-scheduler-postgres")["egress"].pop()
