# SPDX-License-Identifier: Apache-2.0
"""Rendered manifests fit Kubernetes' schemas and the binaries, and each rule can fail."""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import binaries
import framework
import manifests
import prometheus
import rules
import schemas
from breaks import BREAKS, container, spec
from manifests import FOLDERS, ROOT, of_kind, workloads, yaml

OVERLAYS = ("dev-cpu", "single-gpu", "multi-node")
# {overlay: the preset that it runs}
PRESETS = {"single-gpu": "attnrl-1.5b", "multi-node": "attnrl-7b"}
ON_GPUS = {*PRESETS, "gpu-ranks"}
# What a cluster's configuration says otherwise than one for a single machine.
OF_A_CLUSTER = {
    *("model.path", "data.train", "rollout.workers", "rollout.threads", "verifier.children"),
    *("scheduler.address", "verifier.address", "learner.address"),
    *("observe.metrics_address", "observe.console_level", "security.allow_plaintext"),
}
# What a learner writes of a parameter when it ends: master and moments, in float32.
CHECKPOINT_BYTES = 12
# A cloud's ordinary disk.
DISK_BYTES_PER_SECOND = 200e6
# What a cluster of one node runs for itself, as kind's requests say.
SYSTEM_MILLICPU = 950
# For a Prometheus without the operator.
PLAIN_ALERTS = ROOT / "deploy/prometheus/alerts.yml"
# Series over time, and which alerts they set off.
ALERT_CASES = ROOT / "tests/k8s/alerts.yaml"


def scraped(series):
    """The series with the labels that scraping a pod adds: an expression that forgets them compares
    nothing.
    """
    (process,) = re.findall(r'process="([^"]+)"', series)
    labels = {
        "job": "attnrl",
        "instance": f"{process}:9464",
        "pod": process,
        "container": "attnrl",
        "endpoint": "metrics",
        "namespace": "attnrl",
    }
    added = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return series.replace("{", f"{{{added}, ", 1)


