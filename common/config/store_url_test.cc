// SPDX-License-Identifier: Apache-2.0
#include "common/config/store_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace attnrl::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StoreUrlTest, NamesHostAndDatabase) {
  const auto url = ParseStoreUrl("postgres://me@db.example:5432/runs?sslmode=verify-full");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->Name(), "PostgreSQL database runs at db.example:5432");
  EXPECT_FALSE(url->local);
  EXPECT_TRUE(url->encrypted);
}

TEST(StoreUrlTest, KnowsWhatStaysOnThisMachine) {
  for (const char* local :
       {"postgres:///runs", "postgresql://me@localhost/runs", "postgres://127.0.0.1:5432/runs",
        "postgres://[::1]:5432/runs", "postgres:///runs?host=/run/postgresql",
        "postgres:///runs?host=%2Frun%2Fpostgresql"}) {
    const auto url = ParseStoreUrl(local);
    ASSERT_TRUE(url.ok()) << local << url.status();
    EXPECT_TRUE(url->local) << local;
  }
  for (const char* remote : {"postgres://db/runs", "postgres://localhost,db/runs",
                             "postgres:///runs?host=db", "postgres://db/runs?sslmode=prefer"}) {
    const auto url = ParseStoreUrl(remote);
    ASSERT_TRUE(url.ok()) << remote << url.status();
    EXPECT_FALSE(url->local) << remote;
    EXPECT_FALSE(url->encrypted) << remote;
  }
}

TEST(StoreUrlTest, APasswordIsRefusedAndNeverRepeated) {
  for (const char* url :
       {"postgres://me:secret@db/runs", "postgres://me:sec/ret@db/runs", "postgres://:secret@/runs",
        "postgres://me:1?secret@db/runs", "postgres://me:1/secret@db", "postgres://me:secret",
        "postgres://me:se@cret@db/runs", "postgres://db/runs?password=secret",
        "postgres://db/runs?sslpassword=secret", "postgres://db/runs?p%61ssword=secret", "secret",
        "postgres://db/runs?sslmode=require#&password=secret"}) {
    const absl::Status status = ParseStoreUrl(url).status();
    EXPECT_TRUE(IsInputError(status)) << url;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret"))) << url;
  }
  EXPECT_EQ(std::string(ParseStoreUrl("postgres://me:secret@db/runs").status().message()),
            "scheduler.store: holds a password; none: it is read from the file that PGPASSFILE "
            "names");
}

TEST(StoreUrlTest, SaysWhatIsAllowed) {
  EXPECT_EQ(std::string(ParseStoreUrl("mysql://db/runs").status().message()),
            "scheduler.store: is no URL of a PostgreSQL database; "
            "postgres://[user@]host[:port]/database[?sslmode=...]");
  EXPECT_THAT(std::string(ParseStoreUrl("postgres://db").status().message()),
              HasSubstr("names no database"));
  EXPECT_THAT(std::string(ParseStoreUrl("postgres://db:x/runs").status().message()),
              HasSubstr("has a port that is no number"));
  EXPECT_THAT(std::string(ParseStoreUrl("postgres://db/runs?options=-c").status().message()),
              HasSubstr("has the parameter 'options'; one of channel_binding, "));
  EXPECT_THAT(std::string(ParseStoreUrl("postgres://db/my runs").status().message()),
              HasSubstr("has white space"));
}

}  // namespace
}  // namespace attnrl::config
