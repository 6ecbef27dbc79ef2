// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/frames.h"

#include <cstdint>

namespace attnrl::verifier {
namespace {

constexpr size_t kLengthBytes = 4;
// What a request asks for.
constexpr uint64_t kAnywhere = 1;
constexpr uint64_t kExplain = 2;
constexpr uint64_t kCheck = 4;
// Consumed bytes are moved out of the buffer only once they are many.
constexpr size_t kCompactBytes = size_t{1} << 16;

void PutInteger(uint64_t value, size_t bytes, std::string& out) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

void PutString(std::string_view text, std::string& out) {
  PutInteger(text.size(), kLengthBytes, out);
  out.append(text);
}

// Reads fields one after another; `ok` turns false at the first that isn't there.
class Fields {
 public:
  explicit Fields(std::string_view body) : left_(body) {}

  uint64_t Integer(size_t bytes) {
    if (left_.size() < bytes) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(left_[i])) << (8 * i);
    }
    left_.remove_prefix(bytes);
    return value;
  }

  std::string String() {
    size_t size = static_cast<size_t>(Integer(kLengthBytes));
    if (!ok_ || left_.size() < size) {
      ok_ = false;
      return {};
    }
    std::string text(left_.substr(0, size));
    left_.remove_prefix(size);
    return text;
  }

  bool ok() const { return ok_; }
  bool complete() const { return ok_ && left_.empty(); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace

std::string Frame(std::string_view body) {
  std::string frame;
  frame.reserve(kLengthBytes + body.size());
  PutString(body, frame);
  return frame;
}

void FrameReader::Append(std::string_view bytes) {
  if (taken_ == buffer_.size() || taken_ > kCompactBytes) {
    buffer_.erase(0, taken_);
    taken_ = 0;
  }
  buffer_.append(bytes);
}

std::optional<std::string_view> FrameReader::Next() {
  std::string_view left = std::string_view(buffer_).substr(taken_);
  if (broken_ || left.size() < kLengthBytes) return std::nullopt;
  size_t size = static_cast<size_t>(Fields(left).Integer(kLengthBytes));
  if (size > kMaxFrameBytes) {
    broken_ = true;
    return std::nullopt;
  }
  if (left.size() - kLengthBytes < size) return std::nullopt;
  taken_ += kLengthBytes + size;
  return left.substr(kLengthBytes, size);
}

std::string EncodeRequest(const GradeRequest& request) {
  std::string body;
  PutString(request.grader, body);
  PutInteger((request.anywhere ? kAnywhere : 0) | (request.explain ? kExplain : 0) |
                 (request.check ? kCheck : 0),
             1, body);
  PutString(request.response, body);
  PutInteger(request.answers.size(), kLengthBytes, body);
  for (const std::string& answer : request.answers) PutString(answer, body);
  return body;
}

std::optional<GradeRequest> DecodeRequest(std::string_view body) {
  Fields fields(body);
  GradeRequest request;
  request.grader = fields.String();
  const uint64_t asked = fields.Integer(1);
  request.anywhere = (asked & kAnywhere) != 0;
  request.explain = (asked & kExplain) != 0;
  request.check = (asked & kCheck) != 0;
  request.response = fields.String();
  uint64_t answers = fields.Integer(kLengthBytes);
  for (uint64_t i = 0; i < answers && fields.ok(); ++i) request.answers.push_back(fields.String());
  if (!fields.complete() || asked > (kAnywhere | kExplain | kCheck)) return std::nullopt;
  return request;
}

std::string EncodeResult(const GradeResult& result) {
  std::string body;
  PutInteger(static_cast<uint64_t>(result.status), 1, body);
  PutInteger(result.correct ? 1 : 0, 1, body);
  PutInteger(static_cast<uint32_t>(result.matched), 4, body);
  PutInteger(result.micros, 8, body);
  PutString(result.extracted, body);
  PutString(result.explanation, body);
  return body;
}

std::optional<GradeResult> DecodeResult(std::string_view body) {
  Fields fields(body);
  GradeResult result;
  uint64_t status = fields.Integer(1);
  uint64_t correct = fields.Integer(1);
  result.matched = static_cast<int32_t>(static_cast<uint32_t>(fields.Integer(4)));
  result.micros = fields.Integer(8);
  result.extracted = fields.String();
  result.explanation = fields.String();
  bool known = status <= static_cast<uint64_t>(GradeStatus::kCrash) && correct <= 1;
  if (!fields.complete() || !known) return std::nullopt;
  result.status = static_cast<GradeStatus>(status);
  result.correct = correct == 1;
  return result;
}

}  // namespace attnrl::verifier
