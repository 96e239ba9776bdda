// Projection: how one kind of thing in the log becomes rows of a table. Fold is pure and gathers
// the rows of several batches; Write sends them in the open transaction. Belongs to one thread.
// Used by the partition projector; a test folds a batch and looks at the rows.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "projections/batch.h"
#include "projections/sql/database.h"

namespace alertstream::projections {

class Projection {
 public:
  virtual ~Projection() = default;

  // The batch's views end with the call. Batches come in the order of their seq; rows must not
  // depend on how many of them share a transaction.
  virtual void Fold(const Batch& batch) = 0;
  // As gathered; the tables are found by the session's search_path.
  virtual Status Write(sql::Session& session) = 0;
  virtual std::size_t rows() const = 0;
  virtual void Clear() = 0;

  // Calls `visit` with a time in every month whose partitions the rows need.
  virtual void VisitMonths(const std::function<void(LogTime)>& /*visit*/) const {}
};

// A projection that only ever adds rows; those that change rows in place have a Keyed (columns.h).
template <typename Row>
class AddingProjection : public Projection {
 public:
  std::size_t rows() const override { return rows_.size(); }
  void Clear() override { rows_.clear(); }

  const std::vector<Row>& made() const { return rows_; }

 protected:
  void Add(Row row) { rows_.push_back(std::move(row)); }

 private:
  std::vector<Row> rows_;
};

}  // namespace alertstream::projections
