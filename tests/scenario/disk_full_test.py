# SPDX-License-Identifier: Apache-2.0
"""A full disk stops the run cleanly with exit code 1 and a message that names it; with room again,
--resume goes on. The disk is a small tmpfs in a mount namespace of its own; where that isn't
permitted, the scenario skips.
"""

import os
import pathlib
import subprocess
import sys
import unittest

from framework import SMALL, Run, Scenario, main

# Names the disk in the process that runs inside the mount namespace.
INSIDE = "ATTNRL_SCENARIO_DISK"
STEPS = 12
MANY_CHECKPOINTS = {
    "learner.checkpoint_every": 1,
    "learner.checkpoints_kept": 100,
    "run.steps": STEPS,
}


def namespace_command():
    """The command that runs another one in a mount namespace of its own; None where none may."""
    trial = ["sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    for command in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        try:
            tried = subprocess.run([*command, *trial], capture_output=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if tried.returncode == 0:
            return command
    return None


class DiskFull(Scenario):
    def test_a_full_disk_stops_cleanly_and_resume_goes_on(self):
        if INSIDE in os.environ:
            self.fill_and_resume(pathlib.Path(os.environ[INSIDE]))
        else:
            self.run_in_a_namespace()

    def fill_and_resume(self, disk):
        self.mount(disk, "size=6m")
        run = self.start_on(disk)
        said = run.wait(300, code=1)
        self.assertRegex(said.lower(), r"no space|disk.{0,20}full|full.{0,20}disk")
        self.assertIn("--resume", said)
        self.assertLess(len(run.lines()), STEPS, "the disk was never full")

        self.mount(disk, "remount,size=400m")
        resumed = self.start_on(disk, resume=True)
        resumed.wait(300)
        self.check_records(resumed, STEPS)

    def start_on(self, disk, **kwargs):
        run = Run(disk, "full", SMALL, MANY_CHECKPOINTS, **kwargs)
        self.runs.append(run)
        return run

    def mount(self, disk, options):
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
        subprocess.run(command, check=True, timeout=20)

    def run_in_a_namespace(self):
        """Runs this file once more, with a folder to mount the disk on."""
        command = namespace_command()
        if command is None:
            raise unittest.SkipTest(
                "no mount namespace can be made here (unshare -m): the full disk is not tried"
            )
        disk = self.folder / "disk"
        disk.mkdir()
        again = subprocess.run(
            [*command, sys.executable, __file__],
            env={**os.environ, INSIDE: str(disk)},
            capture_output=True,
            text=True,
            timeout=700,
        )
        self.assertEqual(again.returncode, 0, again.stderr[-3000:])


if __name__ == "__main__":
    main()
