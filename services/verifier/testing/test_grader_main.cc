// SPDX-License-Identifier: Apache-2.0
// A grader that misbehaves where the response says so, for the tests of GraderPool. Not installed.
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
  // "[once FILE]": dies only as long as there is such a file, which it removes.
  if (size_t begin = request.response.find("[once "); begin != std::string::npos) {
    begin += 6;
    std::string file = request.response.substr(begin, request.response.find(']', begin) - begin);
    if (unlink(file.c_str()) == 0) std::abort();
  }
  return attnrl::verifier::Grade(request);
}

}  // namespace

int main() { return attnrl::verifier::RunGraderLoop(Misbehave); }
