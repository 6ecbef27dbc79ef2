// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint_files.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/json/json_words.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

constexpr char kManifest[] = "/trainer/manifest.json";  // SHA-256 of every other file
constexpr int kManifestFormat = 1;

// What a checkpoint can't do without.
std::vector<std::string> NeededFiles() {
  std::vector<std::string> files = {"config.json", kModelFile, kStateJson};
  for (const StateTensor which : kStateTensors) files.emplace_back(StateFile(which));
  return files;
}

absl::StatusOr<std::string> FileDigest(const std::string& path) {
  storage::Sha256 digest;
  ATTNRL_RETURN_IF_ERROR(
      storage::ReadPieces(path, [&digest](std::string_view piece) { digest.Update(piece); }));
  return digest.HexDigest();
}

// Paths of all files below `folder`, relative to it, sorted.
absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_regular_file()) files.push_back(fs::relative(it->path(), folder, error).string());
  }
  if (error) return absl::InternalError(absl::StrCat(folder, ": ", error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<nlohmann::json> ReadManifest(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, storage::ReadFile(path));
  nlohmann::json value = ParseJson(text).value_or(nullptr);
  if (!value.is_object() || !value.contains("format") || value["format"] != kManifestFormat) {
    return absl::DataLossError(absl::StrCat(path, ": can't be read"));
  }
  return value;
}

}  // namespace

absl::Status WriteManifest(const std::string& folder, std::map<std::string, std::string> digests) {
  nlohmann::ordered_json manifest = {{"format", kManifestFormat}};
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesBelow(folder));
  for (const std::string& file : files) {
    if (!digests.contains(file)) {
      ATTNRL_ASSIGN_OR_RETURN(digests[file], FileDigest(absl::StrCat(folder, "/", file)));
    }
    manifest["files"][file] = digests[file];
  }
  return storage::WriteFileAtomically(folder + kManifest, PrintJson(manifest, 1) + "\n");
}

absl::Status CheckFiles(const std::string& folder) {
  const std::string path = folder + kManifest;
  ATTNRL_ASSIGN_OR_RETURN(const nlohmann::json manifest, ReadManifest(path));
  try {
    const nlohmann::json& files = manifest.at("files");
    // A file that it doesn't list would be loaded unchecked.
    for (const std::string& needed : NeededFiles()) {
      if (files.contains(needed)) continue;
      return absl::DataLossError(absl::StrCat(path, ": does not list ", needed));
    }
    for (const auto& [file, digest] : files.items()) {
      ATTNRL_ASSIGN_OR_RETURN(const std::string found, FileDigest(absl::StrCat(folder, "/", file)));
      if (found != digest.get<std::string>()) {
        return absl::DataLossError(absl::StrCat(folder, "/", file, ": is damaged"));
      }
    }
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat(path, ": ", JsonWords(error)));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::learner
