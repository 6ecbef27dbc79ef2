// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace attnrl::tools {

// A command line for the user to paste, such as "attnrl resume --scheduler 'my runs/a'": `words`
// behind the name by which this process was called (build/bin/attnrl where that is what was typed),
// each quoted where a shell needs that. Any thread.
std::string Hint(const std::vector<std::string>& words);

// The hint that goes on with the run in `run_directory`, from the configuration that lies in it;
// `more` is appended.
std::string ResumeHint(const std::string& run_directory, const std::vector<std::string>& more = {});

// What stands beside a directory that isn't there: "there is runs/a-1, runs/a-2", the three runs
// whose names are most like its own; empty where its folder holds none.
std::string RunsBeside(const std::string& directory);

}  // namespace attnrl::tools
