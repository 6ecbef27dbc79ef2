# SPDX-License-Identifier: Apache-2.0
"""Every expression of the dashboard and the Prometheus configurations, evaluated by a real
Prometheus over a live run.
"""

import itertools
import json
import os
import pathlib
import re
import signal
import tempfile
import unittest

from framework import ROOT, SMALL, Scenario, main, wait_until
from prometheus import Prometheus, binary, check_config

DASHBOARD = ROOT / "deploy/grafana/training.json"
LAPTOP = ROOT / "deploy/prometheus/prometheus.yml"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
CLUSTER = ROOT / "deploy/prometheus/kubernetes.yml"
NAMES = ROOT / "common/observe/metric_names.h"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")
# A run that branches and scores, as long as the test needs it.
RUN = {
    **SMALL,
    "run.steps": 100000,
    "algorithm.name": "attnrl",
    "algorithm.branching.min_distance": 0,
    "learner.kl_weight": 0.001,
    "learner.correction": "truncated_is",
    "algorithm.sampling.batch_problems": 6,
    # Without it no share of a processor's peak is known, and its panel is empty.
    "observe.peak_flops": 1e11,
}
# Metrics without a series until something happens that a short run need not bring about.
MAY_BE_EMPTY = {
    # There is no mean before a problem is solved by all its responses.
    "attnrl_scheduler_filter_running_mean",
}


def dashboard():
    return json.loads(DASHBOARD.read_text())


def charts():
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions(panels):
    """The PromQL of these panels and of the annotations, as Grafana would send it for one run, with
    a window that fits a scrape a second.
    """
    raw = [target["expr"] for panel in panels for target in panel["targets"]]
    raw += [entry["expr"] for entry in dashboard()["annotations"]["list"]]
    return [text.replace("$__rate_interval", "30s").replace("$run", ".*") for text in raw]


def may_be_empty(panel):
    """Whether it says what no value means."""
    return "noValue" in panel["fieldConfig"]["defaults"]


def metrics_in(expression):
    return set(re.findall(r"attnrl_\w+", expression))


def metric_kinds():
    """{name: kind} of all metrics that the services have."""
    return dict(re.findall(r'"(attnrl_\w+)",\s*MetricType::k(\w+)', NAMES.read_text()))


def series_of(name, kind):
    """The names of the series that a metric is stored as."""
    return [name + suffix for suffix in HISTOGRAM_SUFFIXES] if kind == "Histogram" else [name]


def overlap(one, other):
    """Whether two places of the grid have a part in common."""
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


class Dashboard(unittest.TestCase):
    def test_it_names_only_metrics_that_exist(self):
        kinds = metric_kinds()
        self.assertGreater(len(kinds), 40)
        series = {series for name, kind in kinds.items() for series in series_of(name, kind)}
        for expression in [*expressions(charts()), ALERTS.read_text()]:
            self.assertLessEqual(metrics_in(expression), series, expression)

    def test_every_metric_is_shown_or_explained(self):
        """On the dashboard, by an alert, in what scales workers, or on a page."""
        places = [DASHBOARD, *(ROOT / "k8s").rglob("*.yaml")]
        for folder in ("common", "services", "deploy"):
            places += (ROOT / folder).rglob("*.md")
        text = "\n".join(place.read_text() for place in places)
        series = {
            name: any(re.search(rf"\b{each}\b", text) for each in series_of(name, kind))
            for name, kind in metric_kinds().items()
        }
        self.assertEqual([name for name, shown in series.items() if not shown], [])

    def test_every_panel_says_what_it_shows(self):
        for panel in charts():
            with self.subTest(panel["title"]):
                self.assertTrue(panel["title"] and panel["description"])
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                self.assertEqual(panel["datasource"], DATASOURCE)
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"], DATASOURCE)
                    self.assertTrue(target["legendFormat"])

    def test_no_panel_shows_a_series_without_a_name(self):
        for panel in charts():
            for target in panel["targets"]:
                by_name = "{{" in target["legendFormat"]
                self.assertFalse(by_name and "vector(" in target["expr"], panel["title"])

    def test_no_two_panels_share_a_place_or_a_number(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        places = [panel["gridPos"] for panel in panels]
        for one, other in itertools.combinations(places, 2):
            self.assertFalse(overlap(one, other), (one, other))

    def test_it_can_be_provisioned(self):
        self.assertEqual(dashboard()["uid"], "attnrl-training")
        self.assertNotIn("id", dashboard())


class Configurations(unittest.TestCase):
    def setUp(self):
        if not binary("promtool"):
            self.skipTest("promtool is not there; tools/install test unpacks it")

    def test_promtool_accepts_the_laptops(self):
        self.assertEqual(check_config(LAPTOP), "")

    def test_promtool_accepts_the_clusters(self):
        """Debian's Prometheus is built without the discovery of pods: only that is taken out."""
        discovery = r"    kubernetes_sd_configs:\n(      .*\n)+"
        text, found = re.subn(discovery, "", CLUSTER.read_text())
        self.assertEqual(found, 1)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "prometheus.yml")
            path.write_text(text)
            self.assertEqual(check_config(path), "")


class LiveRun(Scenario):
    def setUp(self):
        if not binary("prometheus"):
            self.skipTest("prometheus is not there; tools/install test unpacks it")
        super().setUp()

    def test_every_expression_has_a_number(self):
        run = self.start("watched", RUN)
        prometheus = self.watch(run)
        run.wait_for_step(2)
        self.wait_for_numbers(run, prometheus)
        self.assertEqual(len(prometheus.query("up == 1")), 4)
        processes = {labels["process"] for labels, _ in prometheus.query("up")}
        self.assertEqual(processes, {"branch-scheduler", "learner", "verifier", "worker-0"})
        os.kill(run.pid, signal.SIGINT)
        run.wait(90, code=130)

    def watch(self, run):
        """A Prometheus with the laptop's configuration, which lies beside endpoints.json as the
        README says. It scrapes faster, to be done sooner.
        """

        def all_started():
            return len(self.endpoints(run)) == 4

        wait_until("endpoints.json of four services", all_started, 120, run.about)
        text = re.sub(r"scrape_(interval|timeout): \d+s", r"scrape_\1: 1s", LAPTOP.read_text())
        config = run.dir / "prometheus.yml"
        config.write_text(text)
        prometheus = Prometheus(config, self.folder)
        self.addCleanup(prometheus.stop)
        return prometheus

    def wait_for_numbers(self, run, prometheus):
        """Until each expression had a number once, but for panels that may be empty, of which
        Prometheus is only asked.
        """
        for text in expressions(charts()):
            prometheus.query(text)
        missing = set(expressions(p for p in charts() if not may_be_empty(p)))

        def required():
            return {text for text in missing if not metrics_in(text) & MAY_BE_EMPTY}

        def all_answered():
            if run.process.poll() is not None:
                raise AssertionError(f"the run ended. {run.about()}")
            missing.difference_update([text for text in missing if prometheus.numbers(text)])
            return not required()

        def about():
            return "none for: " + "; ".join(sorted(required()))

        wait_until("a number for every expression", all_answered, 400, about)

    @staticmethod
    def endpoints(run):
        try:
            return json.loads((run.dir / "endpoints.json").read_text())
        except (OSError, ValueError):
            return []


if __name__ == "__main__":
    main()
