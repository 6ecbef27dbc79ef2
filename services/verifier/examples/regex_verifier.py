#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A reward in Python: the answer of a response must match an accepted regular expression.

  regex_verifier.py --address 127.0.0.1:7003

Serves proto/attnrl/v1/verifier.proto in place of attnrl-verifier. The answer is what stands in the
last <answer>...</answer>; it is right where one of the problem's accepted answers, each a regular
expression, matches all of it. Needs grpcio, protobuf and protoc (Debian: python3-grpcio
python3-protobuf protobuf-compiler; PyPI: grpcio protobuf). README.md beside this file says how to
train with it and what to change for a reward of your own.
"""

import argparse
import importlib
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROTO = "proto/attnrl/v1/verifier.proto"
# Of an answer: a regular expression may take exponential time. Counted, so that every machine says
# the same; the watchdog of a reward must never decide one.
MAX_ANSWER = 1000


def load_messages():
    """The module of verifier.proto's messages, made by protoc."""
    with tempfile.TemporaryDirectory(prefix="verifier-proto-") as folder:
        command = ["protoc", f"--proto_path={ROOT}", f"--python_out={folder}", str(ROOT / PROTO)]
        subprocess.run(command, check=True)
        sys.path.insert(0, folder)
        return importlib.import_module("proto.attnrl.v1.verifier_pb2")


def grade(pb, request):
    """The result of one response; a pure function of it."""
    result = pb.GradeResult(id=request.id, matched=-1)
    start = time.monotonic_ns()
    found = re.findall(r"<answer>(.*?)</answer>", request.response, re.DOTALL)
    if not found:
        result.status = pb.GradeResult.STATUS_NO_ANSWER
    elif len(found[-1]) > MAX_ANSWER:
        result.status = pb.GradeResult.STATUS_LIMIT
    else:
        result.status = pb.GradeResult.STATUS_GRADED
        result.extracted = found[-1].strip()
        for index, accepted in enumerate(request.answers):
            if re.fullmatch(accepted, result.extracted):
                result.correct, result.matched = True, index
                break
    result.micros = (time.monotonic_ns() - start) // 1000
    return result


def check(pb, request):
    """Whether the accepted answers are regular expressions."""
    result = pb.GradeResult(id=request.id, matched=-1, status=pb.GradeResult.STATUS_GRADED)
    for accepted in request.answers:
        try:
            re.compile(accepted)
        except re.error:
            result.status = pb.GradeResult.STATUS_UNPARSABLE
    return result


class RegexVerifier:
    """The one method of the service."""

    def __init__(self, pb):
        self.pb = pb

    def verify(self, request, context):
        """One result for each response, in their order."""
        if request.task not in ("", "regex"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"task: {request.task!r}; only regex")
        for response in request.responses:
            if not response.answers:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"response {response.id!r}: no accepted answer; at least one is needed",
                )
        judge = check if request.check else grade
        results = [judge(self.pb, response) for response in request.responses]
        return self.pb.VerifyReply(results=results, checked=request.check)


def main():
    """Serves until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1:7003", help="unix:/path or host:port")
    address = parser.parse_args().address
    pb = load_messages()
    handler = grpc.unary_unary_rpc_method_handler(
        RegexVerifier(pb).verify,
        request_deserializer=pb.VerifyRequest.FromString,
        response_serializer=pb.VerifyReply.SerializeToString,
    )
    server = grpc.server(futures.ThreadPoolExecutor(4))
    methods = {"Verify": handler}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("attnrl.v1.Verifier", methods)]
    )
    server.add_insecure_port(address)
    server.start()
    print(f"serving at {address}", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
