# SPDX-License-Identifier: Apache-2.0
"""Every expression of the dashboard and the Prometheus configurations, evaluated by a real Prometheus over a live run."""
import itertools, json, os, pathlib, re, signal, tempfile, unittest

from framework import ROOT, SMALL, Scenario, main, wait_until
from prometheus import Prometheus, binary, check_config

DASHBOARD = ROOT / "deploy/grafana/training.json"
LAPTOP, CLUSTER = ROOT / "deploy/prometheus/prometheus.yml", ROOT / "deploy/prometheus/kubernetes.yml"
NAMES = ROOT / "common/observe/metric_names.h"
# A run that branches and scores, as long as the test needs it.
RUN = {**SMALL, "run.steps": 100000, "algorithm.name": "attnrl", "algorithm.branching.min_distance": 0, "learner.kl_weight": 0.001, "algorithm.sampling.batch_problems": 6}
# Metrics without a series until something happens that a short run need not bring about.
MAY_BE_EMPTY = {"attnrl_scheduler_filter_running_mean": "there is no mean before a problem is solved by all its responses"}


def dashboard(): return json.loads(DASHBOARD.read_text())


def charts(): return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions():
    """Every PromQL expression, as Grafana would send it for one run, with a window that fits a scrape a second."""
    raw = [target["expr"] for panel in charts() for target in panel["targets"]] + [entry["expr"] for entry in dashboard()["annotations"]["list"]]
    return [expression.replace("$__rate_interval", "30s").replace("$run", ".*") for expression in raw]


def metrics_in(expression): return set(re.findall(r"attnrl_\w+", expression))


class Dashboard(unittest.TestCase):
    def test_it_names_only_metrics_that_exist(self):
        known = dict(re.findall(r'"(attnrl_\w+)",\s*MetricType::k(\w+)', NAMES.read_text()))
        self.assertGreater(len(known), 40)
        series = {name + suffix for name, kind in known.items() for suffix in (("_bucket", "_sum", "_count") if kind == "Histogram" else ("",))}
        for expression in expressions(): self.assertLessEqual(metrics_in(expression), series, expression)

    def test_every_panel_says_what_it_shows(self):
        for panel in charts():
            with self.subTest(panel["title"]):
                self.assertTrue(panel["title"] and panel["description"])
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                for part in [panel, *panel["targets"]]: self.assertEqual(part["datasource"], {"type": "prometheus", "uid": "${datasource}"})
                for target in panel["targets"]: self.assertTrue(target["legendFormat"])

    def test_no_two_panels_share_a_place_or_a_number(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
            self.assertFalse(one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"] and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"], (one, other))

    def test_it_can_be_provisioned(self):
        self.assertEqual(dashboard()["uid"], "attnrl-training")
        self.assertNotIn("id", dashboard())


class Configurations(unittest.TestCase):
    def setUp(self):
        if not binary("promtool"): self.skipTest("promtool is not there; tools/install test unpacks it")

    def test_promtool_accepts_the_laptops(self): self.assertEqual(check_config(LAPTOP), "")

    def test_promtool_accepts_the_clusters(self):
        """Debian's Prometheus is built without the discovery of pods: that part alone is taken out."""
        text, found = re.subn(r"    kubernetes_sd_configs:\n(      .*\n)+", "", CLUSTER.read_text())
        self.assertEqual(found, 1)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "prometheus.yml")
            path.write_text(text)
            self.assertEqual(check_config(path), "")


class LiveRun(Scenario):
    def setUp(self):
        if not binary("prometheus"): self.skipTest("prometheus is not there; tools/install test unpacks it")
        super().setUp()

    def test_every_expression_has_a_number(self):
        run = self.start("watched", RUN)
        wait_until("endpoints.json of four services", lambda: len(self.endpoints(run)) == 4, 120, run.about)
        # As the README says: the configuration lies beside endpoints.json. Scraped faster, to be done sooner.
        config = run.dir / "prometheus.yml"
        config.write_text(re.sub(r"scrape_(interval|timeout): \d+s", r"scrape_\1: 1s", LAPTOP.read_text()))
        prometheus = Prometheus(config, self.folder)
        self.addCleanup(prometheus.stop)
        run.wait_for_step(2)
        missing = set(expressions())
        required = lambda: {expression for expression in missing if not metrics_in(expression) & MAY_BE_EMPTY.keys()}

        def all_answered():
            if run.process.poll() is not None: raise AssertionError(f"the run ended. {run.about()}")
            missing.difference_update([expression for expression in missing if prometheus.numbers(expression)])
            return not required()
        wait_until("a number for every expression", all_answered, 400, lambda: "none for: " + "; ".join(sorted(required())))
        self.assertEqual(len(prometheus.query("up == 1")), 4)
        self.assertEqual({labels["process"] for labels, _ in prometheus.query("up")}, {"branch-scheduler", "learner", "verifier", "worker-0"})
        os.kill(run.pid, signal.SIGINT)
        run.wait(90, code=130)

    @staticmethod
    def endpoints(run):
        try: return json.loads((run.dir / "endpoints.json").read_text())
        except (OSError, ValueError): return []


if __name__ == "__main__": main()
