# SPDX-License-Identifier: Apache-2.0
"""A full disk stops the run cleanly with exit code 1 and a message that names it; with room again, --resume goes on.
The disk is a small tmpfs in a mount namespace of its own; where that isn't permitted, the scenario skips."""
import os, pathlib, subprocess, sys, unittest

from framework import SMALL, Run, Scenario, main

INSIDE = "ATTNRL_SCENARIO_DISK"


def may_mount():
    """The command prefix that gives a mount namespace, or None."""
    for prefix in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        try: tried = subprocess.run([*prefix, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"], capture_output=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired): return None
        if tried.returncode == 0: return prefix
    return None


class DiskFull(Scenario):
    def test_a_full_disk_stops_cleanly_and_resume_goes_on(self):
        if INSIDE not in os.environ: return self.enter()
        disk = pathlib.Path(os.environ[INSIDE])
        self.mount(disk, "size=6m")
        run = Run(disk, "full", SMALL, {"learner.checkpoint_every": 1, "learner.checkpoints_kept": 100, "run.steps": 12})
        self.runs.append(run)
        said = run.wait(300, code=1)
        self.assertRegex(said.lower(), r"no space|disk.{0,20}full|full.{0,20}disk")
        self.assertIn("--resume", said)
        done = len(run.lines())
        self.assertLess(done, 12, "the disk was never full")

        self.mount(disk, "remount,size=400m")
        resumed = Run(disk, "full", SMALL, {"learner.checkpoint_every": 1, "learner.checkpoints_kept": 100, "run.steps": 12}, resume=True)
        self.runs.append(resumed)
        resumed.wait(300)
        self.check_records(resumed, 12)

    def mount(self, disk, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True, timeout=20)

    def enter(self):
        prefix = may_mount()
        if prefix is None: raise unittest.SkipTest("no mount namespace can be made here (unshare -m): the full disk is not tried")
        disk = self.folder / "disk"
        disk.mkdir()
        again = subprocess.run([*prefix, sys.executable, __file__], env={**os.environ, INSIDE: str(disk)}, capture_output=True, text=True, timeout=700)
        self.assertEqual(again.returncode, 0, again.stderr[-3000:])


if __name__ == "__main__": main()
