// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/rope_scaling.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"

namespace attnrl::model {
namespace {

using nlohmann::json;

constexpr char kOriginal[] = "original_max_position_embeddings";

absl::StatusOr<double> Needed(const JsonFile& rope, const char* key) {
  if (rope.Find(key) == nullptr) return rope.Error(key, "is missing", "a number above 0 is needed");
  return rope.PositiveNumber(key, 0);
}

// The context that the model was trained with before it was stretched. A number at the top of the
// file goes before the one in the object.
absl::StatusOr<double> OriginalPositions(const JsonFile& file, const JsonFile& rope,
                                         int64_t positions) {
  ATTNRL_ASSIGN_OR_RETURN(const double inside,
                          rope.PositiveNumber(kOriginal, static_cast<double>(positions)));
  return file.PositiveNumber(kOriginal, inside);
}

absl::Status ReadLlama3(const JsonFile& rope, RopeScaling* scaling) {
  ATTNRL_ASSIGN_OR_RETURN(scaling->factor, Needed(rope, "factor"));
  ATTNRL_ASSIGN_OR_RETURN(scaling->low_frequency_factor, Needed(rope, "low_freq_factor"));
  ATTNRL_ASSIGN_OR_RETURN(scaling->high_frequency_factor, Needed(rope, "high_freq_factor"));
  if (scaling->high_frequency_factor > scaling->low_frequency_factor) return absl::OkStatus();
  return rope.Error("high_freq_factor", "is not above low_freq_factor", "a larger one is needed");
}

// What the paper grows attention by (YaRN, arXiv 2309.00071, section 3.3).
double MagnitudeScale(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

absl::Status ReadYarn(const JsonFile& rope, int64_t positions, RopeScaling* scaling) {
  ATTNRL_ASSIGN_OR_RETURN(
      scaling->factor,
      rope.PositiveNumber("factor", static_cast<double>(positions) / scaling->original_positions));
  ATTNRL_ASSIGN_OR_RETURN(scaling->beta_fast, rope.PositiveNumber("beta_fast", 32));
  ATTNRL_ASSIGN_OR_RETURN(scaling->beta_slow, rope.PositiveNumber("beta_slow", 1));
  ATTNRL_ASSIGN_OR_RETURN(scaling->truncate, rope.Bool("truncate", true));
  double inferred = MagnitudeScale(scaling->factor, 1);
  if (rope.Find("mscale") != nullptr && rope.Find("mscale_all_dim") != nullptr) {
    ATTNRL_ASSIGN_OR_RETURN(const double weight, rope.PositiveNumber("mscale", 1));
    ATTNRL_ASSIGN_OR_RETURN(const double all, rope.PositiveNumber("mscale_all_dim", 1));
    inferred = MagnitudeScale(scaling->factor, weight) / MagnitudeScale(scaling->factor, all);
  }
  ATTNRL_ASSIGN_OR_RETURN(scaling->attention_factor,
                          rope.PositiveNumber("attention_factor", inferred));
  return absl::OkStatus();
}

absl::StatusOr<RopeScaling> ReadObject(const JsonFile& file, const char* key, int64_t positions) {
  RopeScaling scaling;
  const json* value = file.Find(key);
  if (value == nullptr) return scaling;
  if (!value->is_object()) return file.Error(key, "is not an object", "null is allowed");
  const JsonFile rope(file.path(), *value, absl::StrCat(key, "."));
  const json* partial = rope.Find("partial_rotary_factor");
  if (partial != nullptr && *partial != 1.0) {
    return rope.Error("partial_rotary_factor", absl::StrCat("is ", PrintJson(*partial)),
                      "only 1 is supported");
  }
  const json* type = rope.Find("rope_type");
  if (type == nullptr) type = rope.Find("type");
  const json name = type == nullptr ? json("default") : *type;
  if (name == "default") {
    if (rope.Find("factor") == nullptr || *rope.Find("factor") == 1.0) return scaling;
    return rope.Error("factor", "is there without a kind of scaling",
                      "rope_type \"linear\", \"llama3\" or \"yarn\" is needed with it");
  }
  ATTNRL_ASSIGN_OR_RETURN(scaling.original_positions, OriginalPositions(file, rope, positions));
  if (name == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
    ATTNRL_ASSIGN_OR_RETURN(scaling.factor, Needed(rope, "factor"));
  } else if (name == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    ATTNRL_RETURN_IF_ERROR(ReadLlama3(rope, &scaling));
  } else if (name == "yarn") {
    scaling.kind = RopeScaling::Kind::kYarn;
    ATTNRL_RETURN_IF_ERROR(ReadYarn(rope, positions, &scaling));
  } else {
    return file.Error(key,
                      absl::StrCat("asks for rope scaling of type ", OneLine(PrintJson(name), 40)),
                      "\"default\" (none), \"linear\", \"llama3\" and \"yarn\" are supported");
  }
  return scaling;
}

}  // namespace

absl::StatusOr<RopeScaling> ReadRopeScaling(const JsonFile& file, int64_t positions) {
  ATTNRL_ASSIGN_OR_RETURN(const RopeScaling now, ReadObject(file, "rope_parameters", positions));
  ATTNRL_ASSIGN_OR_RETURN(const RopeScaling older, ReadObject(file, "rope_scaling", positions));
  if (now.kind == RopeScaling::Kind::kNone) return older;
  if (older.kind == RopeScaling::Kind::kNone || older == now) return now;
  return file.Error("rope_scaling", "says something else than rope_parameters",
                    "one of the two is needed");
}

}  // namespace attnrl::model
