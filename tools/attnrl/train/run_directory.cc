// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/records_folder.h"
#include "common/json/json.h"
#include "common/storage/files.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

constexpr char kSocketLink[] = "sockets";
constexpr char kLostAndFound[] = "lost+found";
// In a socket folder: whose it is, beside the sockets of services.cc.
constexpr char kOwnerFile[] = "run";
constexpr size_t kLongestSocketFolder = 70;  // leaves room for /branch-scheduler.sock within 107
constexpr size_t kLongestLastWords = 300;

std::string NumberedDirectory(const std::string& config, int number) {
  const std::string name = config.empty() ? "run" : fs::path(config).stem().string();
  return absl::StrCat("runs/", name, "-", number);
}

// True for anything but what a start leaves that ended before it wrote its configuration, and what
// the root of a volume has.
bool HoldsOtherFiles(const std::string& directory) {
  if (!fs::exists(directory)) return false;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name != ".lock" && name != "logs" && name != kSocketLink && name != kLostAndFound) {
      return true;
    }
  }
  return false;
}

std::string ReadText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string LastLine(const std::string& text) {
  size_t end = text.find_last_not_of("\r\n \t");
  if (end == std::string::npos) return "";
  const size_t start = text.find_last_of('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1) + 1);
}

// Tells a run directory from every other one, copies of it included; it may be renamed.
std::string Identity(const std::string& run_directory) {
  struct stat info {};
  if (::stat(run_directory.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_dev, ":", info.st_ino);
}

// Whether a socket folder is this run's and this user's: a link may lead anywhere.
bool IsOwn(const std::string& run_directory, const std::string& folder) {
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return false;
  if (info.st_uid != ::geteuid()) return false;
  const std::string owner = ReadText(folder + "/" + kOwnerFile);
  return !owner.empty() && owner.substr(0, owner.find('\n')) == Identity(run_directory);
}

// Removes what a start makes there, and the folder if that was all.
void RemoveOwn(const std::string& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    struct stat info {};
    const std::string path = entry.path().string();
    if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(path.c_str());
  }
  ::unlink(absl::StrCat(folder, "/", kOwnerFile).c_str());
  ::rmdir(folder.c_str());
}

}  // namespace

bool HoldsRun(const std::string& directory) {
  for (const char* name : {"config.yaml", "scheduler.db", "checkpoints"}) {
    if (fs::exists(fs::path(directory) / name)) return true;
  }
  return false;
}

int64_t StepsDone(const std::string& run_directory) {
  int64_t done = 0;
  for (const std::string& text :
       LineReader(config::RecordsFolder(run_directory) + "/metrics.jsonl").NewLines()) {
    if (const auto line = ParseStepLine(text)) done = std::max(done, line->step + 1);
  }
  return done;
}

bool HasFinished(const std::string& run_directory, int64_t steps) {
  return StepsDone(run_directory) >= steps &&
         fs::exists(absl::StrCat(run_directory, "/checkpoints/step-", steps));
}

absl::StatusOr<std::string> ChooseRunDirectory(const std::string& asked, const std::string& config,
                                               bool resume) {
  std::string directory = asked;
  if (directory.empty()) {
    int number = 1;
    while (fs::exists(NumberedDirectory(config, number))) ++number;
    if (resume) {
      while (number > 1 && !HoldsRun(NumberedDirectory(config, number - 1))) --number;
      if (number == 1) {
        return InputError("--resume", absl::StrCat("no run of ", config, " in runs/"),
                          "name one with --run-dir, or start one without --resume");
      }
      --number;
    }
    directory = NumberedDirectory(config, number);
  }
  directory = fs::absolute(directory).lexically_normal().string();
  if (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  if (fs::exists(directory) && !fs::is_directory(directory)) {
    return InputError(directory, "is not a directory", "name another one with --run-dir");
  }
  const bool holds = HoldsRun(directory);
  if (holds && !resume) {
    return InputError(directory, "holds a run already",
                      "continue it with --resume, or start a new one in another --run-dir");
  }
  if (!holds && HoldsOtherFiles(directory)) {
    return InputError(directory, resume ? "holds other files, and no run" : "holds other files",
                      resume ? "name the --run-dir of a run" : "name an empty or a new --run-dir");
  }
  if (!holds && resume) {
    return InputError(directory, "holds no run to resume", "leave --resume out to start one here");
  }
  return directory;
}

absl::StatusOr<storage::FileLock> TakeRunDirectory(const std::string& run_directory) {
  absl::Status status = storage::EnsureDirectory(run_directory + "/logs");
  if (status.ok()) {
    absl::StatusOr<storage::FileLock> lock = storage::FileLock::Acquire(run_directory);
    if (lock.ok()) return lock;
    status = lock.status();
  }
  if (IsInputError(status) || absl::IsResourceExhausted(status)) return status;
  return InputError("--run-dir", std::string(status.message()),
                    "a directory that can be made and written");
}

std::string OutermostMissing(const std::string& run_directory) {
  std::string missing;
  for (fs::path path = run_directory; !fs::exists(path); path = path.parent_path()) {
    missing = path.string();
  }
  return missing;
}

absl::Status RemoveRunDirectory(const std::string& run_directory, const std::string& made) {
  std::error_code error;
  std::vector<fs::path> all;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_directory, error)) {
    if (entry.path().filename() != kLostAndFound) all.push_back(entry.path());
  }
  for (const fs::path& path : all) ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path.string()));
  ::rmdir(run_directory.c_str());  // stays where it is the root of a volume
  for (fs::path path = run_directory; !made.empty() && path != made;) {
    path = path.parent_path();
    if (::rmdir(path.c_str()) != 0) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MakeSocketFolder(const std::string& run_directory) {
  RemoveSocketFolder(run_directory);
  const char* temporary = std::getenv("TMPDIR");
  std::string base = temporary == nullptr || *temporary == 0 ? "/tmp" : temporary;
  if (base.size() + 16 > kLongestSocketFolder || base[0] != '/') base = "/tmp";
  std::string folder = base + "/attnrl-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    return InputError(base,
                      absl::StrCat("no folder for sockets can be made: ", std::strerror(errno)),
                      "TMPDIR or /tmp must be a folder that can be written");
  }
  absl::Status status = storage::WriteFileAtomically(
      absl::StrCat(folder, "/", kOwnerFile),
      absl::StrCat(Identity(run_directory), "\n", run_directory, "\n"));
  std::error_code error;
  if (status.ok()) {
    fs::create_directory_symlink(folder, fs::path(run_directory) / kSocketLink, error);
    if (error) status = absl::InternalError(absl::StrCat(run_directory, ": ", error.message()));
  }
  if (status.ok()) return folder;
  RemoveOwn(folder);
  return status;
}

