#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scripts can be called, say what they do, and those that work for minutes refuse a wrong flag in
one line before they begin.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
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

    def test_gpu_check_packs_what_can_travel(self):
        """With stand-ins for what installs and builds: the rest is the script's own."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            bench = "tests/bench/whole"
            for name in (
                "tools/gpu-check",
                "tools/prelude.sh",
                f"{bench}/run",
                f"{bench}/peers.py",
            ):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(TOOLS.parent / name, root / name)
            shape = root / "deploy/local/paper/shapes/1.5b/config.json"
            shape.parent.mkdir(parents=True)
            shape.write_text("{}")
            (root / "build/bin").mkdir(parents=True)
            for name in ("gpu_check", "whole_check"):
                shutil.copy("/bin/true", root / "build/bin" / name)
            for name in ("tools/install", "tools/build", "cmake"):
                (root / name).write_text("#!/bin/sh\n")
                (root / name).chmod(0o755)
            oracle = root / "data/oracle/qwen2-tiny"
            oracle.mkdir(parents=True)

            def pack(name):
                command = [root / "tools/gpu-check", "pack", root / name]
                environment = os.environ | {
                    "PATH": f"{root}:{os.environ['PATH']}",
                    "ATTNRL_SHARED": folder,
                    "ATTNRL_BUILD_DIR": str(root / "build"),
                }
                return subprocess.run(
                    command, env=environment, capture_output=True, text=True, timeout=60
                )

            done = pack("small")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue((root / "small/oracle/qwen2-tiny").is_dir())
            with (oracle / "model.safetensors").open("wb") as large:
                large.truncate(60 << 20)
            done = pack("large")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(
                done.stderr,
                r"\Aerror: \S*/large has \d+ bytes, more than the 62914560 that are allowed; "
                r"the largest is oracle/qwen2-tiny/model.safetensors\n\Z",
            )

    def test_each_can_be_called(self):
        found = subprocess.run(
            ["git", "grep", "--untracked", "-lIE", r"^#!.*\b(bash|python3)$"],
            capture_output=True,
            text=True,
            check=True,
            cwd=TOOLS.parent,
        )
        paths = [TOOLS.parent / line for line in found.stdout.splitlines()]
        scripts = [path for path in paths if path.read_bytes()[:2] == b"#!"]
        self.assertIn(TOOLS / "build", scripts)
        self.assertEqual([path for path in scripts if not os.access(path, os.X_OK)], [])

    def test_services_know_the_variables_that_scripts_read(self):
        """Others they would take for mistyped keys, and name them in each of their outputs."""
        folders = [TOOLS.parent / name for name in ("tools", "deploy", "tests")]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        texts = [path.read_bytes() for path in files if path.suffix in ("", ".py", ".sh")]
        read = rb'(?:\$\{?|environ\.get\("|INSIDE = ")(ATTNRL_[A-Z_]+)'
        found = {name.decode() for text in texts for name in re.findall(read, text)}
        loading = (TOOLS.parent / "common/config/load.cc").read_text()
        self.assertIn("ATTNRL_SHARED", found)
        self.assertEqual({name for name in found if f'"{name}"' not in loading}, set())

    def test_each_says_what_it_does(self):
        scripts = [path for path in TOOLS.iterdir() if path.is_file() and os.access(path, os.X_OK)]
        for script in scripts:
            if script.name.endswith("_test.py"):
                continue
            done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""), script.name)
            self.assertIn(script.name, done.stdout)

    @unittest.skipUnless(shutil.which("ctags"), "tools/install lint brings ctags")
    def test_dead_passes_over_a_file_that_was_removed(self):
        with tempfile.TemporaryDirectory() as folder:
            gone = pathlib.Path(folder, "common", "gone.cc")
            gone.parent.mkdir()
            gone.write_text("")
            gone.with_name("used.cc").write_text("int Used() { return 0; }\nint x = Used();\n")
            for command in (["init", "-q"], ["add", "."]):
                subprocess.run(["git", "-C", folder, *command], check=True)
            gone.unlink()
            done = subprocess.run([TOOLS / "dead", folder], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "1 files, 0 unused functions\n"))


if __name__ == "__main__":
    unittest.main()
