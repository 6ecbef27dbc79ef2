#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/layers finds each kind of violation in a small tree, and nothing in a right one."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

LAYERS = pathlib.Path(__file__).with_name("layers")
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def run_layers(files):
    """Runs tools/layers on a tree of these files, {path: text}."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, LAYERS, folder], capture_output=True, text=True)


class Layers(unittest.TestCase):
    def found(self, files):
        """What tools/layers prints about these files; each gets the licence line at its head."""
        code = (".cc", ".h")
        licensed = {n: (SPDX if n.endswith(code) else "") + text for n, text in files.items()}
        done = run_layers(licensed)
        self.assertEqual(done.returncode, 0 if " 0 violations" in done.stdout else 1)
        return done.stdout

    def test_a_right_tree_passes(self):
        out = self.found(
            {
                "common/base/status.h": "",
                "common/tree/a.cc": '#include "common/base/status.h"\n',
                "services/learner/rpc/b.cc": (
                    '#include <grpcpp/grpcpp.h>\n#include "services/learner/c.h"\n'
                ),
                "services/learner/c.h": "#include <ATen/ATen.h>\n",
                "services/branch_scheduler/d.cc": '#include "services/verifier/client/e.h"\n',
                "services/verifier/client/e.h": '#include "services/verifier/types.h"\n',
                "services/verifier/types.h": "",
            }
        )
        self.assertIn("7 files, 0 targets, 0 violations", out)

    def test_a_tree_without_files_fails(self):
        self.assertEqual(run_layers({}).returncode, 1)

    def test_a_lower_folder_does_not_see_a_higher_one(self):
        out = self.found(
            {
                "common/base/a.cc": '#include "common/tree/b.h"\n',
                "common/tree/b.h": "",
            }
        )
        self.assertIn("common/base lies below common/tree", out)

    def test_a_folder_of_common_has_a_place_in_the_order(self):
        out = self.found({"common/new/a.h": ""})
        self.assertIn("common/new has no place in the order", out)

    def test_a_core_reaches_no_grpc_even_through_others(self):
        out = self.found(
            {
                "services/learner/a.cc": '#include "common/rpc/b.h"\n',
                "common/rpc/b.h": "#include <grpcpp/grpcpp.h>\n",
            }
        )
        self.assertIn("through common/rpc/b.h -> grpcpp/grpcpp.h", out)

    def test_a_core_does_not_see_its_rings(self):
        out = self.found(
            {
                "services/learner/a.cc": '#include "services/learner/rpc/b.h"\n',
                "services/learner/rpc/b.h": "",
            }
        )
        self.assertIn("the core lies below its rpc ring", out)

    def test_a_service_sees_another_through_its_client_only(self):
        out = self.found(
            {
                "services/branch_scheduler/a.cc": '#include "services/verifier/grade.h"\n',
                "services/verifier/grade.h": "",
            }
        )
        self.assertIn("client/ or types.h only", out)

    def test_the_scheduler_reaches_no_libtorch(self):
        out = self.found(
            {
                "services/branch_scheduler/a.cc": '#include "common/model/b.h"\n',
                "common/model/b.h": "#include <ATen/ATen.h>\n",
            }
        )
        self.assertIn("reaches LibTorch", out)

    def test_a_folder_without_libtorch_does_not_include_it(self):
        out = self.found({"common/text/a.cc": "#include <ATen/ATen.h>\n"})
        self.assertIn("includes LibTorch", out)

    def test_parts_without_libtorch_reach_none_in_folders_that_may_use_it(self):
        torch = "#include <ATen/ATen.h>\n"
        for part in (
            "services/rollout_worker/engine/a.cc",
            "services/rollout_worker/sampling/a.h",
            "services/rollout_worker/work/a.cc",
            "common/attention/paged/plan.h",
            "common/attention/paged/kernel.h",
        ):
            self.assertIn("through ATen/ATen.h: this part has none", self.found({part: torch}))
            out = self.found({part: '#include "common/model/b.h"\n', "common/model/b.h": torch})
            self.assertIn("through common/model/b.h -> ATen/ATen.h: this part has none", out)
        for part in ("services/rollout_worker/runner/a.cc", "common/attention/paged/plan_index.h"):
            self.assertIn(" 0 violations", self.found({part: torch}))

    def test_nothing_includes_tools(self):
        out = self.found({"services/learner/a.cc": '#include "tools/b.h"\n', "tools/b.h": ""})
        self.assertIn("nothing includes tools/", out)

    def test_a_service_sees_no_service_after_it(self):
        out = self.found(
            {
                "services/branch_scheduler/a.cc": '#include "services/learner/client/b.h"\n',
                "services/learner/client/b.h": "",
            }
        )
        self.assertIn("services/branch_scheduler lies below services/learner", out)

    def test_only_tests_see_testing(self):
        files = {"common/text/testing/b.h": ""}
        include = '#include "common/text/testing/b.h"\n'
        self.assertIn("testing/ is for tests", self.found({"common/text/a.cc": include, **files}))
        self.assertIn(" 0 violations", self.found({"common/text/a_test.cc": include, **files}))

    def test_a_target_links_what_its_sources_include(self):
        files = {
            "common/base/a.h": "",
            "common/base/CMakeLists.txt": "attnrl_library(common_base SRCS a.cc)\n",
            "common/text/b.cc": '#include "common/base/a.h"\n',
        }
        library = "attnrl_library(common_text SRCS b.cc{})\n"
        linked = {"common/text/CMakeLists.txt": library.format(" DEPS common_base"), **files}
        self.assertIn("2 targets, 0 violations", self.found(linked))
        out = self.found({"common/text/CMakeLists.txt": library.format(""), **files})
        self.assertIn("nothing of that folder is linked", out)

    def test_a_core_links_no_grpc_even_through_others(self):
        out = self.found(
            {
                "common/base/a.h": "",
                "common/rpc/CMakeLists.txt": "attnrl_library(common_rpc DEPS gRPC::grpc++)\n",
                "services/learner/CMakeLists.txt": "attnrl_library(learner_core DEPS common_rpc)\n",
            }
        )
        self.assertIn("learner_core reaches gRPC or generated code through common_rpc", out)

    def test_the_scheduler_links_no_libtorch(self):
        out = self.found(
            {
                "common/base/a.h": "",
                "common/model/CMakeLists.txt": "attnrl_library(common_model DEPS attnrl_torch)\n",
                "services/branch_scheduler/CMakeLists.txt": (
                    "attnrl_library(branch_scheduler_core\n  DEPS common_model)\n"
                ),
            }
        )
        self.assertIn("reaches LibTorch through common_model -> attnrl_torch", out)

    def test_links_go_down_and_in_no_circle(self):
        out = self.found(
            {
                "common/base/a.h": "",
                "common/base/CMakeLists.txt": "attnrl_library(common_base DEPS common_text)\n",
                "common/text/CMakeLists.txt": "attnrl_library(common_text DEPS common_base)\n",
            }
        )
        self.assertIn("common_base links common_text: common/base lies below common/text", out)
        self.assertIn("targets in a circle: common_base -> common_text -> common_base", out)

    def test_main_is_short(self):
        out = self.found({"services/learner/main.cc": "\n" * 61})
        self.assertIn("has 62 lines: at most 60", out)

    def test_a_file_begins_with_the_licence_line(self):
        self.assertIn("SPDX", run_layers({"common/base/a.h": "int a;\n"}).stdout)


if __name__ == "__main__":
    unittest.main()
