// SPDX-License-Identifier: Apache-2.0
#include "common/text/tokenizer.h"

#include <gmock/gmock.h>

#include <array>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TokenizerTest : public testing::Test {
 protected:
  absl::StatusOr<Tokenizer> Load(const Json& file) {
    folder_.Write("tokenizer.json", file.dump());
    return Tokenizer::Load(folder_.path());
  }
  // The small tokenizer after `change`.
  Tokenizer Changed(const std::function<void(Json&)>& change) {
    Json file = SmallTokenizer();
    change(file);
    absl::StatusOr<Tokenizer> tokenizer = Load(file);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    return *tokenizer;
  }
  std::string Refusal(const std::function<void(Json&)>& change) {
    Json file = SmallTokenizer();
    change(file);
    const absl::Status status = Load(file).status();
    EXPECT_TRUE(IsInputError(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("/tokenizer.json: "));
    return std::string(status.message());
  }

  TemporaryFolder folder_;
};

void Nothing(Json& /*file*/) {}

TEST_F(TokenizerTest, MergesTheBestPairFirst) {
  const Tokenizer tokenizer = Changed(Nothing);
  EXPECT_THAT(tokenizer.Encode("the the"), ElementsAre(257, 258));
  EXPECT_THAT(tokenizer.Encode("tth"), ElementsAre('t', 256));
  EXPECT_THAT(tokenizer.Encode(""), IsEmpty());
  EXPECT_EQ(tokenizer.size(), 260);
}

TEST_F(TokenizerTest, MergesTheLeftmostOfEqualPairs) {
  const Tokenizer tokenizer = Changed([](Json& file) {
    file["model"]["vocab"]["aa"] = 300;
    file["model"]["merges"].push_back("a a");
  });
  EXPECT_THAT(tokenizer.Encode("aaa"), ElementsAre(300, 'a'));
  EXPECT_EQ(tokenizer.size(), 301);
  const std::string many(100001, 'a');
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(many)), many);
}

TEST_F(TokenizerTest, ReadsMergesWrittenAsPairs) {
  const Tokenizer tokenizer = Changed([](Json& file) {
    file["model"]["merges"] =
        Json::array({Json::array({"t", "h"}), Json::array({"th", "e"}), Json::array({"Ġ", "the"})});
  });
  EXPECT_THAT(tokenizer.Encode("the the"), ElementsAre(257, 258));
}

TEST_F(TokenizerTest, RecognisesAddedTokensInTheText) {
  const Tokenizer tokenizer = Changed([](Json& file) {
    file["added_tokens"].push_back({{"id", 260}, {"content", "<end>>"}});
  });
  EXPECT_THAT(tokenizer.Encode("the<end>the"), ElementsAre(257, 259, 257));
  EXPECT_THAT(tokenizer.Encode("<end>><end"), ElementsAre(260, '<', 'e', 'n', 'd'));
  EXPECT_EQ(tokenizer.AddedTokenId("<end>"), 259);
  EXPECT_EQ(tokenizer.AddedTokenId("the"), std::nullopt);
  EXPECT_TRUE(tokenizer.IsAdded(259));
  EXPECT_FALSE(tokenizer.IsAdded(258));
  EXPECT_FALSE(tokenizer.IsAdded(261));
}

TEST_F(TokenizerTest, LeavesOutOnlySpecialTokensWhenAsked) {
  const Tokenizer tokenizer = Changed([](Json& file) {
    file["added_tokens"].push_back({{"id", 260}, {"content", "<think>"}, {"special", false}});
  });
  const std::vector<int32_t> ids = {257, 259, 260};
  EXPECT_EQ(tokenizer.Decode(ids), "the<end><think>");
  EXPECT_EQ(tokenizer.Decode(ids, false), "the<think>");
}

TEST_F(TokenizerTest, DecodesIdsOutsideTheVocabularyToNothing) {
  const Tokenizer tokenizer = Changed(Nothing);
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{-1, 'a', 5000}), "a");
  EXPECT_EQ(tokenizer.TokenBytes(-1), "");
  EXPECT_EQ(tokenizer.TokenBytes(258), " the");
}

