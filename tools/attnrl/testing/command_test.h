// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {

// For tests of commands: a folder, and command lines run as main.cc does.
class CommandTest : public ::testing::Test {
 protected:
  // What `attnrl words...` ends with.
  static absl::Status Run(const std::vector<std::string>& words) {
    Command app("test", "attnrl");
    Work run;
    AddEveryCommand(app, &run);
    std::vector<const char*> arguments = {"attnrl"};
    for (const std::string& word : words) arguments.push_back(word.c_str());
    bool answered = false;
    const absl::Status parsed =
        app.Parse(static_cast<int>(arguments.size()), arguments.data(), &answered);
    return parsed.ok() && run ? run() : parsed;
  }

  // The message of `status`, which must be an InputError; the folder's path is cut out of it.
  std::string Refused(const absl::Status& status) const {
    EXPECT_TRUE(IsInputError(status)) << status;
    return absl::StrReplaceAll(status.message(), {{folder_.path() + "/", ""}});
  }

  const TemporaryFolder folder_;
};

}  // namespace attnrl::tools
