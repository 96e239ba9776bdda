#include "api/query/cursor.h"

#include <gtest/gtest.h>

#include "processor/base/base64.h"

namespace alertstream::api {
namespace {

using read_model::PageKey;

constexpr CursorScope kScope{.tenant = "acme", .list = "/api/v1/notifications"};
const PageKey kKey{FromMicros(1'795'176'000'123'456), "ntf_01JD3J0000000000000000000A"};

CursorBook Book(std::string_view key = "deployment") { return CursorBook(HmacKey(key)); }

TEST(CursorTest, ReadsWhatItWrote) {
  const auto read = Book().Read(kScope, Book().Write(kScope, kKey));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, kKey);
}

TEST(CursorTest, KeepsTimesBefore1970AndShortIds) {
  const PageKey old{FromMicros(-5), "a"};
  EXPECT_EQ(Book().Read(kScope, Book().Write(kScope, old)), old);
}

// Clients hold cursors over upgrades.
TEST(CursorTest, VersionOneIsFrozen) {
  const std::string cursor = Book().Write(kScope, kKey);
  const auto bytes = FromBase64Url(cursor);
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(bytes->substr(0, 9), std::string("\x01\x00\x06\x60\xB3\xFB\xCB\xF2\x40", 9));
  EXPECT_EQ(bytes->substr(9, kKey.id.size()), kKey.id);
  EXPECT_EQ(bytes->size(), 9 + kKey.id.size() + 8);
}

TEST(CursorTest, AnyChangedByteMakesItInvalid) {
  const std::string bytes = *FromBase64Url(Book().Write(kScope, kKey));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(Book().Read(kScope, ToBase64Url(changed)).has_value()) << "byte " << i;
  }
}

TEST(CursorTest, MeansNothingElsewhere) {
  const std::string cursor = Book().Write(kScope, kKey);
  struct Case {
    const char* name;
    CursorScope scope;
    std::string_view key;
  };
  const Case cases[] = {
      {"another tenant", {"acm", "/api/v1/notifications"}, "deployment"},
      {"another list", {"acme", "/api/v1/events"}, "deployment"},
      {"another deployment", kScope, "deployment2"},
      {"tenant and list divided elsewhere", {"acme/api", "/v1/notifications"}, "deployment"},
  };
  for (const Case& each : cases) {
    EXPECT_FALSE(Book(each.key).Read(each.scope, cursor).has_value()) << each.name;
  }
}

TEST(CursorTest, WhatIsNoCursorIsNone) {
  const std::string cursor = Book().Write(kScope, kKey);
  for (const std::string& text :
       {std::string(), std::string("x"), cursor + "=", cursor + "A", " " + cursor,
        cursor.substr(0, cursor.size() - 1), std::string(2000, 'A'), ToBase64Url("\x01")}) {
    EXPECT_FALSE(Book().Read(kScope, text).has_value()) << text.size();
  }
}

}  // namespace
}  // namespace alertstream::api
