# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of its own for a scenario: in a temporary folder, on a Unix socket, with a
password, and as a user that isn't root, whom the server refuses.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from framework import ROOT, children, tail, wait_until

PASSWORD = "not-to-be-seen"


def find_programs():
    """The folder of Debian's newest server, of the one that tools/install has unpacked, or of the
    one on PATH; None where there is none."""
    deps = pathlib.Path(os.environ.get("ATTNRL_DEPS_DIR", ROOT / ".deps"))
    for root in ("/", deps / "postgresql"):
        found = sorted(pathlib.Path(root).glob("usr/lib/postgresql/*/bin/postgres"))
        if found:
            return found[-1].parent
    on_path = shutil.which("postgres")
    return pathlib.Path(on_path).parent if on_path else None


class Server:
    """Names itself in the environment's PGPASSFILE until it is closed."""

    def __init__(self, programs):
        self.programs = programs
        self._folder = tempfile.TemporaryDirectory(prefix="attnrl-postgres-")
        self.folder = pathlib.Path(self._folder.name)
        self.user = None
        if os.geteuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            self.user = names.get("postgres") or names["nobody"]
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self.pgpass = self.folder / "pgpass"
        self.pgpass.write_text(f"*:*:*:*:{PASSWORD}\n")
        self.pgpass.chmod(0o600)
        os.environ["PGPASSFILE"] = str(self.pgpass)
        self.run("initdb", "--no-sync", "-U", "attnrl", "-A", "scram-sha-256", "-E", "UTF8",
                 "--locale=C", f"--pwfile={password}", "-D", self.folder / "data")  # fmt: skip
        self.start()

    @property
    def url(self):
        return f"postgres://attnrl@/postgres?host={self.folder}"

    def run(self, program, *arguments):
        as_user = {"user": self.user.pw_uid, "group": self.user.pw_gid} if self.user else {}
        log = self.folder / f"{program}.log"
        with open(log, "ab") as out:
            done = subprocess.run(
                [str(self.programs / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder, timeout=120,
                check=False, **({**as_user, "extra_groups": []} if as_user else {}),
            )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"{program}: {tail(log)}; {tail(self.folder / 'server.log')}")

    def start(self):
        options = f"-c listen_addresses= -c fsync=off -c unix_socket_directories={self.folder}"
        self.run("pg_ctl", "-w", "-t", "60", "-s", "-l", self.folder / "server.log",
                 "-o", options, "-D", self.folder / "data", "start")  # fmt: skip

    def family(self):
        try:
            parent = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return []
        return [parent] + [pid for pid, _ in children(parent)]

    def send(self, number):
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """kill -9 of all of it."""
        pids = self.family()
        self.send(signal.SIGKILL)
        alive = lambda: [pid for pid in pids if pathlib.Path(f"/proc/{pid}/exe").exists()]  # noqa: E731
        wait_until("the database server to be gone", lambda: not alive(), 20)
        for name in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / name).unlink(missing_ok=True)

    def pause(self):
        self.send(signal.SIGSTOP)

    def go_on(self):
        self.send(signal.SIGCONT)

    def close(self):
        self.go_on()
        self.kill()
        os.environ.pop("PGPASSFILE", None)
        self._folder.cleanup()
