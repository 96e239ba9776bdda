#include "projections/compare.h"

#include <fmt/format.h>

#include <memory>
#include <string_view>
#include <utility>

#include "projections/all.h"
#include "schemas/json.h"

namespace alertstream::projections {
namespace {

constexpr int kRowsPerPage = 1000;

// The statements of one table. Their texts live as long as the program: there are fifteen tables.
struct TableStatements {
  std::vector<std::string> texts;
  sql::Statement first{};
  sql::Statement next{};
  sql::Statement has{};
};

std::string Joined(const TableKey& table, const std::function<std::string(const KeyColumn&)>& one) {
  std::string text;
  for (const KeyColumn& column : table.key) {
    text += text.empty() ? "" : ", ";
    text += one(column);
  }
  return text;
}

std::unique_ptr<TableStatements> MakeStatements(const TableKey& table) {
  const std::string key = Joined(table, [](const auto& c) { return std::string(c.name); });
  const std::string shown =
      Joined(table, [](const auto& c) { return std::string(c.name) + "::text"; });
  int number = 0;
  const std::string values =
      Joined(table, [&](const auto& c) { return fmt::format("${}::{}", ++number, c.type); });
  const auto page = [&](std::string_view where) {
    return fmt::format(
        "SELECT {}, to_jsonb(t)::text FROM (SELECT * FROM {} {} ORDER BY {} LIMIT {}) t ORDER BY "
        "{}",
        shown, table.table, where, key, kRowsPerPage, key);
  };
  auto made = std::make_unique<TableStatements>();
  made->texts = {fmt::format("projections.compare.{}.first", table.table),
                 page(""),
                 fmt::format("projections.compare.{}.next", table.table),
                 page(fmt::format("WHERE ({}) > ({})", key, values)),
                 fmt::format("projections.compare.{}.has", table.table),
                 fmt::format("SELECT 1 FROM {} WHERE ({}) = ({})", table.table, key, values)};
  made->first = {made->texts[0].c_str(), made->texts[1].c_str()};
  made->next = {made->texts[2].c_str(), made->texts[3].c_str()};
  made->has = {made->texts[4].c_str(), made->texts[5].c_str()};
  return made;
}

const TableStatements& StatementsOf(std::size_t table) {
  static const auto all = [] {
    std::vector<std::unique_ptr<TableStatements>> made;
    for (const TableKey& each : AllTables()) {
      made.push_back(MakeStatements(each));
    }
    return made;
  }();
  return *all[table];
}

// The names of the members by which two rows differ.
std::string DifferingColumns(std::string_view found, std::string_view expected) {
  schemas::JsonDocument a;
  schemas::JsonDocument b;
  if (!a.Parse(found).ok() || !b.Parse(expected).ok()) {
    return "some column";
  }
  std::string names;
  for (auto member = a.root().first_child(); member; member = member->next_sibling()) {
    const auto other = b.root().Find(member->name());
    std::string mine;
    std::string theirs;
    schemas::AppendJson(*member, &mine);
    if (other) {
      schemas::AppendJson(*other, &theirs);
    }
    if (mine != theirs) {
      names += names.empty() ? "" : ", ";
      names += member->name();
    }
  }
  return names;
}

// One table of one schema, row by row in the order of its key.
class Cursor {
 public:
  Cursor(sql::Session& session, std::size_t table)
      : session_(session),
        statements_(StatementsOf(table)),
        columns_(AllTables()[table].key.size()) {}

  // Moves to the next row. False: there is none.
  Result<bool> Next() {
    if (started_ && row_ + 1 < rows_.size()) {
      ++row_;
      return true;
    }
    if (started_ && rows_.size() < static_cast<std::size_t>(kRowsPerPage)) {
      return false;
    }
    sql::Params after;
    for (std::size_t i = 0; started_ && i < columns_; ++i) {
      after.Text(rows_.Text(row_, i));
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        rows_, session_.Run(started_ ? statements_.next : statements_.first, after));
    started_ = true;
    row_ = 0;
    return rows_.size() > 0;
  }

  std::vector<std::string> Key() const {
    std::vector<std::string> key;
    for (std::size_t i = 0; i < columns_; ++i) {
      key.emplace_back(rows_.Text(row_, i));
    }
    return key;
  }
  std::string_view body() const { return rows_.Text(row_, columns_); }

  Result<bool> Has(const std::vector<std::string>& key) {
    sql::Params params;
    for (const std::string& value : key) {
      params.Text(value);
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session_.Run(statements_.has, params));
    return rows.size() > 0;
  }

 private:
  sql::Session& session_;
  const TableStatements& statements_;
  const std::size_t columns_;
  bool started_ = false;
  sql::Rows rows_;
  std::size_t row_ = 0;
};

std::string KeyText(const TableKey& table, const std::vector<std::string>& key) {
  std::string text;
  for (std::size_t i = 0; i < key.size(); ++i) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", table.key[i].name, key[i]);
  }
  return text;
}

Result<std::optional<TableDifference>> CompareTable(std::size_t index, sql::Session& found,
                                                    sql::Session& expected, std::uint64_t* rows) {
  const TableKey& table = AllTables()[index];
  Cursor is(found, index);
  Cursor should(expected, index);
  const auto difference = [&](const Cursor& at, std::string what) {
    return TableDifference{std::string(table.table), KeyText(table, at.Key()), std::move(what)};
  };
  for (;;) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool has_row, is.Next());
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool expects_row, should.Next());
    if (!has_row && !expects_row) {
      return std::optional<TableDifference>();
    }
    if (!has_row) {
      return std::optional(difference(should, "is missing"));
    }
    if (!expects_row) {
      return std::optional(difference(is, "should not be there"));
    }
    if (is.Key() != should.Key()) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const bool known, should.Has(is.Key()));
      return std::optional(known ? difference(should, "is missing")
                                 : difference(is, "should not be there"));
    }
    if (is.body() != should.body()) {
      return std::optional(
          difference(is, "differs in " + DifferingColumns(is.body(), should.body())));
    }
    ++*rows;
  }
}

}  // namespace

Result<TableComparison> CompareTables(sql::Session& found, sql::Session& expected,
                                      const CompareProgress& progress) {
  TableComparison comparison;
  for (std::size_t i = 0; i < AllTables().size(); ++i) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto difference,
                                 CompareTable(i, found, expected, &comparison.rows));
    if (difference) {
      comparison.differences.push_back(*std::move(difference));
    }
    if (progress) {
      progress(AllTables()[i].table, comparison.rows);
    }
  }
  return comparison;
}

}  // namespace alertstream::projections
