// Roles: what a person, or a key, may do within a tenant. Pure: one table (roles.cc), which the
// tests read line by line. Used by the guard in front of every route.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace alertstream::api {

// Stored by name; a name never changes its meaning.
enum class Role : std::uint8_t {
  kOwner,    // Everything, and alone makes owners.
  kAdmin,    // Everything but making owners.
  kEditor,   // Works with triggers, people's permissions and messages.
  kViewer,   // Looks, without personal data.
  kAuditor,  // Looks, with personal data (each time recorded) and the audit log.
};
inline constexpr std::array kRoles = {Role::kOwner, Role::kAdmin, Role::kEditor, Role::kViewer,
                                      Role::kAuditor};
std::string_view RoleName(Role role);  // "owner", ...
std::optional<Role> ParseRole(std::string_view name);

enum class Permission : std::uint8_t {
  kReadEvents,      // Events, decisions, notifications and their explanations.
  kReadRecipients,  // People by rcp_…; their consents.
  // From a telephone number to the person: who may try numbers unmasks by it whom they can read.
  kLookUpRecipients,
  kReadPersonalData,  // Unmasked, with a reason.
  kReadTriggers,      // All versions.
  kReadDeadLetters,   // Without what they hold.
  kReadUsage,
  kReadSites,
  kReadAudit,
  kWriteTriggers,
  kWriteConsents,  // Consents and opt-outs.
  kSendNotifications,
  kManageSites,
  kManageKeys,  // API keys and their secrets; reading their list too.
  kManageUsers,
  kManageProviders,  // Provider accounts and numbers; reading their lists too.
};
inline constexpr std::array kPermissions = {
    Permission::kReadEvents,       Permission::kReadRecipients, Permission::kLookUpRecipients,
    Permission::kReadPersonalData, Permission::kReadTriggers,   Permission::kReadDeadLetters,
    Permission::kReadUsage,        Permission::kReadSites,      Permission::kReadAudit,
    Permission::kWriteTriggers,    Permission::kWriteConsents,  Permission::kSendNotifications,
    Permission::kManageSites,      Permission::kManageKeys,     Permission::kManageUsers,
    Permission::kManageProviders};
std::string_view PermissionName(Permission permission);  // "read_events", ...

bool Allows(Role role, Permission permission);
// It is for looking only: what an API key needs the scope `read` for, and for all else `manage`.
bool IsLooking(Permission permission);

}  // namespace alertstream::api
