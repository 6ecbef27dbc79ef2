# SPDX-License-Identifier: Apache-2.0
"""Rendered manifests fit Kubernetes' schemas and the binaries, and each rule can fail."""

import copy
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import binaries
import framework
import manifests
import rules
import schemas
from manifests import FOLDERS, ROOT, container_of, of_kind, pod_of, workloads


def spec(docs, kind, name):
    return of_kind(docs, kind)[name]["spec"]


def pod(docs, name):
    return pod_of(workloads(docs)[name])


def container(docs, name):
    return container_of(workloads(docs)[name])


# {rule: a change of the documents that it must notice}
BREAKS = {}


def breaks(rule):
    """Enters the function below as the change for a rule."""

    def enter(change):
        BREAKS[rule] = change
        return change

    return enter


@breaks(rules.selectors)
def misspell_a_selector(docs):
    spec(docs, "Service", "learner")["selector"][rules.NAME] = "lerner"


@breaks(rules.rights)
def allow_a_writable_root(docs):
    del container(docs, "verifier")["securityContext"]["readOnlyRootFilesystem"]


@breaks(rules.probes)
def ask_for_another_service(docs):
    container(docs, "rollout-worker")["readinessProbe"]["grpc"]["service"] = "rollout-worker"


@breaks(rules.resources)
def run_two_schedulers(docs):
    spec(docs, "StatefulSet", "branch-scheduler")["replicas"] = 2


@breaks(rules.grace)
def shorten_the_grace_period(docs):
    pod(docs, "rollout-worker")["terminationGracePeriodSeconds"] = 30


@breaks(rules.volumes)
def remove_a_volume(docs):
    pod(docs, "learner")["volumes"].pop()


@breaks(rules.links)
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

    def test_they_follow_every_rule(self):
        for name, docs in self.docs.items():
            with self.subTest(name):
                self.assertEqual(rules.violations(docs), [])

    def test_every_rule_can_fail(self):
        self.assertEqual(set(BREAKS), set(rules.RULES))
        for rule, change in BREAKS.items():
            with self.subTest(rule.__name__):
                docs = copy.deepcopy(self.docs["mtls"])
                change(docs)
                self.assertTrue(list(rule(docs)))

    def test_the_overlay_names_an_image_that_does_not_move(self):
        for name in manifests.WORKLOADS:
            image = container(self.docs["dev-cpu"], name)["image"]
            self.assertRegex(image, r"^localhost/attnrl:(?!latest)\w+$")

    def test_only_the_overlay_allows_plain_tcp(self):
        key = "security.allow_plaintext"
        allowed = {name: binaries.settings(docs)[key] for name, docs in self.docs.items()}
        self.assertEqual(allowed, {"base": False, "dev-cpu": True, "mtls": False})

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
            with self.subTest(name):
                flags = framework.settings(local, {} if name == "dev-cpu" else short)
                done = self.run_with(docs, command, *flags)
                self.assertEqual(done.returncode, 0, done.stderr)

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
