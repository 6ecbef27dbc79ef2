// SPDX-License-Identifier: Apache-2.0
// A grader that misbehaves where the response says so, for the tests of GraderPool. Not installed.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "services/verifier/grading/grader.h"
#include "services/verifier/process/grader_loop.h"

namespace {

using attnrl::verifier::GradeRequest;
using attnrl::verifier::GradeResult;

bool Has(const GradeRequest& request, const char* word) {
  return request.response.find(word) != std::string::npos;
}

// FILE where the response has "[word FILE]"; otherwise empty.
std::string FileOf(const GradeRequest& request, const std::string& word) {
  const size_t begin = request.response.find("[" + word + " ");
  if (begin == std::string::npos) return {};
  const size_t file = begin + word.size() + 2;
  return request.response.substr(file, request.response.find(']', file) - file);
}

GradeResult Misbehave(const GradeRequest& request) {
  if (Has(request, "[crash]")) _exit(11);
  while (Has(request, "[sleep]")) pause();
  for (volatile int spin = 0; Has(request, "[spin]");) spin = spin + 1;
  if (Has(request, "[forge]")) {
    GradeResult forged;
    forged.status = attnrl::verifier::GradeStatus::kGraded;
    forged.correct = true;
    forged.matched = 7;
    return forged;
  }
  // Dies only as long as there is such a file, which it removes.
  if (const std::string file = FileOf(request, "once"); !file.empty()) {
    if (unlink(file.c_str()) == 0) std::abort();
  }
  // Waits until the named pipe has had a writer and has none any more.
  if (const std::string pipe = FileOf(request, "wait"); !pipe.empty()) {
    const int reader = open(pipe.c_str(), O_RDONLY);
    char byte = 0;
    while (read(reader, &byte, 1) > 0) {
    }
    close(reader);
  }
  return attnrl::verifier::Grade(request);
}

}  // namespace

int main() { return attnrl::verifier::RunGraderLoop(Misbehave); }
