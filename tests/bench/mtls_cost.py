#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What mutual TLS costs: steps of the quickstart whose services talk loopback TCP, plainly and with
certificates.

  tests/bench/mtls_cost.py [--steps 20] [--pairs 2]

The two kinds take turns, do the same work to the last bit, and print one line of JSON: seconds a
step by the clock and by the processors (all services together), and the ratio of both. The first
five steps, in which the pipeline fills, count only for the processors. TEST_BIN_DIR names other
binaries. About two minutes a pair on two quiet cores.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
from cluster import Services, make_certificates
from framework import process_stat

FILLING = 5
TICK = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid):
    """User and system time of a process and of the children that it has waited for."""
    fields = process_stat(pid)
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICK


def measure(folder, name, steps, certificates):
    """(seconds a step by the clock, by the processors) of one run."""
    services = Services(folder, name, {"run.steps": steps}, certificates=certificates, workers=2)
    try:
        services.wait_for_step(steps - 1, seconds=120 * steps)
        pids = [process.pid for process in services.processes.values()]
        processors = sum(map(processor_seconds, pids)) / steps
        clock = statistics.mean(line["seconds"]["step"] for line in services.lines()[FILLING:])
        services.stop()
    finally:
        services.kill_everything()
    return clock, processors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="steps of each run [20]")
    parser.add_argument("--pairs", type=int, default=2, help="runs of each kind [2]")
    options = parser.parse_args()
    if options.steps <= FILLING or options.pairs < 1:
        parser.error(f"--steps must be more than {FILLING}, --pairs at least 1")
    found = {"plain": [], "tls": []}
    with tempfile.TemporaryDirectory(prefix="attnrl-bench-") as name:
        folder = pathlib.Path(name)
        certificates = folder / "certs"
        made = make_certificates(certificates)
        if made.returncode:
            sys.exit(made.stderr.strip())
        for pair in range(options.pairs):
            for kind, used in (("plain", None), ("tls", certificates)):
                found[kind].append(measure(folder, f"{kind}-{pair}", options.steps, used))
    means = {
        kind: list(map(statistics.mean, zip(*runs, strict=True))) for kind, runs in found.items()
    }
    result = {"bench": "mtls_cost", "steps": options.steps, "pairs": options.pairs}
    for i, unit in enumerate(("clock", "processors")):
        result[unit] = {kind: round(values[i], 3) for kind, values in means.items()}
        result[unit]["ratio"] = round(means["tls"][i] / means["plain"][i], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
