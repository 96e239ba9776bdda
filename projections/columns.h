// Columns: the rows of a transaction as arrays, one a column, in the order of a statement's
// parameters ("INSERT ... SELECT ... FROM unnest($1::text[], $2::int[], ...)"). And Keyed: rows
// that are changed in place, one a key. Pure; used by the projections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::projections {

// Members are named by pointers: Columns(rows).Text(&EventRow::id).Time(&EventRow::decided_at).
// An optional without a value is NULL. Owner is Row or a base of it.
template <typename Row>
class Columns {
 public:
  // `rows` outlives it.
  explicit Columns(const std::vector<Row>& rows) : rows_(rows) {}

  template <typename Member, typename Owner>
  Columns& Text(Member Owner::*member) {
    params_.Texts(Collect<std::string>(member));
    return *this;
  }
  template <typename Member, typename Owner>
  Columns& Integer(Member Owner::*member) {
    params_.Integers(Collect<std::int64_t>(member));
    return *this;
  }
  template <typename Member, typename Owner>
  Columns& Boolean(Member Owner::*member) {
    params_.Booleans(Collect<bool>(member));
    return *this;
  }
  template <typename Member, typename Owner>
  Columns& Bytes(Member Owner::*member) {
    params_.BytesList(Collect<std::string>(member));
    return *this;
  }
  template <typename Member, typename Owner>
  Columns& Time(Member Owner::*member) {
    params_.Times(Collect<LogTime>(member));
    return *this;
  }

  const sql::Params& params() const { return params_; }

 private:
  template <typename Value, typename Member, typename Owner>
  std::vector<std::optional<Value>> Collect(Member Owner::*member) const {
    std::vector<std::optional<Value>> values;
    values.reserve(rows_.size());
    for (const Row& row : rows_) {
      values.emplace_back(row.*member);
    }
    return values;
  }

  const std::vector<Row>& rows_;
  sql::Params params_;
};

// Rows in the order of their first change.
template <typename Row>
class Keyed {
 public:
  // The row of the key; a new one, of which nothing is set, if there was none.
  std::pair<Row&, bool> At(const std::string& tenant, const std::string& key) {
    const auto [at, is_new] = index_.try_emplace(WholeOf(tenant, key), rows_.size());
    if (is_new) {
      rows_.emplace_back();
    }
    return {rows_[at->second], is_new};
  }

  // The row of the key; null if there is none.
  Row* Find(const std::string& tenant, const std::string& key) {
    const auto found = index_.find(WholeOf(tenant, key));
    return found == index_.end() ? nullptr : &rows_[found->second];
  }

  const std::vector<Row>& rows() const { return rows_; }
  void Clear() {
    rows_.clear();
    index_.clear();
  }

 private:
  static std::string WholeOf(const std::string& tenant, const std::string& key) {
    std::string whole = tenant;
    whole.push_back('\0');
    whole += key;
    return whole;
  }

  std::vector<Row> rows_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace alertstream::projections
