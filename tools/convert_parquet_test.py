#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/convert_parquet.py keeps what is nested, in the same order and the same bytes, and says in
one line what is wrong. Skipped where pyarrow isn't there and PyPI can't be reached.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import convert_parquet

SCRIPT = pathlib.Path(__file__).with_name("convert_parquet.py")
# What ctest takes for skipped.
SKIPPED = 77

# Runs where pyarrow is: writes the Parquet files of the tests to a folder.
MAKE_FILES = """
import datetime, decimal, sys
import pyarrow as pa
from pyarrow import parquet

folder = sys.argv[1]
message = pa.struct([("content", pa.string()), ("role", pa.string())])
dapo = pa.schema([
    ("data_source", pa.string()),
    ("prompt", pa.list_(message)),
    ("reward_model", pa.struct([("ground_truth", pa.string()), ("style", pa.string())])),
    ("extra_info", pa.struct([("index", pa.string())])),
])
rows = [
    {"data_source": "math_dapo", "prompt": [{"content": f"{n}+{n}? \\u00e9\\n", "role": "user"}],
     "reward_model": {"ground_truth": str(2 * n), "style": "rule"},
     "extra_info": {"index": f"id-{n}"}}
    for n in (1, 2, 1)
]
parquet.write_table(pa.Table.from_pylist(rows, dapo), folder + "/dapo.parquet", row_group_size=2)

inner = pa.struct([("a", pa.int8())])
kinds = {
    "whole": pa.array([2**63 - 1, None], pa.int64()),
    "double": pa.array([0.1, float("nan")], pa.float64()),
    "single": pa.array([0.1, float("inf")], pa.float32()),
    "truth": pa.array([True, False]),
    "word": pa.array(["a", "b"]).dictionary_encode(),
    "bytes": pa.array([b"\\x00\\xff", None]),
    "day": pa.array([datetime.date(2026, 11, 28), None]),
    "time": pa.array([datetime.datetime(2026, 11, 28, 1, 2, 3), None]),
    "exact": pa.array([decimal.Decimal("1.50"), None]),
    "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int32())),
    "pairs": pa.array([[(1, [0.5])], None], pa.map_(pa.int32(), pa.list_(pa.float32()))),
    "deep": pa.array([[[{"a": None}], []], None], pa.list_(pa.list_(inner))),
}
parquet.write_table(pa.table(kinds), folder + "/kinds.parquet")

many = pa.table({"n": list(range(3000))})
parquet.write_table(many.slice(0, 2000), folder + "/many/a.parquet")
parquet.write_table(many.slice(2000), folder + "/many/b.parquet")
"""


