# SPDX-License-Identifier: Apache-2.0
"""A run whose rows lie in PostgreSQL: it ends as one on SQLite does, also when the server is killed
or stands still, and when a second branch-scheduler takes over from one that is gone or frozen.
"""

import signal
import unittest

import postgres
from cluster import SECTIONS, Services, free_port
from framework import EXACT, SMALL, Scenario, main, process_stat, settings, wait_until

PROGRAMS = postgres.find_programs()
STEPS = 6
LONG = {"run.steps": STEPS}


def verdicts(run):
    return [line["verdicts"] for line in run.lines()]


@unittest.skipIf(PROGRAMS is None, "no PostgreSQL server is installed")
class Postgres(Scenario):
    def setUp(self):
        super().setUp()
        self.services = None
        self.server = postgres.Server(PROGRAMS)

    def tearDown(self):
        if self.services:
            self.services.kill_everything()
        super().tearDown()
        self.server.close()

    def store(self, run_id):
        return {"scheduler.store": self.server.url, "run.id": run_id}

    def test_a_run_ends_as_on_sqlite_whatever_happens_to_the_server(self):
        on_sqlite = self.finish("sqlite", SMALL, EXACT, LONG)
        run = self.start("postgres", SMALL, EXACT, LONG, self.store("one"))
        run.wait_for_step(0)
        self.server.kill()
        self.server.start()
        run.wait_for_step(2)
        self.server.pause()
        wait_until("the server to stand still",
                   lambda: process_stat(self.server.family()[0])[0] == "T", 10)  # fmt: skip
        self.server.go_on()
        run.wait_for_step(3)
        run.kill_everything()
        done = self.start("postgres", SMALL, EXACT, LONG, self.store("one"), resume=True)
        done.wait(300)
        self.check_records(done, STEPS)
        self.assertEqual(verdicts(done), verdicts(on_sqlite))
        self.assertEqual(done.digest(STEPS), on_sqlite.digest(STEPS))
        self.assertFalse((done.dir / "scheduler.db").exists())
        self.assertIn("connected to the database again",
                      (done.dir / "logs/branch-scheduler.log").read_text())  # fmt: skip
        # Of the password nothing is anywhere.
        for file in done.dir.rglob("*"):
            if file.is_file() and file.suffix in (".log", ".out", ".yaml", ".json", ".jsonl"):
                self.assertNotIn(postgres.PASSWORD, file.read_text(errors="replace"), file)

        # The same database has another run beside it, which a wrong name finds and refuses.
        other = self.start("other", SMALL, EXACT, LONG, self.store("one"))
        said = other.wait(120, code=2)
        self.assertIn("steps of the run one, whose records are not in", said)

    def test_a_standby_takes_over_from_a_scheduler_that_stands_still(self):
        on_sqlite = self.finish("sqlite", SMALL, EXACT, LONG)
        maps = (SMALL, EXACT, LONG, self.store("taken"))
        self.services = services = Services(self.folder, "taken", *maps)
        services.wait_for_step(0)
        # As on another machine: another address, which callers then find.
        services.addresses["branch-scheduler"] = address = f"localhost:{free_port()}"
        addresses = {f"{SECTIONS[role]}.address": at for role, at in services.addresses.items()}
        flags = settings(*maps, addresses)
        services.start("branch-scheduler 2", flags)
        log = services.dir / "logs/branch-scheduler-2.log"
        self.said(log, "standing by: another branch-scheduler has the run")
        first = services.processes.pop("branch-scheduler")
        status = self.tool("status", "--scheduler", address, code=1).stderr
        self.assertIn(f"this branch-scheduler stands by: process {first.pid} on ", status)

        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        first.send_signal(signal.SIGSTOP)
        self.assertLess(len(services.lines()), STEPS, "it had ended before the fault")
        self.said(log, "taking the run over")
        for role in ("learner", "rollout-worker 0"):
            services.processes[role].kill()
            services.processes[role].wait()
            services.start(role, flags)
        services.wait_for_step(len(services.lines()))
        first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(60), 2, services.about())
        refused = (services.dir / "logs/branch-scheduler.out").read_text().strip()
        self.assertRegex(refused, "^error: PostgreSQL database postgres at .*: the "
                         "branch-scheduler process [0-9]+ on .* owns the run taken with epoch 2; "
                         "this one has epoch 1 and must end$")  # fmt: skip
        services.wait_for_step(STEPS - 1)
        self.check_records(services, STEPS)
        self.assertEqual(verdicts(services), verdicts(on_sqlite))
        self.assertEqual(services.digest(STEPS), on_sqlite.digest(STEPS))
        self.assertEqual(set(services.stop().values()), {0}, services.about())

    def said(self, log, words):
        wait_until(f"{words!r} in {log.name}",
                   lambda: log.exists() and words in log.read_text(errors="replace"),
                   120, self.services.about)  # fmt: skip


if __name__ == "__main__":
    main()