void RemoveSocketFolder(const std::string& run_directory) {
  const std::string link = absl::StrCat(run_directory, "/", kSocketLink);
  std::error_code none;
  const std::string folder = fs::read_symlink(link, none).string();
  if (none) return;
  if (IsOwn(run_directory, folder)) RemoveOwn(folder);
  ::unlink(link.c_str());
}

std::string SocketFolder(const std::string& run_directory) {
  std::error_code none;
  const std::string folder = fs::read_symlink(fs::path(run_directory) / kSocketLink, none).string();
  return IsOwn(run_directory, folder) ? folder : "";
}

absl::Status WriteEndpoints(const std::string& run_directory,
                            const std::vector<std::string>& names) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  const std::string run = fs::path(run_directory).filename().string();
  for (const std::string& name : names) {
    const std::string address =
        LastLine(ReadText(absl::StrCat(run_directory, "/logs/", name, ".metrics")));
    if (address.empty()) continue;
    groups.push_back({{"targets", {address}}, {"labels", {{"service", name}, {"run", run}}}});
  }
  const std::string path = run_directory + "/endpoints.json";
  const std::string text = PrintJson(groups, 1) + "\n";
  if (ReadText(path) == text) return absl::OkStatus();
  return storage::WriteFileAtomically(path, text);
}

absl::Status ForgetEndpoints(const std::string& run_directory) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_directory + "/logs", error)) {
    if (entry.path().extension() == ".metrics") ::unlink(entry.path().c_str());
  }
  return WriteEndpoints(run_directory, {});
}

std::string LogPath(const std::string& run_directory, std::string_view name) {
  return absl::StrCat(run_directory, "/logs/", std::string(name), ".log");
}

std::string OutputPath(const std::string& run_directory, std::string_view name) {
  return absl::StrCat(run_directory, "/logs/", std::string(name), ".out");
}

std::string LastWords(const std::string& run_directory, const std::string& name) {
  std::string line = LastLine(ReadText(OutputPath(run_directory, name)));
  if (line.empty()) {
    line = LastLine(ReadText(LogPath(run_directory, name)));
    const nlohmann::json record = ParseJson(line).value_or(nullptr);
    if (record.is_object() && record.contains("message") && record["message"].is_string()) {
      line = record["message"].get<std::string>();
    }
  }
  return line.empty() ? "nothing" : OneLine(line, kLongestLastWords);
}

LineReader::LineReader(LineReader&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      offset_(std::exchange(other.offset_, 0)) {}

LineReader::~LineReader() {
  if (file_ >= 0) ::close(file_);
}

bool LineReader::IsReplaced() const {
  struct stat named {};
  struct stat open {};
  if (::stat(path_.c_str(), &named) != 0) return false;
  return file_ < 0 || ::fstat(file_, &open) != 0 || open.st_ino != named.st_ino ||
         open.st_dev != named.st_dev;
}

void LineReader::Read(std::vector<std::string>* lines) {
  std::string text;
  char piece[1 << 16];
  for (;;) {
    const ssize_t size =
        ::pread(file_, piece, sizeof(piece), offset_ + static_cast<int64_t>(text.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(piece, static_cast<size_t>(size));
  }
  size_t begin = 0;
  for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines->push_back(text.substr(begin, end - begin));
  }
  offset_ += static_cast<int64_t>(begin);
}

std::vector<std::string> LineReader::NewLines() {
  std::vector<std::string> lines;
  const bool replaced = IsReplaced();
  if (file_ >= 0) Read(&lines);  // nothing is appended to one that has lost its name
  if (!replaced) return lines;
  if (file_ >= 0) ::close(file_);
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  offset_ = 0;
  if (file_ >= 0) Read(&lines);
  return lines;
}

}  // namespace attnrl::tools
