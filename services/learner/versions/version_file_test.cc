// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"

namespace attnrl::learner {
namespace {

using testing::HasSubstr;

model::Tensors SomeTensors() {
  return {{"a", at::arange(6).to(at::kFloat).view({2, 3})}, {"b", at::arange(4).to(at::kBFloat16)}};
}

// The bytes of a file of SomeTensors() as a learner writes it.
std::string IntactFile() {
  const TemporaryFolder folder;
  EXPECT_TRUE(
      model::WriteSafetensors(folder / "x.safetensors", SomeTensors(), {{"format", "pt"}}).ok());
  return folder.Read("x.safetensors");
}

// Throws where there is no `from`. Keeps the length of the header when both are equally long.
std::string With(std::string bytes, std::string_view from, std::string_view to) {
  return bytes.replace(bytes.find(from), from.size(), to);
}

struct Damage {
  std::string name;
  std::function<std::string(const std::string&)> of;  // the damaged file for the intact one
  std::string complaint;
};

std::vector<Damage> Damages() {
  return {
      {"Empty", [](const std::string&) { return ""; }, "only 0 bytes"},
      {"LengthCut", [](const std::string& file) { return file.substr(0, 5); }, "only 5 bytes"},
      {"HeaderCut", [](const std::string& file) { return file.substr(0, 40); },
       "longer than the file"},
      {"HeaderIsNoJson", [](const std::string& file) { return With(file, R"("a":)", R"("a";)"); },
       "no JSON object"},
      {"DataCut", [](const std::string& file) { return file.substr(0, file.size() - 1); },
       "tensor b lies outside the file"},
      {"TrailingByte", [](const std::string& file) { return file + "x"; }, "33 bytes of data"},
      {"OffsetBeyondTheFile",
       [](const std::string& file) { return With(file, "[24,32]", "[25,33]"); },
       "tensor b lies outside the file"},
      {"Overlap", [](const std::string& file) { return With(file, "[24,32]", "[20,28]"); },
       "tensor b overlaps another one"},
      {"Hole", [](const std::string& file) { return With(file, "[24,32]", "[28,36]") + "1234"; },
       "tensor b comes after a hole"},
      {"SizeOfAnotherShape", [](const std::string& file) { return With(file, "[4]", "[5]"); },
       "tensor b has 8 bytes"},
      {"UnknownDType", [](const std::string& file) { return With(file, "F32", "F33"); },
       "tensor a has no dtype"},
      {"DTypeThatNoVersionHas", [](const std::string& file) { return With(file, "F32", "I32"); },
       "tensor a is I32"},
  };
}

class DamagedVersionFile : public testing::TestWithParam<Damage> {};

TEST_P(DamagedVersionFile, IsDataLossByFileAndCause) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("x.safetensors", GetParam().of(IntactFile()));
  const absl::Status status = ReadVersionFile(path).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().complaint));
}

INSTANTIATE_TEST_SUITE_P(Kinds, DamagedVersionFile, testing::ValuesIn(Damages()),
                         [](const auto& test) { return test.param.name; });

TEST(VersionFile, ThatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadVersionFile("/nowhere/x.safetensors").status()));
}

TEST(VersionFile, HasTheDigestOfItsTensorsHoweverItIsComputed) {
  const TemporaryFolder folder;
  model::Tensors tensors = SomeTensors();
  tensors["a.scalar"] = at::scalar_tensor(3, at::TensorOptions(at::kFloat));
  tensors["nothing"] = at::empty({0, 4}, at::TensorOptions(at::kFloat));
  tensors["view"] = at::arange(6).to(at::kBFloat16).view({2, 3}).t();
  ASSERT_TRUE(model::WriteSafetensors(folder / "x.safetensors", tensors, {}).ok());
  const auto read = ReadVersionFile(folder / "x.safetensors");
  ASSERT_TRUE(read.ok()) << read.status();
  const std::string digest = model::Digest(tensors);
  EXPECT_EQ(read->version.digest, digest);
  EXPECT_EQ(ToVersionData(7, tensors).version, (Version{7, digest}));
  EXPECT_EQ(model::Digest(ToTensors(*read)), digest);
  EXPECT_EQ(read->chunk_digests, ToVersionData(7, tensors).chunk_digests);
}

TEST(VersionFile, GivesTheTensorsInTheOrderOfTheirNames) {
  const TemporaryFolder folder;
  // The data of the first tensor is that of the last name now.
  const std::string file = With(IntactFile(), R"("a":)", R"("c":)");
  const auto read = ReadVersionFile(folder.Write("x.safetensors", file));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->tensors.size(), 2u);
  EXPECT_EQ(read->tensors[0].name, "b");
  EXPECT_EQ(read->tensors[1].name, "c");
  const model::Tensors tensors = {{"b", SomeTensors().at("b")}, {"c", SomeTensors().at("a")}};
  EXPECT_EQ(read->bytes.view(), ToVersionData(0, tensors).bytes.view());
  EXPECT_EQ(read->version.digest, model::Digest(tensors));
}

}  // namespace
}  // namespace attnrl::learner