class ConvertParquet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            python = convert_parquet.environment()
        except convert_parquet.EnvironmentFailure as failure:
            raise unittest.SkipTest(str(failure)) from failure
        cls.holder = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.holder.name)
        (cls.folder / "many").mkdir()
        subprocess.run([python, "-c", MAKE_FILES, cls.folder], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def run_script(self, *arguments):
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, cwd=self.folder
        )

    def rows(self, *arguments):
        done = self.run_script(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def refused(self, *arguments, code=2):
        done = self.run_script(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, r"^error: .+: .+; .+\n$")
        return done.stderr

    def test_nested_structs_and_lists_are_kept_in_their_order(self):
        done = self.run_script("dapo.parquet")
        self.assertEqual(
            done.stdout.splitlines()[0],
            '{"data_source":"math_dapo","prompt":[{"content":"1+1? é\\n","role":"user"}],'
            '"reward_model":{"ground_truth":"2","style":"rule"},"extra_info":{"index":"id-1"}}',
        )
        self.assertEqual(done.stderr, "3 of 3 rows were written\n")

    def test_every_kind_of_value_has_a_form_in_json(self):
        first, second = self.rows("kinds.parquet")
        self.assertEqual(
            first,
            {
                "whole": 2**63 - 1,
                "double": 0.1,
                "single": 0.1,
                "truth": True,
                "word": "a",
                "bytes": "AP8=",
                "day": "2026-11-28",
                "time": "2026-11-28T01:02:03",
                "exact": "1.50",
                "map": {"k": 1},
                "pairs": [[1, [0.5]]],
                "deep": [[{"a": None}], []],
            },
        )
        self.assertEqual({k for k, v in second.items() if v is not None}, {"truth", "word", "map"})

    def test_a_folder_is_read_in_the_order_of_its_names(self):
        self.assertEqual([row["n"] for row in self.rows("many")], list(range(3000)))
        files = ("many/b.parquet", "many/a.parquet")
        self.assertEqual(self.rows(*files)[0], {"n": 2000}, "files come as they are named")

    def test_the_same_input_gives_the_same_bytes_in_a_file_that_appears_whole(self):
        for name in ("one.jsonl", "two.jsonl"):
            done = self.run_script("dapo.parquet", "--output", name)
            self.assertEqual((done.returncode, done.stdout), (0, ""))
        one = (self.folder / "one.jsonl").read_bytes()
        self.assertEqual(one, (self.folder / "two.jsonl").read_bytes())
        self.assertEqual(one.decode(), self.run_script("dapo.parquet").stdout)
        self.assertEqual(list(self.folder.glob("*.tmp-*")), [])

    def test_columns_are_chosen_and_ordered(self):
        rows = self.rows("dapo.parquet", "--columns", "extra_info,data_source")
        self.assertEqual(list(rows[0]), ["extra_info", "data_source"])

    def test_of_equal_records_the_first_is_kept(self):
        done = self.run_script("dapo.parquet", "--unique", "extra_info.index")
        ids = [json.loads(line)["extra_info"]["index"] for line in done.stdout.splitlines()]
        self.assertEqual(ids, ["id-1", "id-2"])
        self.assertEqual(done.stderr, "2 of 3 rows were written\n")

    def test_what_is_wrong_is_said_in_one_line(self):
        (self.folder / "text.parquet").write_text("no Parquet\n" * 10)
        whole = (self.folder / "dapo.parquet").read_bytes()
        (self.folder / "cut.parquet").write_bytes(whole[:-20])
        (self.folder / "empty").mkdir(exist_ok=True)
        self.assertIn("nowhere.parquet: there is no such file", self.refused("nowhere.parquet"))
        self.assertIn("text.parquet: can't be read", self.refused("text.parquet"))
        self.assertIn("cut.parquet: can't be read", self.refused("cut.parquet"))
        self.assertIn("empty: holds no *.parquet file", self.refused("empty"))
        columns = self.refused("dapo.parquet", "--columns", "promt")
        self.assertIn('no column "promt"; data_source, prompt', columns)
        unique = self.refused("dapo.parquet", "--unique", "extra_info.idx")
        self.assertIn('no field "extra_info.idx"; data_source', unique)
        self.assertIn("--output: there is no folder no", self.refused("many", "--output", "no/o"))
        self.assertIn("--help", self.refused("many", "--colums", "n"))
        self.assertIn("--help", self.refused())

    def test_a_file_that_was_not_finished_leaves_what_was_there(self):
        kept = self.folder / "kept.jsonl"
        kept.write_text("before")
        self.refused("dapo.parquet", "--unique", "nothing", "--output", "kept.jsonl")
        self.assertEqual(kept.read_text(), "before")
        self.assertEqual(list(self.folder.glob("kept.jsonl.tmp-*")), [])

    def test_a_reader_that_has_enough_is_no_error(self):
        command = f"{sys.executable} {SCRIPT} many | head -1"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        self.assertEqual((done.returncode, done.stdout), (0, '{"n":0}\n'), done.stderr)
        self.assertEqual(done.stderr, "")


class Help(unittest.TestCase):
    def test_shows_examples_and_says_what_is_installed(self):
        done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        self.assertIn("examples:", done.stdout)
        self.assertIn("pyarrow from PyPI", done.stdout)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    for _, reason in result.skipped:
        print(f"skipped: {reason}")
    sys.exit(SKIPPED if result.skipped else 0)
