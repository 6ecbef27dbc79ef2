// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/observe/log.h"

namespace attnrl::observe {

// A warning that people have to see, though the run goes on without them: a file of theirs was
// damaged, a step was skipped. Logged whatever the level of the file, with "notice": true, by which
// `attnrl train` finds it in its services' logs and says it on the terminal. From any thread.
void Notify(std::string_view message, Fields fields = {});

struct Notice {
  std::string message;
  std::string details;  // of the fields: "step 3, file /runs/a/b"; empty where there are none
};
// What Notify wrote, of a line of a log; nullopt of any other line.
std::optional<Notice> ParseNotice(std::string_view line);

}  // namespace attnrl::observe
