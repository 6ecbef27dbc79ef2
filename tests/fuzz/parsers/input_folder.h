// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/fuzz/targets/require.h"

namespace attnrl::fuzz {

// Where an input lies as a file, in memory, for parsers that take a path. One for the life of the
// process, which a crash ends: the next one starts with its own.
class InputFolder {
 public:
  InputFolder() { Require(::mkdtemp(path_.data()) != nullptr, "a folder can be made in /dev/shm"); }
  ~InputFolder() { std::filesystem::remove_all(path_); }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;

  const std::string& path() const { return path_; }
  // The file's path.
  std::string Write(const std::string& name, std::string_view bytes) const {
    const std::string file = path_ + "/" + name;
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }
  void Remove(const std::string& name) const { std::filesystem::remove(path_ + "/" + name); }

 private:
  std::string path_ = "/dev/shm/attnrl-fuzz-XXXXXX";
};

}  // namespace attnrl::fuzz
