#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/layers finds each kind of violation in a small tree, and nothing in a right one."""
import pathlib, subprocess, sys, tempfile, unittest

LAYERS = pathlib.Path(__file__).with_name("layers")
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class Layers(unittest.TestCase):
    def found(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {"common/base/status.h": "", **files}.items():
                path = pathlib.Path(folder, name); path.parent.mkdir(parents=True, exist_ok=True); path.write_text(SPDX + text)
            run = subprocess.run([sys.executable, LAYERS, folder], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0 if " 0 violations" in run.stdout else 1)
            return run.stdout

    def test_a_right_tree_passes(self):
        self.assertIn(" 0 violations", self.found(**{
            "common/tree/a.cc": '#include "common/base/status.h"\n',
            "services/learner/rpc/b.cc": '#include <grpcpp/grpcpp.h>\n#include "services/learner/c.h"\n',
            "services/learner/c.h": "#include <ATen/ATen.h>\n",
            "services/branch_scheduler/d.cc": '#include "services/verifier/client/e.h"\n',
            "services/verifier/client/e.h": '#include "services/verifier/types.h"\n',
            "services/verifier/types.h": ""}))

    def test_a_lower_folder_does_not_see_a_higher_one(self):
        self.assertIn("common/base lies below common/tree", self.found(**{"common/base/a.cc": '#include "common/tree/b.h"\n', "common/tree/b.h": ""}))

    def test_a_core_reaches_no_grpc_even_through_others(self):
        out = self.found(**{"services/learner/a.cc": '#include "common/rpc/b.h"\n', "common/rpc/b.h": "#include <grpcpp/grpcpp.h>\n"})
        self.assertIn("through common/rpc/b.h -> grpcpp/grpcpp.h", out)

    def test_a_service_sees_another_through_its_client_only(self):
        self.assertIn("client/ or types.h only", self.found(**{"services/branch_scheduler/a.cc": '#include "services/verifier/grade.h"\n', "services/verifier/grade.h": ""}))

    def test_the_scheduler_reaches_no_libtorch(self):
        self.assertIn("reaches LibTorch", self.found(**{"services/branch_scheduler/a.cc": '#include "common/model/b.h"\n', "common/model/b.h": "#include <ATen/ATen.h>\n"}))

    def test_nothing_includes_tools(self):
        self.assertIn("nothing includes tools/", self.found(**{"services/learner/a.cc": '#include "tools/b.h"\n', "tools/b.h": ""}))

    def test_main_is_short_and_files_have_a_licence_line(self):
        self.assertIn("has 62 lines: at most 60", self.found(**{"services/learner/main.cc": "\n" * 61}))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "common/base/a.h"); path.parent.mkdir(parents=True); path.write_text("int a;\n")
            self.assertIn("SPDX", subprocess.run([sys.executable, LAYERS, folder], capture_output=True, text=True).stdout)


unittest.main()