TEST_F(TokenizerTest, ComposesOnlyWhereTheFileSaysSo) {
  const std::string decomposed = "e\xCC\x81";  // e and a combining acute accent
  EXPECT_EQ(Changed(Nothing).Encode(decomposed).size(), 3u);
  const Tokenizer nfc = Changed([](Json& file) { file["normalizer"] = {{"type", "NFC"}}; });
  EXPECT_THAT(nfc.Encode(decomposed), ElementsAre(0xC3, 0xA9));
}

TEST_F(TokenizerTest, LooksForNormalisedAddedTokensAfterNormalisation) {
  const Tokenizer tokenizer = Changed([](Json& file) {
    file["normalizer"] = {{"type", "NFC"}};
    file["added_tokens"].push_back({{"id", 260}, {"content", "<é>"}, {"normalized", true}});
    file["added_tokens"].push_back({{"id", 261}, {"content", "<à>"}, {"normalized", false}});
  });
  EXPECT_THAT(tokenizer.Encode("<e\xCC\x81>"), ElementsAre(260));
  EXPECT_EQ(tokenizer.Encode("<a\xCC\x80>").size(), 4u);
  EXPECT_THAT(tokenizer.Encode("<à>"), ElementsAre(261));
}

TEST_F(TokenizerTest, TakesIllFormedTextAsReplacementCharacters) {
  const Tokenizer tokenizer = Changed(Nothing);
  EXPECT_THAT(tokenizer.Encode("\xFF"), ElementsAre(0xEF, 0xBF, 0xBD));
}

TEST_F(TokenizerTest, TakesWholeTokensWhereMergesAreIgnored) {
  const auto without_merge = [](Json& file) {
    file["model"]["vocab"]["xyz"] = 300;
    file["model"]["ignore_merges"] = true;
  };
  EXPECT_THAT(Changed(without_merge).Encode("xyz xyz"), ElementsAre(300, ' ', 'x', 'y', 'z'));
}

TEST_F(TokenizerTest, LeavesOutBytesThatTheVocabularyLacks) {
  const Tokenizer tokenizer = Changed([](Json& file) {
    file["model"]["vocab"].erase("h");
    file["model"]["merges"] = Json::array();
  });
  EXPECT_THAT(tokenizer.Encode("the"), ElementsAre('t', 'e'));
}

