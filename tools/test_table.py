#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what tools/test ends with: where the time went, and how many tests passed.

usage: tools/test_table.py TESTS.xml INSTALL_SECONDS BUILD_SECONDS TEST_SECONDS

TESTS.xml is what `ctest --output-junit` wrote. Exits 0 when no test failed and some passed.
"""

import collections
import sys
import xml.etree.ElementTree

# ctest's name of a status, and ours; any other one is a failure.
STATUS = {"run": "passed", "notrun": "skipped", "disabled": "skipped"}
SLOWEST = 12


def read_cases(path):
    """The test cases of a JUnit file; exits where there are none to be read."""
    try:
        return list(xml.etree.ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        print(f"error: no test results: {error}", file=sys.stderr)
        print("0 passed, 1 failed, 0 skipped")
        sys.exit(1)


def status(case):
    return STATUS.get(case.get("status"), "failed")


def seconds(case):
    return float(case.get("time", 0))


def print_times(cases, phases):
    print("\nWhere the time went")
    for name, spent in phases.items():
        print(f"  {name:<10}{spent:>6} s")
    print("The slowest tests")
    for case in sorted(cases, key=seconds, reverse=True)[:SLOWEST]:
        print(f"  {seconds(case):8.1f} s  {case.get('name')}")


def print_names(cases, what):
    names = [case.get("name") for case in cases if status(case) == what]
    if names:
        print(f"{what.capitalize()}: {', '.join(names)}")


def main(arguments):
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    path, *spent = arguments
    cases = read_cases(path)
    print_times(cases, dict(zip(("install", "build", "tests"), map(int, spent), strict=True)))
    print_names(cases, "skipped")
    print_names(cases, "failed")
    counts = collections.Counter(map(status, cases))
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
