# SPDX-License-Identifier: Apache-2.0
"""Rendered manifests fit Kubernetes' schemas and the binaries, and each rule can fail."""
import copy, pathlib, subprocess, sys, tempfile, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import framework
import manifests, rules, schemas
from manifests import DEV_CPU, FOLDERS, ROOT, container_of, of_kind, pod_of, workloads, yaml


def spec(docs, kind, name): return of_kind(docs, kind)[name]["spec"]


def pod(docs, name): return pod_of(workloads(docs)[name])


def container(docs, name): return container_of(workloads(docs)[name])


def rename_config_key(docs, name): of_kind(docs, "ConfigMap")[manifests.configuration(docs)[0]]["data"]["config.yaml"] += f"\n{name}: {{steps: 1}}\n"


# One change a rule, which it must notice.
BREAKS = {
    rules.selectors: lambda docs: spec(docs, "Service", "learner")["selector"].update({rules.NAME: "lerner"}),
    rules.rights: lambda docs: container(docs, "verifier")["securityContext"].pop("readOnlyRootFilesystem"),
    rules.probes: lambda docs: container(docs, "rollout-worker")["readinessProbe"]["grpc"].update(service="rollout-worker"),
    rules.resources: lambda docs: spec(docs, "StatefulSet", "branch-scheduler").update(replicas=2),
    rules.grace: lambda docs: pod(docs, "rollout-worker").update(terminationGracePeriodSeconds=30),
    rules.volumes: lambda docs: pod(docs, "learner")["volumes"].pop(),
    rules.links: lambda docs: spec(docs, "NetworkPolicy", "learner")["egress"].pop(0),
    rules.addresses: lambda docs: container(docs, "verifier")["env"].pop(),
    rules.flags: lambda docs: container(docs, "learner")["args"].append("--rank"),
}


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if why := manifests.unavailable(): raise unittest.SkipTest(why)
        cls.docs = {name: manifests.load(folder) for name, folder in FOLDERS.items()}

    def test_they_render_the_same_bytes_twice(self):
        for folder in FOLDERS.values(): self.assertEqual(manifests.render(folder), manifests.render(folder))

    def test_they_fit_the_schemas_of_kubernetes(self):
        if why := schemas.unavailable(): self.skipTest(why)
        for name, docs in self.docs.items():
            with self.subTest(name): self.assertEqual([line for doc in docs for line in schemas.violations(doc)], [])

    def test_a_misspelt_field_is_no_field(self):
        if why := schemas.unavailable(): self.skipTest(why)
        docs = copy.deepcopy(self.docs["dev-cpu"])
        container(docs, "learner")["readynessProbe"] = container(docs, "learner").pop("readinessProbe")
        self.assertIn("readynessProbe", " ".join(schemas.violations(workloads(docs)["learner"])))

    def test_they_follow_every_rule(self):
        for name, docs in self.docs.items():
            with self.subTest(name): self.assertEqual(rules.violations(docs), [])

    def test_every_rule_can_fail(self):
        self.assertEqual(set(BREAKS), set(rules.RULES))
        for rule, change in BREAKS.items():
            with self.subTest(rule.__name__):
                docs = copy.deepcopy(self.docs["dev-cpu"])
                change(docs)
                self.assertTrue(list(rule(docs)))

    def test_the_overlay_names_an_image_that_does_not_move(self):
        for name in manifests.WORKLOADS: self.assertRegex(container(self.docs["dev-cpu"], name)["image"], r"^localhost/attnrl:(?!latest)\w+$")

    def test_only_the_overlay_allows_plain_tcp(self):
        allowed = {name: rules.settings(docs)["security.allow_plaintext"] for name, docs in self.docs.items()}
        self.assertEqual(allowed, {"base": False, "dev-cpu": True})

    def test_the_configurations_pass_the_preflight(self):
        """With the files of the repository in the place of those in the image or on the volume."""
        for name, docs in self.docs.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "config.yaml")
                file.write_text(manifests.configuration(docs)[1])
                local = {"model.path": ROOT / "deploy/local/model", "data.train": ROOT / "deploy/local/data/train.jsonl"}
                if name == "base": local.update({"rollout.max_prompt_tokens": 192, "rollout.max_response_tokens": 256})
                sets = [word for key, value in local.items() for word in ("--set", f"{key}={value}")]
                done = subprocess.run([str(rules.BIN / "attnrl"), "check", "--config", str(file), *sets], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_service_refuses_plain_tcp_without_the_setting(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "config.yaml")
            file.write_text(manifests.configuration(self.docs["base"])[1])
            done = subprocess.run([str(rules.BIN / "attnrl-verifier"), "--config", str(file), "--set", "verifier.address=0.0.0.0:0", "--set", "observe.metrics_address=127.0.0.1:0"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("security.allow_plaintext", done.stderr)


if __name__ == "__main__": framework.main()
