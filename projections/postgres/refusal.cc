#include "projections/postgres/refusal.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <utility>

namespace alertstream::postgres {
namespace {

struct Meaning {
  std::string_view sqlstate;  // A code, or the two letters of a class.
  ErrorCode code;
  std::string_view words;
  bool session_lost = false;
};

constexpr std::string_view kNotNull = "23502";
constexpr std::string_view kMigrate = "the database is not migrated: see `alertstream migrate`";

// The first that fits; a session without a code was cut off.
constexpr std::array<Meaning, 34> kMeanings = {{
    {"", ErrorCode::kUnavailable, "the connection to PostgreSQL broke", true},
    {"23505", ErrorCode::kConflict, "it is there already"},
    {"23503", ErrorCode::kConflict, "what it refers to is not there"},
    {"23P01", ErrorCode::kConflict, "it excludes what is there"},
    {"23", ErrorCode::kInvalid, "the database refuses a value"},
    {"22021", ErrorCode::kInvalid, "a text is not UTF-8"},
    {"22", ErrorCode::kInvalid, "the database cannot read a value"},
    {"40001", ErrorCode::kConflict, "another transaction was first"},
    {"40P01", ErrorCode::kConflict, "deadlock with another transaction"},
    {"40", ErrorCode::kConflict, "the transaction was rolled back"},
    {"57014", ErrorCode::kUnavailable, "the database took too long"},
    {"55P03", ErrorCode::kUnavailable, "a lock is held by another session"},
    {"53100", ErrorCode::kUnavailable, "the database's disk is full"},
    {"53200", ErrorCode::kUnavailable, "the database is out of memory"},
    {"53300", ErrorCode::kUnavailable, "the database has no room for another session", true},
    {"53", ErrorCode::kUnavailable, "the database is out of resources"},
    {"58", ErrorCode::kUnavailable, "the database's disk or system fails"},
    {"57P01", ErrorCode::kUnavailable, "PostgreSQL ended the session", true},
    {"57P", ErrorCode::kUnavailable, "PostgreSQL stops, starts or recovers", true},
    {"25P03", ErrorCode::kUnavailable, "the transaction was idle for too long", true},
    {"25006", ErrorCode::kUnavailable, "the database or the transaction is read-only"},
    {"08", ErrorCode::kUnavailable, "the connection to PostgreSQL broke", true},
    {"28", ErrorCode::kUnavailable, "PostgreSQL refuses the user", true},
    {"42501", ErrorCode::kUnavailable, "the session's role may not do it"},
    {"42P01", ErrorCode::kUnavailable, kMigrate},
    {"42703", ErrorCode::kUnavailable, kMigrate},
    {"42704", ErrorCode::kUnavailable, kMigrate},
    {"42883", ErrorCode::kUnavailable, kMigrate},
    {"3F000", ErrorCode::kUnavailable, kMigrate},
    {"3D000", ErrorCode::kUnavailable, "there is no such database", true},
    // "cached plan must not change result type": a migration came between.
    {"0A000", ErrorCode::kUnavailable, "the session is older than the tables", true},
    {"26000", ErrorCode::kUnavailable, "the session has lost its statements", true},
    {"XX001", ErrorCode::kCorrupt, "the database is damaged"},
    {"XX", ErrorCode::kUnavailable, "PostgreSQL reports an internal error"},
}};

Meaning MeaningOf(std::string_view sqlstate) {
  for (const Meaning& meaning : kMeanings) {
    if (meaning.sqlstate.empty() ? sqlstate.empty() : sqlstate.starts_with(meaning.sqlstate)) {
      return meaning;
    }
  }
  return {"", ErrorCode::kInvalid, "the database refuses the statement"};
}

// The value of "\nCONSTRAINT NAME:  value\n"; the last one, for a detail before it may hold
// anything.
std::string_view FieldOf(std::string_view text, std::string_view label) {
  const std::string start = fmt::format("\n{}:  ", label);
  const std::size_t at = text.rfind(start);
  if (at == std::string_view::npos) {
    return {};
  }
  const std::string_view rest = text.substr(at + start.size());
  return rest.substr(0, rest.find('\n'));
}

}  // namespace

Refusal RefusalOf(std::string_view what, std::string_view sqlstate, std::string_view text) {
  const Meaning meaning = MeaningOf(sqlstate);
  std::string message = fmt::format("{}: {}", what, meaning.words);
  const auto add_field = [&](std::string_view label, std::string_view word) {
    const std::string_view name = FieldOf(text, label);
    if (!name.empty()) {
      message += fmt::format(", {} {}", word, name);
    }
  };
  // Only where the server always names them: in any other message a value might pose as one.
  if (sqlstate == kNotNull) {
    add_field("COLUMN NAME", "column");
  } else if (sqlstate.starts_with("23")) {
    add_field("CONSTRAINT NAME", "constraint");
  }
  if (sqlstate.starts_with("42") || sqlstate.starts_with("3F")) {
    message += ": " + PrimaryMessage(sqlstate, text);  // Names of tables, columns, functions.
  }
  if (!sqlstate.empty()) {
    message += fmt::format(" (SQLSTATE {})", sqlstate);
  }
  return {.error = Error(meaning.code, std::move(message)), .session_lost = meaning.session_lost};
}

std::string PrimaryMessage(std::string_view sqlstate, std::string_view text) {
  constexpr std::size_t kShownMax = 300;
  if (sqlstate.starts_with("22") || sqlstate.starts_with("23") || sqlstate.starts_with("P0")) {
    return {};
  }
  std::string_view line = text.substr(0, text.find('\n'));
  // "ERROR:  42P01: relation ..."
  const std::size_t code = sqlstate.empty() ? std::string_view::npos : line.find(sqlstate);
  if (code != std::string_view::npos && line.size() > code + sqlstate.size() + 2) {
    line.remove_prefix(code + sqlstate.size() + 2);
  }
  return std::string(line.substr(0, kShownMax));
}

}  // namespace alertstream::postgres