def parameters(shape):
    """How many a model of the shape has; biases and norms are small beside its matrices."""
    config = json.loads(pathlib.Path(shape, "config.json").read_text())
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    key_value = width * config["num_key_value_heads"] // config["num_attention_heads"]
    layer = 2 * width * width + 2 * width * key_value + 3 * width * config["intermediate_size"]
    tables = 1 if config.get("tie_word_embeddings") else 2
    return layers * layer + tables * config["vocab_size"] * width


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if reason := manifests.unavailable():
            raise unittest.SkipTest(reason)
        cls.docs = {name: manifests.load(folder) for name, folder in FOLDERS.items()}

    def run_with(self, docs, command, *flags):
        """Runs a binary with the manifests' configuration, which is no more there afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "config.yaml")
            file.write_text(manifests.configuration(docs)[1])
            return subprocess.run(
                [*command, "--config", str(file), *flags],
                capture_output=True,
                text=True,
                timeout=60,
            )

    def test_they_render_the_same_bytes_twice(self):
        for folder in FOLDERS.values():
            self.assertEqual(manifests.render(folder), manifests.render(folder))

    def test_they_fit_the_schemas_of_kubernetes(self):
        if reason := schemas.unavailable():
            self.skipTest(reason)
        for name, docs in self.docs.items():
            with self.subTest(name):
                known = [doc for doc in docs if not schemas.is_missing(doc)]
                self.assertEqual([line for doc in known for line in schemas.violations(doc)], [])

    def test_a_misspelt_field_is_no_field(self):
        if reason := schemas.unavailable():
            self.skipTest(reason)
        docs = copy.deepcopy(self.docs["dev-cpu"])
        learner = container(docs, "learner")
        learner["readynessProbe"] = learner.pop("readinessProbe")
        found = schemas.violations(workloads(docs)["learner"])
        self.assertIn("readynessProbe", " ".join(found))

    def test_a_misspelt_field_of_a_custom_resource_is_no_field(self):
        docs = copy.deepcopy(self.docs["multi-node"])
        scaled = of_kind(docs, "ScaledObject")["rollout-worker"]
        if schemas.unavailable() or schemas.is_missing(scaled):
            self.skipTest("the schemas of custom resources are not there")
        scaled["spec"]["coolDownPeriod"] = scaled["spec"].pop("cooldownPeriod")
        self.assertIn("coolDownPeriod", " ".join(schemas.violations(scaled)))

    def test_the_jobs_of_a_jobset_are_read_strictly(self):
        docs = copy.deepcopy(self.docs["ranks"])
        jobset = of_kind(docs, "JobSet")["learner"]
        if schemas.unavailable() or schemas.is_missing(jobset):
            self.skipTest("the schemas of custom resources are not there")
        first = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
        del first["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"]
        self.assertIn("'status'", " ".join(schemas.violations(jobset)))

    def test_they_follow_every_rule(self):
        for name, docs in self.docs.items():
            with self.subTest(name):
                self.assertEqual(rules.violations(docs), [])

    def test_every_rule_can_fail(self):
        self.assertEqual({rule for rule, _, _ in BREAKS}, set(rules.RULES))
        for rule, folder, change in BREAKS:
            with self.subTest(change.__name__):
                docs = copy.deepcopy(self.docs[folder])
                change(docs)
                self.assertTrue(list(rule(docs)))

    def test_overlays_name_an_image_that_does_not_move(self):
        for overlay in OVERLAYS:
            for name in workloads(self.docs[overlay]):
                image = container(self.docs[overlay], name)["image"]
                self.assertRegex(image, r"^localhost/attnrl:(?!latest)[\w-]+$")

    def test_of_the_overlays_only_the_small_one_goes_without_tls(self):
        """Ranks in several pods need the setting too, for what they say to each other."""
        key = "security.allow_plaintext"
        allowed = {name for name, docs in self.docs.items() if binaries.settings(docs)[key]}
        of_ranks = {name for name, docs in self.docs.items() if of_kind(docs, "JobSet")}
        self.assertEqual(allowed, {"dev-cpu"} | of_ranks)
        without = {name for name in OVERLAYS if not of_kind(self.docs[name], "Certificate")}
        self.assertEqual(without, {"dev-cpu"})

    def test_overlays_for_gpus_are_the_presets_of_the_paper(self):
        for overlay, preset in PRESETS.items():
            file = ROOT / "deploy/local/paper" / f"{preset}.yaml"
            wanted = dict(binaries.flatten(yaml.safe_load(file.read_text())))
            ours = binaries.own_settings(self.docs[overlay])
            for settings in (wanted, ours):
                for key in [key for key in settings if key in OF_A_CLUSTER]:
                    del settings[key]
            self.assertEqual(ours, wanted, overlay)

    def test_overlays_for_gpus_have_as_many_as_the_paper(self):
        workers = spec(self.docs["single-gpu"], "Deployment", "rollout-worker")["replicas"]
        self.assertEqual(workers + 1, 8)
        most = spec(self.docs["multi-node"], "ScaledObject", "rollout-worker")["maxReplicaCount"]
        jobs = spec(self.docs["multi-node"], "JobSet", "learner")["replicatedJobs"]
        self.assertEqual(most + sum(job["replicas"] for job in jobs), 24)

    def test_overlays_for_gpus_have_time_for_a_last_checkpoint(self):
        for overlay, preset in PRESETS.items():
            shape = ROOT / "deploy/local/paper/shapes" / preset.rpartition("-")[2]
            needed = parameters(shape) * CHECKPOINT_BYTES / DISK_BYTES_PER_SECOND
            for name, workload in workloads(self.docs[overlay]).items():
                if name.startswith("learner"):
                    given = manifests.pod_of(workload)["terminationGracePeriodSeconds"]
                    self.assertGreaterEqual(given, rules.DRAIN[name] + needed, overlay)

    def test_the_small_overlay_fits_two_cores_beside_the_clusters_own_pods(self):
        docs = self.docs["dev-cpu"]
        asked = {
            name: float(container(docs, name)["resources"]["requests"]["cpu"].removesuffix("m"))
            for name in workloads(docs)
        }
        self.assertLessEqual(sum(asked.values()) + asked["rollout-worker"], 2000 - SYSTEM_MILLICPU)

    def test_alerts_of_a_plain_prometheus_are_those_of_the_operators(self):
        rule = of_kind(self.docs["multi-node"], "PrometheusRule")["attnrl"]["spec"]
        ours = {alert["alert"]: alert for group in rule["groups"] for alert in group["rules"]}
        (group,) = yaml.safe_load(PLAIN_ALERTS.read_text())["groups"]
        for alert in group["rules"]:
            self.assertEqual(alert, ours.get(alert["alert"]))

    def test_overlays_for_gpus_fit_into_80_gib(self):
        for overlay, preset in PRESETS.items():
            shape = ROOT / "deploy/local/paper/shapes" / preset.rpartition("-")[2]
            command = [str(binaries.BIN / "attnrl"), "check", "--plan", "--device-memory", "80GiB"]
            done = self.run_with(
                self.docs[overlay], command, *framework.settings({"model.path": shape})
            )
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_alerts_fire_when_they_should(self):
        if not prometheus.binary("promtool"):
            self.skipTest("promtool is not there; tools/install test unpacks it")
        rule = of_kind(self.docs["multi-node"], "PrometheusRule")["attnrl"]["spec"]
        alerts = {alert["alert"] for group in rule["groups"] for alert in group["rules"]}
        cases = yaml.safe_load(ALERT_CASES.read_text())
        for series in (series for test in cases["tests"] for series in test["input_series"]):
            series["series"] = scraped(series["series"])
        tried = {entry["alertname"] for t in cases["tests"] for entry in t["alert_rule_test"]}
        self.assertEqual(tried, alerts)
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "rules.yaml").write_text(yaml.safe_dump(rule))
            pathlib.Path(folder, "alerts.yaml").write_text(yaml.safe_dump(cases))
            for arguments in (["check", "rules", "rules.yaml"], ["test", "rules", "alerts.yaml"]):
                done = subprocess.run(
                    [prometheus.binary("promtool"), *arguments],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_configurations_pass_the_preflight(self):
        """With the files of the repository in the place of those in the image or on the volume."""
        local = {
            "model.path": ROOT / "deploy/local/model",
            "data.train": ROOT / "deploy/local/data/train.jsonl",
        }
        # What the base asks for is more than the small model has room for.
        short = {"rollout.max_prompt_tokens": 192, "rollout.max_response_tokens": 256}
        command = [str(binaries.BIN / "attnrl"), "check"]
        for name, docs in self.docs.items():
            if name in ON_GPUS:
                continue  # they need a GPU
            with self.subTest(name):
                flags = framework.settings(local, {} if name == "dev-cpu" else short)
                done = self.run_with(docs, command, *flags)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_image_runs_as_the_user_that_the_pods_name_and_begins_with_nothing(self):
        """A stage that is an image, as tools/build-images or a person builds it."""
        text = (ROOT / "deploy/containers/Containerfile").read_text()
        stages = dict(re.findall(r"^FROM (\S+ AS \S+)\n(.*?)(?=^FROM|\Z)", text, re.M | re.S))
        bodies = {name.split()[-1]: (name.split()[0], body) for name, body in stages.items()}
        for name in ("prebuilt", "prebuilt-cuda", "runtime", "runtime-cuda"):
            with self.subTest(name):
                origin, body = bodies[name]
                while origin in bodies:
                    origin, inherited = bodies[origin]
                    body = inherited + body
                self.assertEqual(origin, "scratch")
                (user,) = re.findall(r"^USER (\d+):(\d+)$", body, re.M)
                for workload in workloads(self.docs["base"]).values():
                    context = manifests.pod_of(workload)["securityContext"]
                    ids = (str(context["runAsUser"]), str(context["runAsGroup"]))
                    self.assertEqual(user, ids)
                capable = "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in body
                self.assertEqual(capable, name.endswith("-cuda"))

    def test_a_service_refuses_plain_tcp_without_the_setting(self):
        command = [str(binaries.BIN / "attnrl-verifier")]
        flags = framework.settings(
            {"verifier.address": "0.0.0.0:0", "observe.metrics_address": "127.0.0.1:0"}
        )
        done = self.run_with(self.docs["base"], command, *flags)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("security.allow_plaintext", done.stderr)


if __name__ == "__main__":
    framework.main()
