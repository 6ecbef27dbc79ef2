// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "common/base/status.h"
#include "common/model/files/weights.h"
#include "common/model/testing/tiny_models.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::model {
namespace {

using testing::HasSubstr;

std::string LittleEndian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return bytes;
}

std::string FileOf(const std::string& header, size_t data_bytes) {
  return LittleEndian(header.size()) + header + std::string(data_bytes, '\1');
}

std::string Entry(const std::string& name, const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "F32") {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

struct Attack {
  std::string name;
  std::string file;
  std::string complaint;
};

std::vector<Attack> Attacks() {
  const std::string ok = Entry("a", "[2]", "[0,8]");
  std::string many = "{";
  for (int i = 0; i <= 100'000; ++i) {
    many += (i == 0 ? "" : ",") + Entry("t" + std::to_string(i), "[0]", "[0,0]");
  }
  return {
      {"Empty", "", "only 0 bytes"},
      {"Short", "1234567", "only 7 bytes"},
      {"HeaderBeyondTheFile", LittleEndian(uint64_t{1} << 40) + "{}", "longer than the file"},
      {"HeaderOfAllOnes", LittleEndian(UINT64_MAX) + "{}", "longer than the file"},
      {"HugeHeader", LittleEndian(kMaxHeaderBytes + 1) + std::string(kMaxHeaderBytes + 1, ' '),
       "more than"},
      {"NoObject", FileOf("[1]", 0), "no JSON object"},
      {"LeadingSpace", FileOf(" {}", 0), "no JSON object"},
      {"NotJson", FileOf("{\"a\":", 0), "no JSON object"},
      {"NotUtf8", FileOf("{\"\xff\":{}}", 0), "no JSON object"},
      {"DuplicateName", FileOf("{" + ok + "," + ok + "}", 8), "two keys \"a\""},
      {"DuplicateField",
       FileOf(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "two keys \"dtype\""},
      {"DeepNesting", FileOf("{\"a\":" + std::string(100000, '['), 0), "nested too deeply"},
      {"TooManyTensors", FileOf(many + "}", 0), "more than 100000"},
      {"UnknownDType", FileOf("{" + Entry("a", "[2]", "[0,8]", "F33") + "}", 8), "no dtype"},
      {"NoShape", FileOf(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8), "no shape"},
      {"RankNine", FileOf("{" + Entry("a", "[1,1,1,1,1,1,1,1,2]", "[0,8]") + "}", 8), "dimensions"},
      {"NegativeDimension", FileOf("{" + Entry("a", "[-2]", "[0,8]") + "}", 8), "no size"},
      {"FractionalDimension", FileOf("{" + Entry("a", "[2.0]", "[0,8]") + "}", 8), "no size"},
      {"ProductWrapsToTheRightSize",
       FileOf("{" + Entry("a", "[4194305,4194305,4194305]", "[0,8]") + "}", 8), "overflows"},
      {"ProductOfPowersWrapsToZero",
       FileOf("{" + Entry("a", "[4294967296,4294967296]", "[0,0]") + "}", 0), "overflows"},
      {"NegativeOffset", FileOf("{" + Entry("a", "[2]", "[-8,0]") + "}", 8), "outside the file"},
      {"EndBeforeBegin", FileOf("{" + Entry("a", "[2]", "[8,0]") + "}", 8), "outside the file"},
      {"EndBeyondTheFile", FileOf("{" + Entry("a", "[2]", "[0,8]") + "}", 4), "outside the file"},
      {"SizeOfAnotherShape", FileOf("{" + Entry("a", "[3]", "[0,8]") + "}", 8), "8 bytes where"},
      {"Hole", FileOf("{" + ok + "," + Entry("b", "[1]", "[12,16]") + "}", 16), "after a hole"},
      {"Overlap", FileOf("{" + ok + "," + Entry("b", "[2]", "[4,12]") + "}", 12), "overlaps"},
      {"BytesLeftOver", FileOf("{" + ok + "}", 12), "12 bytes of data"},
      {"NoOffsets", FileOf(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "no data_offsets"},
  };
}

class DamagedFile : public testing::TestWithParam<Attack> {};

TEST_P(DamagedFile, IsRefusedByWhatIsWrong) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("x.safetensors", GetParam().file);
  const auto file = SafetensorsFile::Open(path);
  ASSERT_FALSE(file.ok());
  EXPECT_TRUE(IsInputError(file.status())) << file.status();
  EXPECT_THAT(std::string(file.status().message()), HasSubstr(GetParam().complaint));
  EXPECT_THAT(std::string(file.status().message()), HasSubstr(path));
}

INSTANTIATE_TEST_SUITE_P(Attacks, DamagedFile, testing::ValuesIn(Attacks()),
                         [](const auto& test) { return test.param.name; });

TEST(Safetensors, RoundTripsValuesShapesAndDTypes) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/x.safetensors";
  const Tensors tensors = {{"z", at::arange(6).to(at::kFloat).view({2, 3})},
                           {"b.c", at::arange(5).to(at::kBFloat16)},
                           {"scalar", at::scalar_tensor(3, at::TensorOptions(at::kLong))},
                           {"nothing", at::empty({0, 4}, at::TensorOptions(at::kDouble))},
                           {"view", at::arange(8).to(at::kByte).view({2, 4}).t()}};
  ASSERT_TRUE(WriteSafetensors(path, tensors, {{"format", "pt"}}).ok());
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const TensorInfo& info : file->tensors()) {
    const auto tensor = ReadTensor(*file, info);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_TRUE(at::equal(*tensor, tensors.at(info.name))) << info.name;
  }
}

TEST(Safetensors, WritesSortedNamesBehindAnAlignedHeader) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/x.safetensors";
  const at::Tensor one = at::ones({1});
  ASSERT_TRUE(
      WriteSafetensors(path, {{"b", one}, {"a", one}, {"c", one}}, {{"format", "pt"}}).ok());
  const std::string bytes = *storage::ReadFile(path);
  EXPECT_EQ((bytes.size() - 12) % 8, 0U);
  EXPECT_THAT(
      bytes.substr(8),
      testing::StartsWith(
          R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b")"));
}

TEST(Safetensors, NamesAGitLfsPointer) {
  const TemporaryFolder folder;
  folder.Write("model.safetensors",
               "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3087467144\n");
  const absl::Status status = SafetensorsFile::Open(folder / "model.safetensors").status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("is a Git LFS pointer"));
}

TEST(Safetensors, ReadsTheMetadataAsNoTensor) {
  const TemporaryFolder folder;
  const std::string path = folder.Write(
      "x.safetensors",
      FileOf(
          R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
          4));
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors().size(), 1U);
}

TEST(Safetensors, LeavesTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("x.safetensors", "old");
  const storage::ScopedFault fault([](std::string_view operation, const std::string&) {
    return operation == "write" ? ENOSPC : 0;
  });
  const absl::Status status = WriteSafetensors(path, {{"a", at::ones({4})}}, {});
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(*storage::ReadFile(path), "old");
}

}  // namespace
}  // namespace attnrl::model
