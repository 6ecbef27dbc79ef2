# SPDX-License-Identifier: Apache-2.0
"""The configuration and the binaries, which manifests are compared with."""

import functools
import os
import pathlib
import subprocess

import manifests
from manifests import yaml

BIN = pathlib.Path(os.environ.get("TEST_BIN_DIR", manifests.ROOT / "build/bin")).resolve()
REFERENCE = manifests.ROOT / "deploy/local/reference.yaml"


def flatten(tree, prefix=""):
    """(dotted key, value) of each leaf of nested maps."""
    for key, value in (tree or {}).items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


@functools.cache
def reference():
    """Every key of the configuration with its default."""
    return dict(flatten(yaml.safe_load(REFERENCE.read_text())))


def own_settings(docs):
    """What the ConfigMap sets."""
    return dict(flatten(yaml.safe_load(manifests.configuration(docs)[1])))


def settings(docs):
    """What holds with the ConfigMap."""
    return {**reference(), **own_settings(docs)}


def variable_of(key):
    """The environment variable that sets a key."""
    return "ATTNRL_" + key.upper().replace(".", "_")


@functools.cache
def help_of(binary):
    command = [str(BIN / binary), "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
