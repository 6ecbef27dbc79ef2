# SPDX-License-Identifier: Apache-2.0
"""attnrl-verifier and the example of one in Python keep what the protocol promises.

Skips where Python's gRPC is missing.
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

from framework import BIN, CONFIG, ROOT, SKIPPED, main, wait_until

CHECK = ROOT / "tests/conformance/check_verifier.py"
EXAMPLE = ROOT / "services/verifier/examples/regex_verifier.py"


def find_python():
    """An interpreter that has grpcio and protobuf; None without one."""
    for python in (sys.executable, "/usr/bin/python3"):
        tried = subprocess.run(
            [python, "-c", "import grpc, google.protobuf"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return python
    return None


PYTHON = find_python()


class VerifierConformance(unittest.TestCase):
    """Each server, checked from outside."""

    def check(self, command, socket, task, right, answer):
        """Starts a server, and runs every check against it."""
        with tempfile.TemporaryFile() as log:
            server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            try:
                wait_until("the server's socket", socket.exists, 60)
                words = [PYTHON, CHECK, "--address", f"unix:{socket}"]
                words += ["--task", task, "--right", right, "--answer", answer]
                checked = subprocess.run(
                    words, capture_output=True, text=True, timeout=300, check=False
                )
                self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
                self.assertGreater(checked.stdout.count("ok "), 7, checked.stdout)
            finally:
                server.terminate()
                server.wait(timeout=60)

    def test_the_product_keeps_its_promises(self):
        with tempfile.TemporaryDirectory() as folder:
            socket = pathlib.Path(folder) / "verifier.sock"
            command = [BIN / "attnrl-verifier", "--config", CONFIG]
            command += ["--set", f"verifier.address=unix:{socket}"]
            self.check(command, socket, "math", "so \\boxed{\\frac{84}{2}}", "42")

    def test_the_example_keeps_its_promises(self):
        with tempfile.TemporaryDirectory() as folder:
            socket = pathlib.Path(folder) / "verifier.sock"
            command = [PYTHON, EXAMPLE, "--address", f"unix:{socket}"]
            self.check(command, socket, "regex", "so <answer>42</answer>", "4[0-9]")


if __name__ == "__main__":
    if PYTHON is None:
        print("no Python with grpcio and protobuf: skipped")
        sys.exit(SKIPPED)
    main()
