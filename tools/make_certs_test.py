#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/make-certs makes what is missing, replaces nothing, and says in one line what is wrong."""

import pathlib
import subprocess
import tempfile
import unittest

MAKE_CERTS = pathlib.Path(__file__).with_name("make-certs")
ROLES = ("rollout-worker", "branch-scheduler", "verifier", "learner", "operator")


class MakeCerts(unittest.TestCase):
    def setUp(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self._temporary.cleanup)
        self.folder = pathlib.Path(self._temporary.name)
        self.certs = self.folder / "certs"

    def run_it(self, *arguments):
        return subprocess.run([MAKE_CERTS, *arguments], capture_output=True, text=True)

    def made(self, *arguments):
        done = self.run_it(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refusal(self, *arguments):
        done = self.run_it(*arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aerror: [^\n]*\n\Z")
        return done.stderr

    def contents(self):
        return {path.name: path.read_bytes() for path in self.certs.iterdir()}

    def test_every_role_gets_a_certificate_that_the_ca_signed(self):
        self.made("--run", "math", self.certs)
        names = {"ca.crt", "ca.key"} | {f"{r}.{kind}" for r in ROLES for kind in ("crt", "key")}
        self.assertEqual(set(self.contents()), names)
        for role in ROLES:
            check = ["openssl", "verify", "-CAfile", self.certs / "ca.crt"]
            subprocess.run([*check, self.certs / f"{role}.crt"], check=True, capture_output=True)

    def test_one_role_is_renewed_and_the_others_stay(self):
        self.made(self.certs)
        before = self.contents()
        (self.certs / "learner.crt").rename(self.folder / "old.crt")
        self.assertIn("only one of learner.crt and learner.key", self.refusal(self.certs))
        (self.certs / "learner.key").rename(self.folder / "old.key")
        self.assertIn("for learner; ", self.made(self.certs))
        after = self.contents()
        changed = {name for name in before if before[name] != after[name]}
        self.assertEqual(changed, {"learner.crt", "learner.key"})
        self.assertIn("has every certificate already", self.refusal(self.certs))

    def test_a_place_that_is_no_folder_is_refused(self):
        file = self.folder / "file"
        file.write_text("")
        self.assertIn(f"{file}: is no folder; ", self.refusal(file))
        below = file / "certs"
        self.assertIn(f"{below}: can't be made: Not a directory; ", self.refusal(below))
        self.assertEqual(file.read_text(), "")


if __name__ == "__main__":
    unittest.main()
