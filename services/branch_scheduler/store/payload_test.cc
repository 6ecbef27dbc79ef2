// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/payload.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/base/philox.h"
#include "common/storage/digest.h"

namespace attnrl::scheduler {
namespace {

constexpr uint64_t kSeeds = 60;

std::string RandomText(RandomStream& random) {
  std::string text;
  for (uint64_t i = random.Below(12); i > 0; --i) {
    text.push_back(static_cast<char>(random.Below(256)));
  }
  return text;
}

// Floats of any bits but those of a NaN, which equals nothing.
float RandomFloat(RandomStream& random) {
  return static_cast<float>(random.Uniform() - 0.5) * (random.Below(2) == 0 ? 1e-38F : 1e38F);
}

ItemResult RandomResult(uint64_t seed) {
  RandomStream random({.seed = seed});
  ItemResult result;
  result.version = Version{static_cast<uint32_t>(random.Bits()), RandomText(random)};
  result.span = Span{random.Uniform() * 1e9, random.Uniform() * 1e9};
  result.prefill_tokens = random.Bits();
  result.reused_tokens = random.Bits();
  for (uint64_t s = random.Below(4); s > 0; --s) {
    SampleResult sample;
    sample.node = static_cast<uint32_t>(random.Bits());
    sample.finish = random.Below(2) == 0 ? FinishReason::kStop : FinishReason::kLength;
    for (uint64_t t = random.Below(9); t > 0; --t) {
      sample.token_ids.push_back(static_cast<int32_t>(random.Bits()));
      sample.logprobs.push_back(RandomFloat(random));
      sample.entropy.push_back(RandomFloat(random));
    }
    int64_t begin = 0;
    for (uint64_t k = random.Below(5); k > 0; --k) {
      const int64_t end = begin + 1 + static_cast<int64_t>(random.Below(9));
      sample.steps.emplace_back(begin, end);
      sample.fci.push_back(RandomFloat(random));
      begin = end;
    }
    result.samples.push_back(sample);
  }
  return result;
}

std::vector<Grade> RandomGrades(uint64_t seed) {
  RandomStream random({.seed = seed});
  std::vector<Grade> grades(random.Below(4));
  for (Grade& grade : grades) {
    grade.status = static_cast<verifier::GradeStatus>(random.Below(6));
    grade.correct = random.Below(2) == 0;
    grade.matched = static_cast<int32_t>(random.Bits());
    grade.extracted = RandomText(random);
  }
  return grades;
}

// The bytes with the checksum that belongs to them.
std::string Sealed(std::string bytes) {
  bytes.resize(bytes.size() - 4);
  const uint32_t sum = storage::Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(sum >> shift));
  return bytes;
}

TEST(Payload, ComesBackBitForBit) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto back = DecodePayload(EncodePayload(RandomResult(seed)));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, RandomResult(seed));
    const auto grades = DecodeGrades(EncodeGrades(RandomGrades(seed)));
    ASSERT_TRUE(grades.ok()) << grades.status();
    EXPECT_EQ(*grades, RandomGrades(seed));
  }
}

// Lease and item are columns of the same row.
TEST(Payload, LeavesOutLeaseAndItem) {
  ItemResult result = RandomResult(1);
  const std::string bytes = EncodePayload(result);
  result.lease = LeaseId{7};
  result.item = ItemId{8};
  EXPECT_EQ(EncodePayload(result), bytes);
}

