#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes JSON Lines of Parquet files, as data sets are published: one JSON object a row, in the
order of the files and their rows. Nested structs and lists stay nested, columns keep their order,
and the same input gives the same bytes.

An INPUT is a file, or a folder whose *.parquet files are read in the order of their names.

The first call makes a Python environment of its own with pyarrow from PyPI, pinned by version and
SHA-256, and says so. It lies under .deps/ of the repository (another place: ATTNRL_DEPS_DIR), or
in ~/.cache/attnrl where that can't be written; to be rid of it, delete the folder pyarrow-* there.
Nothing else on the machine is changed.
"""

import argparse
import base64
import contextlib
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import venv

EXAMPLES = """\
examples:
  tools/convert_parquet.py train-00000-of-00001.parquet --output train.jsonl
  tools/convert_parquet.py gsm8k/main --columns question,answer --output gsm8k.jsonl
  tools/convert_parquet.py dapo-math-17k.parquet --unique extra_info.index --output dapo.jsonl
  tools/convert_parquet.py aime.parquet | head -1

A row without a value has null. NaN and infinities are null, times are text (ISO 8601), decimals are
text, bytes are text in base64. Exit code 2: bad flags or input; 1: anything else went wrong.
"""

ROOT = pathlib.Path(__file__).resolve().parents[1]
VERSION = "26.0.1"
# One wheel for each Python, for x86-64 Linux.
SHA256 = (
    "39cb0f2418282c24bea6ceda77b03e5a8f0a5766b63a8bf194d4e2a2c423548c",  # 3.11
    "c718bf97a92a6dea97fd1062c3b9f9e2e83cb9cc926e752289fa4ffff41738f9",  # 3.12
    "f71221bbc7707e3fad920d0478db9350791d4714ec445299ee0d56559fbc156c",  # 3.13
    "7ae48ab53610b85e004b03bccff593fbdf22186d0ab48ed42c90797915dac814",  # 3.14
)
ROWS_AT_ONCE = 1024


class InputError(Exception):
    """What the user gave is wrong; the message is `<where>: <what>; <what is allowed>`."""


class EnvironmentFailure(Exception):
    """pyarrow isn't there and can't be had."""


# The environment.


def environment_name():
    """It belongs to one version of pyarrow and of Python."""
    return f"pyarrow-{VERSION}-python{sys.version_info.major}.{sys.version_info.minor}"


def can_be_made_in(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def environment():
    """The Python that has pyarrow; makes the environment where it isn't there yet."""
    deps = pathlib.Path(os.environ.get("ATTNRL_DEPS_DIR") or ROOT / ".deps")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    places = (deps, cache / "attnrl")
    for place in places:
        python = place / environment_name() / "bin" / "python"
        if python.exists():
            return python
    for place in places:
        if can_be_made_in(place):
            return make_environment(place)
    raise EnvironmentFailure(f"neither {places[0]} nor {places[1]} can be written")


def make_environment(place):
    """Makes it beside its place first: what has its name is complete."""
    folder = place / environment_name()
    print(f"making {folder} with pyarrow {VERSION} from PyPI, once", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=place) as scratch:
        made = pathlib.Path(scratch, "environment")
        venv.create(made, with_pip=False, symlinks=True)
        install_pyarrow(made / "bin" / "python", pathlib.Path(scratch, "requirements.txt"))
        # Somebody else may have made it meanwhile.
        with contextlib.suppress(OSError):
            made.rename(folder)
    return folder / "bin" / "python"


def install_pyarrow(python, requirements):
    hashes = " ".join(f"--hash=sha256:{each}" for each in SHA256)
    requirements.write_text(f"pyarrow=={VERSION} {hashes}\n")
    # The system's pip for the environment's Python: Debian has no pip within environments unless
    # another package is installed.
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]
    command += ["--require-hashes", "--requirement", requirements]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with {done.returncode}"
        raise EnvironmentFailure(
            f"pyarrow {VERSION}: could not be installed: {why}; PyPI must be reachable once"
        )


# Values. A converter makes of a value as pyarrow hands it out one that JSON has; None stays None.


def optional(convert):
    return lambda value: None if value is None else convert(value)


def same(value):
    return value


def float_of(value):
    return value if math.isfinite(value) else None


