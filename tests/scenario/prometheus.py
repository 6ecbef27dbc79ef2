# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on a free port, as Debian packages it."""

import json
import math
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from framework import ROOT, free_port, tail, wait_until

DEPS = pathlib.Path(os.environ.get("ATTNRL_DEPS_DIR", ROOT / ".deps"))
UNPACKED = DEPS / "prometheus/usr/bin"


def binary(name):
    """The path of prometheus or promtool, installed or unpacked by tools/install; else None."""
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED))


def check_config(path):
    """What promtool says against a configuration; empty where it is right."""
    command = [binary("promtool"), "check", "config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Prometheus:
    """A server that is ready once it is constructed, and runs until stop()."""

    def __init__(self, config, folder):
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self.log = folder / "prometheus.log"
        command = [
            binary("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until("Prometheus to be ready", self.ready, 60, lambda: tail(self.log))

    def ready(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"Prometheus ended with exit code {code}: {tail(self.log)}")
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def query(self, expression):
        """[(labels, value)] of an instant query; AssertionError where it is no PromQL."""
        parameters = urllib.parse.urlencode({"query": expression})
        try:
            answer = urllib.request.urlopen(f"{self.url}/api/v1/query?{parameters}", timeout=30)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise AssertionError(f"{expression}: {said}") from None
        series = json.loads(answer.read())["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in series]

    def numbers(self, expression):
        """The values of an instant query that are numbers."""
        return [value for _, value in self.query(expression) if not math.isnan(value)]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
