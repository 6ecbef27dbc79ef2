// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace attnrl {

// For tests only: an empty folder of its own, removed with all it holds at the end of the scope.
// Its functions use nothing of the code under test.
class TemporaryFolder {
 public:
  enum class On { kDisk, kMemory };

  // kMemory: where the system has a file system in memory, for tests that sync at every step.
  // TEST_TMPDIR, where it is set, is the place for both.
  explicit TemporaryFolder(On on = On::kDisk) {
    const bool memory = on == On::kMemory && std::getenv("TEST_TMPDIR") == nullptr &&
                        std::filesystem::exists("/dev/shm");
    std::string pattern = (memory ? "/dev/shm/" : ::testing::TempDir()) + "attnrl-test-XXXXXX";
    const char* made = ::mkdtemp(pattern.data());
    if (made == nullptr) ADD_FAILURE() << pattern << " can't be made";
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // Makes or replaces a file, and the folders that lead to it; its path.
  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string file = *this / name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }
  // Empty where there is none.
  std::string Read(const std::string& name) const {
    std::ifstream file(*this / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Entries directly within.
  size_t Count() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::string path_;
};

}  // namespace attnrl