def short_float_of(value):
    """The fewest digits that are read back to the same 32 bits, as Python has them for 64."""
    if not math.isfinite(value):
        return None
    bits = struct.pack("f", value)
    for digits in range(6, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("f", short) == bits:
            return short
    return value


def base64_of(value):
    return base64.b64encode(value).decode("ascii")


def struct_converter(kind):
    members = [(field.name, converter(field.type)) for field in kind]
    return lambda value: {name: convert(value[name]) for name, convert in members}


def list_converter(kind):
    convert = converter(kind.value_type)
    return lambda value: [convert(each) for each in value]


def map_converter(kind):
    """To an object where the keys are text, else to a list of pairs."""
    from pyarrow import types

    key, item = converter(kind.key_type), converter(kind.item_type)
    gather = dict if types.is_string(kind.key_type) else list
    return lambda value: gather([(key(one), item(other)) for one, other in value])


def converter(kind):
    """The converter of a type of Arrow."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):
        return converter(kind.value_type)
    if isinstance(kind, pyarrow.BaseExtensionType):
        return converter(kind.storage_type)
    if types.is_float64(kind):
        return optional(float_of)
    if types.is_floating(kind):
        return optional(short_float_of)
    if types.is_struct(kind):
        return optional(struct_converter(kind))
    if types.is_map(kind):
        return optional(map_converter(kind))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return optional(list_converter(kind))
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return optional(base64_of)
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return optional(lambda value: value.isoformat())
    if types.is_decimal(kind) or types.is_duration(kind):
        return optional(str)
    return same


# Files.


def files_of(inputs):
    """Every file to read, in order."""
    for name in inputs:
        path = pathlib.Path(name)
        if not path.is_dir():
            yield path
            continue
        inside = sorted(path.glob("*.parquet"))
        if not inside:
            raise InputError(f"{name}: holds no *.parquet file; a folder of them is needed")
        yield from inside


def check_flags(flags):
    """What can be seen without pyarrow."""
    for path in files_of(flags.inputs):
        if not path.exists():
            raise InputError(f"{path}: there is no such file; a Parquet file is needed")
    folder = pathlib.Path(flags.output).parent
    if flags.output != "-" and not folder.is_dir():
        raise InputError(f"--output: there is no folder {folder}; a path in one that is there")


def open_parquet(path):
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise InputError(f"{path}: can't be read: {why}; a Parquet file is needed") from error


def one_line(error):
    return " ".join(str(error).split())


def check_columns(path, names, columns):
    for column in columns or []:
        if column not in names:
            raise InputError(f'{path}: there is no column "{column}"; {", ".join(names)}')


def rows_of(path, columns):
    """The rows of a file as JSON has them, a dict each."""
    import pyarrow

    file = open_parquet(path)
    schema = file.schema_arrow
    check_columns(path, schema.names, columns)
    # The order that was asked for, not the file's.
    members = [(name, converter(schema.field(name).type)) for name in columns or schema.names]
    try:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                yield {name: convert(row[name]) for name, convert in members}
    # A value that Python can't hold, as nanoseconds, is a ValueError.
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(
            f"{path}: can't be converted: {one_line(error)}; leave the column out with --columns"
        ) from error


def field_of(row, name, path):
    """The value of a field, in whose name a dot leads into an object."""
    value = row
    for key in [name] if name in row else name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise InputError(f'{path}: there is no field "{name}"; {", ".join(row)}')
        value = value[key]
    return value


def records(flags, counts):
    """The rows to write; `counts` has how many were read and how many are written."""
    seen = set()
    for path in files_of(flags.inputs):
        for row in rows_of(path, flags.columns):
            counts["read"] += 1
            if flags.unique:
                value = json.dumps(field_of(row, flags.unique, path), sort_keys=True)
                if value in seen:
                    continue
                seen.add(value)
            counts["written"] += 1
            yield row


def write_records(flags, out, counts):
    for record in records(flags, counts):
        out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
        out.write("\n")


@contextlib.contextmanager
def whole_file(path):
    """A file that has its name once it is complete."""
    unfinished = pathlib.Path(f"{path}.tmp-{os.getpid()}")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as out:
            yield out
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def convert(flags):
    counts = {"read": 0, "written": 0}
    if flags.output == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        write_records(flags, sys.stdout, counts)
        sys.stdout.flush()
    else:
        with whole_file(flags.output) as out:
            write_records(flags, out, counts)
    print(f"{counts['written']} of {counts['read']} rows were written", file=sys.stderr)


# The command line.


class OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message}; see {self.prog} --help")


def read_flags(arguments):
    parser = OneLineParser(
        prog="tools/convert_parquet.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="Parquet file, or folder of them"
    )
    parser.add_argument("--output", default="-", metavar="FILE", help="JSON Lines; - is stdout")
    parser.add_argument(
        "--columns",
        type=lambda text: text.split(","),
        metavar="A,B",
        help="only these columns, in this order",
    )
    parser.add_argument(
        "--unique",
        metavar="FIELD",
        help="of rows with the same value there only the first; a dot leads into a struct",
    )
    return parser.parse_args(arguments)


def run(arguments):
    flags = read_flags(arguments)
    check_flags(flags)
    python = environment()
    if not os.path.samefile(sys.prefix, python.parents[1]):
        os.execv(python, [str(python), __file__, *arguments])
    convert(flags)


def main(arguments):
    try:
        run(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read has enough, as `head` has. What is buffered must not be tried again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (EnvironmentFailure, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
