# SPDX-License-Identifier: Apache-2.0
"""A run whose services talk TCP with mutual TLS: it trains as any other, renews its certificates on
the way, and lets nobody in who has no right to.
"""

import json

from cluster import Services, files_of, flags_of, make_certificates
from framework import EXACT, SMALL, Scenario, main


class MutualTls(Scenario):
    def setUp(self):
        super().setUp()
        self.certificates = self.folder / "certs"
        done = make_certificates(self.certificates)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.services = None

    def tearDown(self):
        if self.services:
            self.services.kill_everything()
        super().tearDown()

    def ask(self, command, *flags, code=0):
        scheduler = self.services.addresses["branch-scheduler"]
        return self.tool(command, "--scheduler", scheduler, *flags, code=code)

    def test_the_run_is_the_same_and_only_who_may_gets_in(self):
        local = self.finish("local", SMALL, EXACT)
        self.services = Services(self.folder, "tls", SMALL, EXACT, certificates=self.certificates)
        self.services.wait_for_step(0)

        people = flags_of(self.certificates, "operator")
        status = json.loads(self.ask("status", "--json", *people).stdout)
        self.assertEqual(status["steps_total"], 4)
        refused = self.ask("drain", *flags_of(self.certificates, "learner"), code=1).stderr
        self.assertIn("the role learner may not call BranchScheduler/Drain; operator may", refused)
        others = self.folder / "others"
        self.assertEqual(make_certificates(others).returncode, 0)
        self.ask("status", *flags_of(others, "operator"), code=1)  # of a CA of its own
        self.ask("status", code=1)  # plain TCP
        for file in ("ca.crt", "ca.key"):
            (others / file).write_bytes((self.certificates / file).read_bytes())
        for role in ("branch-scheduler", "learner", "operator", "rollout-worker", "verifier"):
            (others / f"{role}.crt").unlink()
            (others / f"{role}.key").unlink()
        self.assertEqual(make_certificates(others, "--run", "other").returncode, 0)
        stranger = ["--run-id", "other", *flags_of(others, "operator")]
        self.ask("status", *stranger, code=1)

        self.services.wait_for_step(3)
        self.assertEqual(self.services.digest(4), local.digest(4), "TLS changes no bit")
        self.check_records(self.services, 4)
        codes = self.services.stop()
        self.assertEqual(set(codes.values()), {0}, self.services.about())

    def test_make_certs_replaces_nothing(self):
        before = {file: file.read_bytes() for file in self.certificates.iterdir()}
        done = make_certificates(self.certificates)
        self.assertEqual(done.returncode, 2)
        self.assertIn("has every certificate already; move ROLE.crt and ROLE.key", done.stderr)
        self.assertEqual({file: file.read_bytes() for file in self.certificates.iterdir()}, before)
        for file in files_of(self.certificates, "learner").values():
            self.assertTrue(file.exists(), file)
        self.assertEqual((self.certificates / "ca.key").stat().st_mode & 0o077, 0)


if __name__ == "__main__":
    main()
