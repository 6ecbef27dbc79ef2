#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unpacks the named parts of a Python wheel, with the times and modes that it records.

usage: tools/unpack_wheel.py WHEEL FOLDER PREFIX...

A file is unpacked to FOLDER when its name in the wheel begins with one of the prefixes.
"""

import os
import sys
import time
import zipfile

DEFAULT_MODE = 0o644


def mode_of(entry):
    """The permissions of a file, which the upper half of its attributes holds on Unix."""
    return (entry.external_attr >> 16) & 0o777 or DEFAULT_MODE


def time_of(entry):
    """When a file was changed, in seconds since 1970; zip files record local time."""
    day_of_week, day_of_year, summer_time_unknown = 0, 0, -1
    return time.mktime((*entry.date_time, day_of_week, day_of_year, summer_time_unknown))


def unpack(wheel, folder, prefixes):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if not entry.is_dir() and entry.filename.startswith(tuple(prefixes)):
                path = archive.extract(entry, folder)
                os.chmod(path, mode_of(entry))
                os.utime(path, (time_of(entry), time_of(entry)))


def main(arguments):
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    wheel, folder, *prefixes = arguments
    unpack(wheel, folder, prefixes)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
