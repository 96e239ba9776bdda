// What each role may do: the table, written down once more.
#include "api/identity/roles.h"

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

TEST(RolesTest, EveryRoleMayDoExactlyThis) {
  const std::set<std::string> looking = {"read_events",       "read_recipients", "read_triggers",
                                         "read_dead_letters", "read_usage",      "read_sites"};
  const auto plus = [](std::set<std::string> base, const std::set<std::string>& more) {
    base.insert(more.begin(), more.end());
    return base;
  };
  const auto editor = plus(
      looking, {"look_up_recipients", "write_triggers", "write_consents", "send_notifications"});
  const auto all = plus(editor, {"read_personal_data", "read_audit", "manage_sites", "manage_keys",
                                 "manage_users", "manage_providers"});
  const std::map<std::string, std::set<std::string>> expected = {
      {"owner", all},
      {"admin", all},
      {"editor", editor},
      {"viewer", looking},
      {"auditor", plus(looking, {"look_up_recipients", "read_personal_data", "read_audit"})},
  };
  std::map<std::string, std::set<std::string>> actual;
  for (const Role role : kRoles) {
    for (const Permission permission : kPermissions) {
      if (Allows(role, permission)) {
        actual[std::string(RoleName(role))].insert(std::string(PermissionName(permission)));
      }
    }
  }
  EXPECT_EQ(actual, expected);
}

TEST(RolesTest, WhatOnlyLooksIsCalledSo) {
  for (const Permission permission : kPermissions) {
    const std::string_view name = PermissionName(permission);
    EXPECT_EQ(IsLooking(permission), name.starts_with("read_") || name.starts_with("look_up_"))
        << name;
  }
}

TEST(RolesTest, ARolesNameIsReadBack) {
  for (const Role role : kRoles) {
    EXPECT_EQ(ParseRole(RoleName(role)), role);
  }
  EXPECT_EQ(ParseRole("root"), std::nullopt);
  EXPECT_EQ(ParseRole("Owner"), std::nullopt);
  EXPECT_EQ(ParseRole(""), std::nullopt);
}

}  // namespace
}  // namespace alertstream::api