TEST_F(TokenizerTest, GivesTheSameIdsFromManyThreads) {
  const Tokenizer tokenizer = Changed([](Json& file) { file["normalizer"] = {{"type", "NFC"}}; });
  const std::string text = "the other then <end> the e\xCC\x81 thethe\n\n the 123";
  const std::vector<int32_t> expected = tokenizer.Encode(text);
  std::vector<std::thread> threads;
  std::array<bool, 4> equal{};
  for (bool& same : equal) {
    threads.emplace_back([&tokenizer, &text, &expected, &same] {
      same = true;
      for (int i = 0; i < 50; ++i) same = same && tokenizer.Encode(text) == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(true));
}

TEST_F(TokenizerTest, ReadsTheNamesOfSpecialTokens) {
  folder_.Write("tokenizer_config.json",
                R"({"eos_token": {"content": "<end>"}, "bos_token": null})");
  const Tokenizer tokenizer = Changed(Nothing);
  EXPECT_EQ(tokenizer.eos_token(), "<end>");
  EXPECT_EQ(tokenizer.eos_id(), 259);
  EXPECT_EQ(tokenizer.bos_token(), "");
}

TEST_F(TokenizerTest, RefusesWhatItCannotDoByKey) {
  const std::vector<std::pair<std::string, std::function<void(Json&)>>> cases = {
      {"model.type: \"Unigram\"", [](Json& f) { f["model"]["type"] = "Unigram"; }},
      {"model.dropout: 0.1", [](Json& f) { f["model"]["dropout"] = 0.1; }},
      {"model.end_of_word_suffix", [](Json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }},
      {"model.vocab: is missing", [](Json& f) { f["model"].erase("vocab"); }},
      {"model.vocab: an id out of range", [](Json& f) { f["model"]["vocab"]["x"] = -1; }},
      {"model.vocab: a value of another type", [](Json& f) { f["model"]["vocab"]["x"] = "1"; }},
      {"model.vocab: id 257 occurs twice", [](Json& f) { f["model"]["vocab"]["zz"] = 257; }},
      {"token \"qu\" is not in model.vocab", [](Json& f) { f["model"]["merges"] = {"q u"}; }},
      {"model.merges: \"qu\" has no space", [](Json& f) { f["model"]["merges"] = {"qu"}; }},
      {"model.merges: is missing", [](Json& f) { f["model"].erase("merges"); }},
      {"model.merges: is missing",
       [](Json& f) {
         f["model"]["merges"] = {{"a", "b"}, {"c", "d"}};
       }},
      {"model.merges: a merge of more",
       [](Json& f) {
         f["model"]["merges"] = {{"a", "b", "c"}};
       }},
      {"model.merges: a merge of fewer", [](Json& f) { f["model"]["merges"] = {{"a"}}; }},
      {"normalizer: \"NFKC\"",
       [](Json& f) {
         f["normalizer"] = {{"type", "NFKC"}};
       }},
      {"pre_tokenizer.type: \"Metaspace\"",
       [](Json& f) {
         f["pre_tokenizer"] = {{"type", "Metaspace"}};
       }},
      {"pre_tokenizer.type: \"\"", [](Json& f) { f["pre_tokenizer"] = nullptr; }},
      {"decoder: is not supported",
       [](Json& f) {
         f["decoder"] = {{"type", "WordPiece"}};
       }},
      {"decoder: is not",
       [](Json& f) {
         f["decoder"] = {{"type", "Sequence"}, {"decoders", 1}};
       }},
      {"added_tokens: is no list", [](Json& f) { f["added_tokens"] = 3; }},
      {"model.vocab: is missing", [](Json& f) { f["model"] = 3; }},
      {"added_tokens[0].lstrip: true", [](Json& f) { f["added_tokens"][0]["lstrip"] = true; }},
      {"added_tokens[0]: is no added", [](Json& f) { f["added_tokens"][0].erase("content"); }},
      {"added_tokens: id 257 has another", [](Json& f) { f["added_tokens"][0]["id"] = 257; }},
  };
  for (const auto& [message, change] : cases) EXPECT_THAT(Refusal(change), HasSubstr(message));
}

TEST_F(TokenizerTest, RefusesAnUnknownTokenOnlyWhereBytesAreMissing) {
  Changed([](Json& file) { file["model"]["unk_token"] = "<end>"; });
  EXPECT_THAT(Refusal([](Json& file) {
                file["model"]["unk_token"] = "<end>";
                file["model"]["vocab"].erase("é");
                file["model"]["vocab"].erase("z");
              }),
              HasSubstr("model.unk_token"));
}

TEST_F(TokenizerTest, SaysWhatIsWrongWithTheFile) {
  EXPECT_THAT(std::string(Tokenizer::Load(folder_.path()).status().message()),
              AllOf(HasSubstr("tokenizer.json: No such file"), HasSubstr("; ")));
  for (const char* text :
       {"", "{", "[]", "{\"model\": 3}", "{\"model\": {\"vocab\": {\"a\"", "\xFF"}) {
    folder_.Write("tokenizer.json", text);
    EXPECT_TRUE(IsInputError(Tokenizer::Load(folder_.path()).status())) << text;
  }
  folder_.Write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n");
  EXPECT_THAT(
      std::string(Tokenizer::Load(folder_.path()).status().message()),
      HasSubstr("tokenizer.json: is a Git LFS pointer, not the file itself; `git lfs pull`"));
  std::filesystem::remove(folder_.path() + "/tokenizer.json");
  std::filesystem::create_directory(folder_.path() + "/tokenizer.json");
  EXPECT_THAT(std::string(Tokenizer::Load(folder_.path()).status().message()),
              HasSubstr("tokenizer.json: is a folder"));
  std::filesystem::remove(folder_.path() + "/tokenizer.json");
  folder_.Write("tokenizer.json", std::string(100000, '['));
  EXPECT_THAT(std::string(Tokenizer::Load(folder_.path()).status().message()),
              HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace attnrl::text
