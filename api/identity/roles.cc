#include "api/identity/roles.h"

#include "processor/base/check.h"

namespace alertstream::api {
namespace {

struct Row {
  Permission permission;
  std::string_view name;
  // Letters of the roles that have it: Owner, Admin, Editor, Viewer, aUditor.
  std::string_view roles;
};

constexpr std::array kTable = {
    Row{Permission::kReadEvents, "read_events", "OAEVU"},
    Row{Permission::kReadRecipients, "read_recipients", "OAEVU"},
    Row{Permission::kLookUpRecipients, "look_up_recipients", "OAE_U"},
    Row{Permission::kReadPersonalData, "read_personal_data", "OA__U"},
    Row{Permission::kReadTriggers, "read_triggers", "OAEVU"},
    Row{Permission::kReadDeadLetters, "read_dead_letters", "OAEVU"},
    Row{Permission::kReadUsage, "read_usage", "OAEVU"},
    Row{Permission::kReadSites, "read_sites", "OAEVU"},
    Row{Permission::kReadAudit, "read_audit", "OA__U"},
    Row{Permission::kWriteTriggers, "write_triggers", "OAE__"},
    Row{Permission::kWriteConsents, "write_consents", "OAE__"},
    Row{Permission::kSendNotifications, "send_notifications", "OAE__"},
    Row{Permission::kManageSites, "manage_sites", "OA___"},
    Row{Permission::kManageKeys, "manage_keys", "OA___"},
    Row{Permission::kManageUsers, "manage_users", "OA___"},
    Row{Permission::kManageProviders, "manage_providers", "OA___"},
};
static_assert(kTable.size() == kPermissions.size());

const Row& RowOf(Permission permission) {
  for (const Row& row : kTable) {
    if (row.permission == permission) {
      return row;
    }
  }
  ALERTSTREAM_CHECK(false);
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kOwner:
      return "owner";
    case Role::kAdmin:
      return "admin";
    case Role::kEditor:
      return "editor";
    case Role::kViewer:
      return "viewer";
    case Role::kAuditor:
      return "auditor";
  }
  return "";
}

std::optional<Role> ParseRole(std::string_view name) {
  for (const Role role : kRoles) {
    if (RoleName(role) == name) {
      return role;
    }
  }
  return std::nullopt;
}

std::string_view PermissionName(Permission permission) { return RowOf(permission).name; }

bool Allows(Role role, Permission permission) {
  return RowOf(permission).roles[static_cast<std::size_t>(role)] != '_';
}

bool IsLooking(Permission permission) {
  switch (permission) {
    case Permission::kReadEvents:
    case Permission::kReadRecipients:
    case Permission::kLookUpRecipients:
    case Permission::kReadPersonalData:
    case Permission::kReadTriggers:
    case Permission::kReadDeadLetters:
    case Permission::kReadUsage:
    case Permission::kReadSites:
    case Permission::kReadAudit:
      return true;
    case Permission::kWriteTriggers:
    case Permission::kWriteConsents:
    case Permission::kSendNotifications:
    case Permission::kManageSites:
    case Permission::kManageKeys:
    case Permission::kManageUsers:
    case Permission::kManageProviders:
      break;
  }
  return false;
}

}  // namespace alertstream::api
