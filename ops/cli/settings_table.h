// What a value of each setting looks like: look-ups in the table of settings, and the check of one
// value. Pure. Used by settings.cc, which also has the table's declaration (SettingTable).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cli/settings.h"

namespace alertstream::cli {

// Null if there is no setting of that key.
const SettingSpec* FindSetting(std::string_view key);
const SettingSpec& SpecOf(Setting setting);
std::vector<std::string_view> SettingKeys();

// What a value of `spec` must look like, for error messages.
std::string ExpectedOf(const SettingSpec& spec);

// The number that `text` stands for under `spec`; nothing if it is none or out of range. Texts and
// choices have no number but are checked too.
std::optional<std::int64_t> SettingNumber(const SettingSpec& spec, std::string_view text);

// kInvalid: the text does not have the form that this setting has beyond its type.
Status CheckSettingForm(Setting setting, const std::string& text);

}  // namespace alertstream::cli
