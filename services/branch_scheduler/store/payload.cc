// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/payload.h"

#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/digest.h"

namespace attnrl::scheduler {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little-endian");

constexpr uint8_t kFormat = 3;

absl::Status Damaged(std::string_view what, const char* how) {
  return absl::DataLossError(absl::StrCat("a stored ", std::string(what), " ", how));
}

template <typename T>
void Put(std::string* out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

template <typename T>
void PutList(std::string* out, const std::vector<T>& list) {
  Put(out, static_cast<uint32_t>(list.size()));
  out->append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
}

void PutText(std::string* out, const std::string& text) {
  Put(out, static_cast<uint32_t>(text.size()));
  out->append(text);
}

// Appends the checksum of all that was written.
std::string Sealed(std::string bytes) {
  Put(&bytes, storage::Crc32c(bytes));
  return bytes;
}

// What Sealed was given; DATA_LOSS naming `what` where the checksum differs.
absl::StatusOr<std::string_view> Unsealed(std::string_view bytes, std::string_view what) {
  uint32_t sum = 0;
  if (bytes.size() < sizeof(sum)) return Damaged(what, "is cut short");
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(sum));
  std::memcpy(&sum, bytes.data() + body.size(), sizeof(sum));
  if (sum != storage::Crc32c(body)) return Damaged(what, "doesn't have its checksum");
  return body;
}

// Reads front to back; after the first read beyond the end everything is zero and `ok` false.
struct Reader {
  std::string_view left;
  bool ok = true;

  template <typename T>
  T Get() {
    T value{};
    if (left.size() < sizeof(T)) {
      ok = false;
      left = {};
      return value;
    }
    std::memcpy(&value, left.data(), sizeof(T));
    left.remove_prefix(sizeof(T));
    return value;
  }

  template <typename T>
  std::vector<T> GetList() {
    const size_t count = Get<uint32_t>();
    if (count > left.size() / sizeof(T)) {
      ok = false;
      left = {};
      return {};
    }
    std::vector<T> list(count);
    if (count != 0) std::memcpy(list.data(), left.data(), count * sizeof(T));
    left.remove_prefix(count * sizeof(T));
    return list;
  }

  std::string GetText() {
    const std::vector<char> list = GetList<char>();
    return std::string(list.begin(), list.end());
  }
};

}  // namespace

std::string EncodePayload(const ItemResult& result) {
  std::string out;
  Put(&out, kFormat);
  Put(&out, result.version.number);
  PutText(&out, result.version.digest);
  Put(&out, result.span.start);
  Put(&out, result.span.end);
  Put(&out, result.prefill_tokens);
  Put(&out, result.reused_tokens);
  Put(&out, static_cast<uint32_t>(result.samples.size()));
  for (const SampleResult& sample : result.samples) {
    Put(&out, sample.node);
    Put(&out, static_cast<uint8_t>(sample.finish == FinishReason::kStop ? 0 : 1));
    PutList(&out, sample.token_ids);
    PutList(&out, sample.logprobs);
    PutList(&out, sample.entropy);
    std::vector<uint32_t> ends;
    for (const StepRange& step : sample.steps) ends.push_back(static_cast<uint32_t>(step.second));
    PutList(&out, ends);
    PutList(&out, sample.fci);
  }
  return Sealed(std::move(out));
}

absl::StatusOr<ItemResult> DecodePayload(std::string_view bytes) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string_view body, Unsealed(bytes, "result"));
  Reader reader{body};
  if (reader.Get<uint8_t>() != kFormat) return Damaged("result", "has an unknown format");
  ItemResult result;
  result.version.number = reader.Get<uint32_t>();
  result.version.digest = reader.GetText();
  result.span.start = reader.Get<double>();
  result.span.end = reader.Get<double>();
  result.prefill_tokens = reader.Get<uint64_t>();
  result.reused_tokens = reader.Get<uint64_t>();
  const uint32_t samples = reader.Get<uint32_t>();
  for (uint32_t i = 0; i < samples && reader.ok; ++i) {
    SampleResult sample;
    sample.node = reader.Get<uint32_t>();
    sample.finish = reader.Get<uint8_t>() == 0 ? FinishReason::kStop : FinishReason::kLength;
    sample.token_ids = reader.GetList<int32_t>();
    sample.logprobs = reader.GetList<float>();
    sample.entropy = reader.GetList<float>();
    uint32_t begin = 0;
    for (const uint32_t end : reader.GetList<uint32_t>()) {
      sample.steps.emplace_back(begin, end);
      begin = end;
    }
    sample.fci = reader.GetList<float>();
    result.samples.push_back(std::move(sample));
  }
  if (!reader.ok || !reader.left.empty()) {
    return Damaged("result", "is cut short or too long");
  }
  return result;
}

std::string EncodeGrades(const std::vector<Grade>& grades) {
  std::string out;
  Put(&out, kFormat);
  Put(&out, static_cast<uint32_t>(grades.size()));
  for (const Grade& grade : grades) {
    Put(&out, static_cast<uint8_t>(grade.status));
    Put(&out, static_cast<uint8_t>(grade.correct ? 1 : 0));
    Put(&out, grade.matched);
    PutText(&out, grade.extracted);
  }
  return Sealed(std::move(out));
}

absl::StatusOr<std::vector<Grade>> DecodeGrades(std::string_view bytes) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string_view body, Unsealed(bytes, "list of grades"));
  Reader reader{body};
  if (reader.Get<uint8_t>() != kFormat) return Damaged("list of grades", "has an unknown format");
  std::vector<Grade> grades;
  const uint32_t count = reader.Get<uint32_t>();
  for (uint32_t i = 0; i < count && reader.ok; ++i) {
    Grade grade;
    const uint8_t status = reader.Get<uint8_t>();
    if (status > static_cast<uint8_t>(verifier::GradeStatus::kCrash)) reader.ok = false;
    grade.status = static_cast<verifier::GradeStatus>(status);
    grade.correct = reader.Get<uint8_t>() != 0;
    grade.matched = reader.Get<int32_t>();
    grade.extracted = reader.GetText();
    grades.push_back(std::move(grade));
  }
  if (!reader.ok || !reader.left.empty()) {
    return Damaged("list of grades", "is cut short or too long");
  }
  return grades;
}

}  // namespace attnrl::scheduler
