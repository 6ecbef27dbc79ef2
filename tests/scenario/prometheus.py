# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on a free port, as Debian packages it."""
import json, math, os, pathlib, shutil, socket, subprocess, urllib.error, urllib.parse, urllib.request

from framework import ROOT, tail, wait_until

UNPACKED = pathlib.Path(os.environ.get("ATTNRL_DEPS_DIR", ROOT / ".deps")) / "prometheus/usr/bin"


def binary(name):
    """The path of prometheus or promtool: installed, or unpacked by tools/install test; None where there is none."""
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED))


def check_config(path):
    """What promtool says against a configuration; empty where it is right."""
    done = subprocess.run([binary("promtool"), "check", "config", str(path)], capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Prometheus:
    def __init__(self, config, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{port}", folder / "prometheus.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binary("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
                                             "--log.level=warn"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until("Prometheus to be ready", self.ready, 60, lambda: tail(self.log))

    def ready(self):
        if self.process.poll() is not None: raise AssertionError(f"Prometheus ended with exit code {self.process.returncode}: {tail(self.log)}")
        try: return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError: return False

    def query(self, expression):
        """[(labels, value)] of an instant query. AssertionError where the expression is no PromQL."""
        try: answer = urllib.request.urlopen(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}", timeout=30)
        except urllib.error.HTTPError as error: raise AssertionError(f"{expression}: {error.read().decode(errors='replace')[:300]}") from None
        data = json.loads(answer.read())["data"]
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def numbers(self, expression): return [value for _, value in self.query(expression) if not math.isnan(value)]

    def stop(self):
        self.process.terminate()
        try: self.process.wait(20)
        except subprocess.TimeoutExpired: self.process.kill(); self.process.wait()
