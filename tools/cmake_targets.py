# SPDX-License-Identifier: Apache-2.0
"""Reads the targets of every CMakeLists.txt: their folders, sources and what they link.

Only the functions of tools/cmake/Targets.cmake make targets, so no CMake is needed to know them."""

import collections
import dataclasses
import pathlib
import re

CALL = re.compile(r"\battnrl_(library|binary|test|proto)\(\s*([\w-]+)([^)]*)\)")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
KEYS = ("SRCS", "CUDA_SRCS", "CPU_SRCS", "DEPS", "PROTOS", "TIMEOUT", "LABEL")
TOP_FOLDERS = ("proto", "common", "services", "tools", "tests")


@dataclasses.dataclass
class Target:
    name: str
    folder: str
    sources: list
    links: list
    binary: bool
    testing: bool  # a test, or what only tests link


class Graph:
    """Every target below a root, by name."""

    def __init__(self, root):
        self._root = root
        self.targets = {}
        for top in TOP_FOLDERS:
            for path in sorted((root / top).rglob("CMakeLists.txt")):
                self._read(path)

    def _read(self, path):
        folder = path.parent.relative_to(self._root).as_posix()
        text = re.sub(r"#[^\n]*", "", path.read_text(encoding="utf-8"))
        for kind, name, arguments in CALL.findall(text):
            words = collections.defaultdict(list)
            key = ""
            for word in arguments.split():
                if word in KEYS:
                    key = word
                else:
                    words[key].append(word)
            testing = kind == "test" or "testing" in folder.split("/") or folder.startswith("tests")
            sources = words["SRCS"] + words["CUDA_SRCS"] + words["CPU_SRCS"]
            target = Target(name, folder, sources, words["DEPS"], kind == "binary", testing)
            self.targets[name] = target
            if kind == "proto":
                stubs = Target(f"{name}_grpc", folder, [], [name, "gRPC::grpc++"], False, False)
                self.targets[stubs.name] = stubs

    def reached(self, target):
        """Names of all that the target links, directly or not, itself included."""
        seen = {target.name}
        queue = collections.deque(seen)
        while queue:
            known = self.targets.get(queue.popleft())
            for name in known.links if known else ():
                if name not in seen:
                    seen.add(name)
                    queue.append(name)
        return seen

    def chain(self, target, goal):
        """The links from a target to `goal`; None where there are none."""
        queue = collections.deque([(target.name,)])
        seen = set()
        while queue:
            chain = queue.popleft()
            known = self.targets.get(chain[-1])
            for name in known.links if known else ():
                if name == goal:
                    return (*chain[1:], name)
                if name not in seen:
                    seen.add(name)
                    queue.append((*chain, name))
        return None

    def foreign_headers(self, target):
        """(source, header) of each header of another folder that a source or its header names."""
        for source in target.sources:
            own = pathlib.Path(self._root, target.folder, source)
            for path in (own, own.with_suffix(".h")):
                if not path.is_file():
                    continue
                for name in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
                    header = self._root / name
                    if header.is_file() and header.parent != path.parent:
                        yield path.relative_to(self._root).as_posix(), name

    def circles(self):
        """Each target that reaches itself, with the way."""
        for target in self.targets.values():
            chain = self.chain(target, target.name)
            if chain:
                yield " -> ".join((target.name, *chain))
