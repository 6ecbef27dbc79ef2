#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that a verifier keeps what proto/attnrl/v1/verifier.proto promises.

  check_verifier.py --address 127.0.0.1:7003 --right '\\boxed{42}' --answer 42
  check_verifier.py --address unix:/tmp/v.sock --right '<answer>42</answer>' --answer '4[0-9]' \\
    --task regex

--right is a response that the verifier accepts for --answer. --task is what a run calls it with:
its data.grader, or the field "grader" of a problem ("math" unless said). Calls it as a run would,
prints a line for each promise, and exits with 1 if one is broken. Needs grpcio, protobuf and
protoc, and changes nothing.
"""

import argparse
import importlib
import pathlib
import subprocess
import sys
import tempfile
from concurrent import futures

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = "proto/attnrl/v1/verifier.proto"
DEADLINE_S = 60
# What the scheduler fills a call with at most, but for the answer behind it.
LARGE = (7 << 18) - 1000


def load_messages():
    """The module of verifier.proto's messages, made by protoc."""
    with tempfile.TemporaryDirectory(prefix="verifier-proto-") as folder:
        command = ["protoc", f"--proto_path={ROOT}", f"--python_out={folder}", str(ROOT / PROTO)]
        subprocess.run(command, check=True)
        sys.path.insert(0, folder)
        return importlib.import_module("proto.attnrl.v1.verifier_pb2")


class Broken(Exception):
    """A promise that doesn't hold."""


def require(holds, text):
    """Raises Broken where `holds` is false."""
    if not holds:
        raise Broken(text)


class Checker:
    """The promises, one method each; their names are what is printed."""

    def __init__(self, pb, channel, options):
        self.pb = pb
        self.task = options.task
        self.right = options.right
        self.answer = options.answer
        self.call = channel.unary_unary(
            "/attnrl.v1.Verifier/Verify",
            request_serializer=pb.VerifyRequest.SerializeToString,
            response_deserializer=pb.VerifyReply.FromString,
        )

    def verify(self, *responses):
        """The results of (id, response, answers) triples."""
        request = self.pb.VerifyRequest(task=self.task)
        for identity, response, answers in responses:
            request.responses.add(id=identity, response=response, answers=answers)
        reply = self.call(request, timeout=DEADLINE_S)
        require(
            len(reply.results) == len(responses),
            f"{len(reply.results)} results for {len(responses)} responses",
        )
        for result, (identity, _, answers) in zip(reply.results, responses, strict=True):
            require(result.id == identity, f"result {result.id!r} where {identity!r} was asked")
            require(result.status != self.pb.GradeResult.STATUS_UNSPECIFIED, "status isn't set")
            require(
                result.correct == (result.matched >= 0),
                f"correct is {result.correct}, and matched is {result.matched}",
            )
            require(result.matched < len(answers), f"matched is {result.matched}")
            graded = result.status == self.pb.GradeResult.STATUS_GRADED
            require(graded or not result.correct, "correct without STATUS_GRADED")
        return reply.results

    def a_right_response_is_accepted(self):
        """--right for --answer."""
        result = self.verify(("a", self.right, [self.answer]))[0]
        require(result.correct and result.matched == 0, f"refused: {result}")

    def any_accepted_answer_suffices_and_is_named(self):
        """The index of the one that matched."""
        other = "no response is ever this"
        result = self.verify(("a", self.right, [other, self.answer]))[0]
        require(result.matched == 1, f"matched is {result.matched} where 1 is right")

    def nothing_is_no_right_response(self):
        """The empty response, and one without an answer."""
        for result in self.verify(("a", "", [self.answer]), ("b", "I think", [self.answer])):
            require(not result.correct, "a response without an answer was accepted")

    def results_come_in_the_order_of_the_responses(self):
        """256 of them, which is the largest call."""
        asked = [(f"{i}/{i % 3}", self.right if i % 2 else "no", [self.answer]) for i in range(256)]
        for i, result in enumerate(self.verify(*asked)):
            require(result.correct == bool(i % 2), f"result {i} is that of another response")

    def ids_mean_nothing(self):
        """Empty ones, and the same one twice."""
        self.verify(("", self.right, [self.answer]), ("", self.right, [self.answer]))

    def the_same_question_gets_the_same_verdict(self):
        """Alone, in company, and from several callers at once."""
        alone = self.verify(("a", self.right, [self.answer]))[0]
        with futures.ThreadPoolExecutor(4) as callers:
            company = [(str(i), self.right, [self.answer]) for i in range(8)]
            for results in callers.map(lambda _: self.verify(*company), range(4)):
                for result in results:
                    require(
                        (result.status, result.matched) == (alone.status, alone.matched),
                        "another verdict in company",
                    )

    def long_responses_are_taken(self):
        """As large as the scheduler sends them."""
        result = self.verify(("a", "x" * LARGE + self.right, [self.answer]))[0]
        require(result.status != self.pb.GradeResult.STATUS_CRASH, f"crashed over {LARGE} bytes")

    def answers_are_read_where_that_is_asked_for(self):
        """With `check`: --answer can be read; or else the verifier says that it doesn't know."""
        request = self.pb.VerifyRequest(task=self.task, check=True)
        request.responses.add(id="a", answers=[self.answer])
        reply = self.call(request, timeout=DEADLINE_S)
        if not reply.checked:
            return
        require(len(reply.results) == 1, f"{len(reply.results)} results for one problem")
        result = reply.results[0]
        require(not result.correct and result.matched == -1, "correct where nothing was graded")
        require(result.status == self.pb.GradeResult.STATUS_GRADED, f"unreadable: {result}")

    def an_empty_call_is_answered(self):
        """No response, no result."""
        self.verify()

    def an_unknown_task_is_refused(self):
        """With INVALID_ARGUMENT, as it is no error that goes away."""
        request = self.pb.VerifyRequest(task="no grader has this name")
        request.responses.add(id="a", response=self.right, answers=[self.answer])
        try:
            self.call(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            code = error.code()
            require(code == grpc.StatusCode.INVALID_ARGUMENT, f"refused with {code}")
            return
        raise Broken("was answered")


def main():
    """Every promise; 1 where one is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True, help="unix:/path or host:port")
    parser.add_argument("--right", required=True, help="a response that is right for --answer")
    parser.add_argument("--answer", required=True, help="an accepted answer")
    parser.add_argument("--task", default="math", help="data.grader of the run (math)")
    options = parser.parse_args()
    channel = grpc.insecure_channel(options.address)
    try:
        grpc.channel_ready_future(channel).result(timeout=30)
    except grpc.FutureTimeoutError:
        sys.exit(f"error: {options.address}: no verifier answered within 30 s")
    checker = Checker(load_messages(), channel, options)
    broken = 0
    for name in [name for name in vars(Checker) if "_" in name.strip("_")]:
        try:
            getattr(checker, name)()
            print(f"ok      {name.replace('_', ' ')}")
        except (Broken, grpc.RpcError) as error:
            broken += 1
            detail = error.details() if isinstance(error, grpc.RpcError) else error
            print(f"broken  {name.replace('_', ' ')}: {detail}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
