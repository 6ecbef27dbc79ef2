// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/model_flags.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/model/files/weights.h"
#include "common/text/chat_template.h"

namespace attnrl::tools {

void AddModelFlags(Command& command, ModelFlags* flags) {
  command.Add("--model", &flags->model, "Model folder in Hugging Face layout")
      .Required()
      .TypeName("DIR");
  command.Add("--device", &flags->device, "Device to compute on: cpu, cuda or cuda:N");
  command.Add("--dtype", &flags->dtype, "float32 or bfloat16 (default: that of config.json)");
  command.Add("--threads", &flags->threads, "Compute threads (default: one for each processor)");
  command.Add("--chat-template", &flags->chat_template,
              "Name of the chat template (default: the folder's own)");
}

absl::StatusOr<ModelFolder> OpenModelFolder(const ModelFlags& flags) {
  if (flags.threads < 0 || flags.threads > 1024) {
    return InputError("--threads", absl::StrCat(flags.threads), "1 to 1024");
  }
  ATTNRL_RETURN_IF_ERROR(device::ParseDevice(flags.device).status());
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig config,
                          model::LoadModelConfig(flags.model, !flags.dtype.empty()));
  model::DType dtype = config.dtype;
  if (!flags.dtype.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(dtype, model::ParseDType(flags.dtype, "--dtype"));
  }
  ATTNRL_ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::Load(flags.model));
  // A name that is given must be one, whether there are conversations or not.
  if (!flags.chat_template.empty()) {
    ATTNRL_RETURN_IF_ERROR(text::ChatTemplate::Load(flags.model, flags.chat_template).status());
  }
  ATTNRL_ASSIGN_OR_RETURN(std::vector<int32_t> end_tokens, model::LoadEndTokens(flags.model));
  return ModelFolder{config, dtype, std::move(tokenizer), std::move(end_tokens),
                     ThreadsOr(flags.threads)};
}

}  // namespace attnrl::tools