// A database is read by later builds: the bytes are those of README.md, "Payload".
TEST(Payload, HasTheBytesOfItsFormat) {
  ItemResult result;
  result.version = Version{3, "ab"};
  result.span = Span{1, 2};
  result.prefill_tokens = 5;
  result.reused_tokens = 6;
  SampleResult sample{7, {-1}, {-0.5F}, {2.0F}, FinishReason::kLength, {{0, 3}, {3, 4}}, {0, 1}};
  result.samples = {sample};
  EXPECT_EQ(absl::BytesToHexString(EncodePayload(result)),
            "03"
            "03000000"
            "020000006162"
            "000000000000f03f"
            "0000000000000040"
            "0500000000000000"
            "0600000000000000"
            "01000000"
            "07000000"
            "01"
            "01000000ffffffff"
            "01000000000000bf"
            "0100000000000040"
            "020000000300000004000000"
            "02000000000000000000803f"
            "8b091299");
  const Grade grade{verifier::GradeStatus::kTimeout, true, "x", -1};
  EXPECT_EQ(absl::BytesToHexString(EncodeGrades({grade})),
            "03"
            "01000000"
            "03"
            "01"
            "ffffffff"
            "0100000078"
            "3de664c6");
}

TEST(Payload, EveryTruncationAndEveryAddedByteIsDataLoss) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::string payload = EncodePayload(RandomResult(seed));
    const std::string grades = EncodeGrades(RandomGrades(seed));
    for (size_t size = 0; size < payload.size(); ++size) {
      EXPECT_TRUE(
          absl::IsDataLoss(DecodePayload(std::string_view(payload).substr(0, size)).status()))
          << size;
    }
    for (size_t size = 0; size < grades.size(); ++size) {
      EXPECT_TRUE(absl::IsDataLoss(DecodeGrades(std::string_view(grades).substr(0, size)).status()))
          << size;
    }
    EXPECT_TRUE(absl::IsDataLoss(DecodePayload(payload + '\0').status()));
    EXPECT_TRUE(absl::IsDataLoss(DecodeGrades(grades + '\0').status()));
  }
}

TEST(Payload, EveryFlippedBitIsDataLoss) {
  for (const std::string& bytes : {EncodePayload(RandomResult(3)), EncodeGrades(RandomGrades(2))}) {
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      EXPECT_TRUE(absl::IsDataLoss(DecodePayload(damaged).status())) << bit;
      EXPECT_TRUE(absl::IsDataLoss(DecodeGrades(damaged).status())) << bit;
    }
  }
}

TEST(Payload, DamageThatHasTheRightChecksumIsNeverWorseThanAnErrorOrAnotherValue) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomStream random({.seed = seed, .node = 1});
    for (std::string bytes :
         {EncodePayload(RandomResult(seed)), EncodeGrades(RandomGrades(seed))}) {
      for (int flips = 0; flips < 40; ++flips) {
        std::string damaged = bytes;
        damaged[random.Below(damaged.size())] = static_cast<char>(random.Below(256));
        // A count that lies must be noticed before anything is allocated for it.
        damaged = Sealed(damaged);
        (void)DecodePayload(damaged);
        (void)DecodeGrades(damaged);
      }
      bytes[0] = 4;
      bytes = Sealed(bytes);
      EXPECT_EQ(DecodePayload(bytes).status(),
                absl::DataLossError("a stored result has an unknown format"));
      EXPECT_EQ(DecodeGrades(bytes).status(),
                absl::DataLossError("a stored list of grades has an unknown format"));
    }
  }
}

TEST(Payload, ACountThatLiesIsNoticedBeforeAnythingIsAllocated) {
  std::string bytes = EncodePayload(RandomResult(0));
  bytes.replace(5, 4, "\xff\xff\xff\xff");  // length of the digest
  EXPECT_TRUE(absl::IsDataLoss(DecodePayload(Sealed(bytes)).status()));
}

TEST(Payload, AStatusThatNoVerifierGivesIsDataLoss) {
  std::string bytes = EncodeGrades({Grade{}});
  for (const char status : {'\0', '\5'}) {
    bytes[5] = status;
    EXPECT_TRUE(DecodeGrades(Sealed(bytes)).ok());
  }
  bytes[5] = '\6';
  EXPECT_TRUE(absl::IsDataLoss(DecodeGrades(Sealed(bytes)).status()));
}

}  // namespace
}  // namespace attnrl::scheduler
