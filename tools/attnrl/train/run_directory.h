// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/files.h"

namespace attnrl::tools {

// Where a run lives, by name and by what lies in it. Only reads, unless said otherwise.

// True where `directory` holds a run: its resolved configuration or the scheduler's database.
bool HoldsRun(const std::string& directory);

// Steps of a run whose weights are durable, by its metrics.jsonl.
int64_t StepsDone(const std::string& run_directory);

// All `steps` are done, and the last checkpoint is there.
bool HasFinished(const std::string& run_directory, int64_t steps);

// Which directory `attnrl train` uses. With `asked` empty: `runs/<stem of config>-<n>` (without a
// file `runs/run-<n>`) under the working directory, n the first free number; with `resume` the
// newest of them that holds a run. InputError (with both ways on in it) when it holds a run and
// `resume` is false, when it doesn't and `resume` is true, or when it holds something else. Creates
// nothing.
absl::StatusOr<std::string> ChooseRunDirectory(const std::string& asked, const std::string& config,
                                               bool resume);

// Makes the directory where it is missing and takes it for this process. InputError where it can't
// be made or written, or is in use; RESOURCE_EXHAUSTED on a full disk.
absl::StatusOr<storage::FileLock> TakeRunDirectory(const std::string& run_directory);

// The outermost folder that taking this directory would make; empty where it is there.
std::string OutermostMissing(const std::string& run_directory);

// Removes a run that never began, but for lost+found of a volume's root, and the folders around it
// up to `made` (of OutermostMissing) as far as they are empty.
absl::Status RemoveRunDirectory(const std::string& run_directory, const std::string& made);

// A private folder (mode 0700) for a run's Unix sockets: in $TMPDIR where that is short enough for
// a socket's name (107 bytes), otherwise in /tmp. It names its run; a link in the run directory
// leads to it. Removes the folder of an earlier start that was killed. Where the link leads to
// anything but a folder of this run and this user, only the link goes.
absl::StatusOr<std::string> MakeSocketFolder(const std::string& run_directory);
void RemoveSocketFolder(const std::string& run_directory);
// The folder of the start that goes on now; empty where there is none, or where it is another
// run's, as in a copy of a run directory.
std::string SocketFolder(const std::string& run_directory);

// RUN_DIR/endpoints.json in the form of Prometheus' file_sd from RUN_DIR/logs/<name>.metrics, one
// group a service: [{"targets":["127.0.0.1:4711"],"labels":{"service":..,"run":..}},..]. Services
// that have no address yet are left out; rewritten only where it changed.
absl::Status WriteEndpoints(const std::string& run_directory,
                            const std::vector<std::string>& names);

// The services are gone, and others may take their ports: an empty list, and no addresses for the
// next start to find.
absl::Status ForgetEndpoints(const std::string& run_directory);

// What a dead child said last: the last line of its output, otherwise the last message of its log,
// at most 300 bytes, on one line; "nothing" where there is neither.
std::string LastWords(const std::string& run_directory, const std::string& name);

// "/path/RUN/logs/learner.log".
std::string LogPath(const std::string& run_directory, std::string_view name);
// Where a child's stdout and stderr go: "/path/RUN/logs/learner.out".
std::string OutputPath(const std::string& run_directory, std::string_view name);

// The complete lines of a growing file that were not read yet. Where the file is put aside and
// another one takes its name, as a log that has become long, the rest of it comes first. Not
// thread-safe.
class LineReader {
 public:
  explicit LineReader(std::string path) : path_(std::move(path)) {}
  LineReader(LineReader&& other) noexcept;
  ~LineReader();
  std::vector<std::string> NewLines();

 private:
  // Of the file that is open.
  void Read(std::vector<std::string>* lines);
  // Whether the name is another file's.
  bool IsReplaced() const;

  std::string path_;
  int file_ = -1;  // descriptor; negative: there was no file yet
  int64_t offset_ = 0;
};

}  // namespace attnrl::tools
