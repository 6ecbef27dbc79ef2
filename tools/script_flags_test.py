#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scripts that work for minutes refuse a wrong flag in one line before they begin."""

import pathlib
import subprocess
import unittest

TOOLS = pathlib.Path(__file__).parent


class Scripts(unittest.TestCase):
    def refused(self, script, *arguments):
        command = [TOOLS / script, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aerror: [^\n]*\n\Z")
        return done.stderr

    def test_quickstart(self):
        for flags in (["--set", "run.steps"], ["--set=run.steps"], ["--set", "=3"], ["--set"]):
            self.assertIn("error: --set", self.refused("quickstart", *flags))
        for flags in (["--workers", "two"], ["--workers=-1"], ["smollm2", "--workers", "1.5"]):
            self.assertIn("error: --workers ", self.refused("quickstart", *flags))
        self.assertIn("--steps: no such flag; ", self.refused("quickstart", "--steps", "3"))

    def test_build(self):
        self.assertIn("--release: no such flag; ", self.refused("build", "--release"))
        self.assertIn("-v: no such flag; ", self.refused("build", "--cpu", "product", "-v"))


if __name__ == "__main__":
    unittest.main()
