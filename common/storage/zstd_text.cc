// SPDX-License-Identifier: Apache-2.0
#include "common/storage/zstd_text.h"

#include <zstd.h>

#include <fstream>
#include <stdexcept>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::storage {
namespace {

constexpr std::string_view kEnding = ".zst";
// Higher levels take ten times as long and save a tenth of a file of trees/.
constexpr int kLevel = 3;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

bool IsCompressed(std::string_view path) { return path.ends_with(kEnding); }

std::string OtherName(const std::string& path) {
  return IsCompressed(path) ? path.substr(0, path.size() - kEnding.size())
                            : absl::StrCat(path, std::string(kEnding));
}

std::string Compress(std::string_view text) {
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  const size_t size =
      ZSTD_compress2(context.get(), frame.data(), frame.size(), text.data(), text.size());
  // With room for the bound nothing but memory can fail.
  if (ZSTD_isError(size) != 0) throw std::bad_alloc();
  frame.resize(size);
  return frame;
}

// Throws where the text can't go on, which an istream turns into bad().
class CompressedInput::Buffer : public std::streambuf {
 public:
  explicit Buffer(const std::string& path)
      : path_(path),
        file_(path, std::ios::binary),
        context_(ZSTD_createDCtx()),
        in_(ZSTD_DStreamInSize()),
        out_(ZSTD_DStreamOutSize()) {
    if (!file_.is_open()) error_ = InputError(path_, "can't be read", "a file of a run is needed");
  }
  absl::Status error() const { return error_; }

 protected:
  int_type underflow() override {
    if (!error_.ok()) throw std::runtime_error(path_);
    ZSTD_outBuffer out = {out_.data(), out_.size(), 0};
    while (out.pos == 0) {
      if (input_.pos == input_.size && !ReadMore()) {
        if (left_ == 0) return traits_type::eof();
        Fail("it ends within a frame");
      }
      left_ = ZSTD_decompressStream(context_.get(), &out, &input_);
      if (ZSTD_isError(left_) != 0) Fail(ZSTD_getErrorName(left_));
    }
    setg(out_.data(), out_.data(), out_.data() + out.pos);
    return traits_type::to_int_type(*gptr());
  }

 private:
  bool ReadMore() {
    file_.read(in_.data(), static_cast<std::streamsize>(in_.size()));
    if (file_.bad()) Fail("reading failed");
    input_ = {in_.data(), static_cast<size_t>(file_.gcount()), 0};
    return input_.size > 0;
  }
  [[noreturn]] void Fail(std::string_view why) {
    error_ = InputError(path_, absl::StrCat("is damaged: ", std::string(why)),
                        "a whole file of zstd is needed");
    throw std::runtime_error(path_);
  }

  const std::string path_;
  std::ifstream file_;
  const std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  std::vector<char> in_, out_;
  ZSTD_inBuffer input_ = {};
  size_t left_ = 1;  // 0: a frame has ended; a file without one is cut
  absl::Status error_;
};

CompressedInput::CompressedInput(const std::string& path)
    : std::istream(nullptr), buffer_(std::make_unique<Buffer>(path)) {
  rdbuf(buffer_.get());
  if (!buffer_->error().ok()) setstate(badbit);
}

CompressedInput::~CompressedInput() = default;

absl::Status CompressedInput::error() const { return buffer_->error(); }

}  // namespace attnrl::storage
