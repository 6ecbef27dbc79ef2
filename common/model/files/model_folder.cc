// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/model_folder.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/model/files/safetensors.h"
#include "common/model/files/weights.h"
#include "common/storage/files.h"

namespace attnrl::model {
namespace {

constexpr std::array<const char*, 9> kCopied = {"generation_config.json",
                                                "tokenizer.json",
                                                "tokenizer_config.json",
                                                "special_tokens_map.json",
                                                "added_tokens.json",
                                                "vocab.json",
                                                "merges.txt",
                                                "chat_template.jinja",
                                                "chat_template.json"};

absl::Status WriteConfig(const std::string& source, const std::string& target, DType dtype) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, storage::ReadFile(source));
  nlohmann::ordered_json config = ParseOrderedJson(text).value_or(nullptr);
  if (!config.is_object()) return InputError(source, "is not JSON", "a JSON object is needed");
  const bool named = config.contains("dtype") || config.contains("torch_dtype");
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!named || config.contains(key)) config[key] = std::string(DTypeName(dtype));
  }
  return storage::WriteFileAtomically(target, PrintJson(config, 2) + "\n");
}

absl::StatusOr<std::string> Fill(const std::string& dir, const std::string& source_dir,
                                 const Tensors& tensors) {
  const bool bfloat16 = !tensors.empty() && tensors.begin()->second.scalar_type() == at::kBFloat16;
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(dir));
  storage::Sha256 digest;
  ATTNRL_RETURN_IF_ERROR(
      WriteSafetensors(dir + "/model.safetensors", tensors, {{"format", "pt"}}, &digest));
  ATTNRL_RETURN_IF_ERROR(
      CopyModelFiles(source_dir, dir, bfloat16 ? DType::kBFloat16 : DType::kFloat32));
  return digest.HexDigest();
}

}  // namespace

absl::Status CopyModelFiles(const std::string& source_dir, const std::string& dir, DType dtype) {
  ATTNRL_RETURN_IF_ERROR(WriteConfig(source_dir + "/config.json", dir + "/config.json", dtype));
  for (const char* name : kCopied) {
    const std::string source = absl::StrCat(source_dir, "/", name);
    if (!std::filesystem::exists(source)) continue;
    ATTNRL_ASSIGN_OR_RETURN(const std::string bytes, storage::ReadFile(source));
    ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(absl::StrCat(dir, "/", name), bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> WriteModelFolder(const std::string& name, const std::string& source_dir,
                                             const Tensors& tensors) {
  const std::string dir = name.substr(0, name.find_last_not_of('/') + 1);
  if (std::filesystem::exists(dir)) {
    return absl::AlreadyExistsError(absl::StrCat(dir, ": already exists"));
  }
  const std::string unfinished = absl::StrCat(dir, ".unfinished-", ::getpid());
  ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(unfinished));
  absl::StatusOr<std::string> digest = Fill(unfinished, source_dir, tensors);
  if (digest.ok()) {
    const absl::Status renamed = storage::RenameDurably(unfinished, dir);
    if (!renamed.ok()) digest = renamed;
  }
  if (!digest.ok()) storage::RemoveTree(unfinished).IgnoreError();
  return digest;
}

}  // namespace attnrl::model
