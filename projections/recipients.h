// The table `recipients`: the people a tenant has met, from commands and from permission facts.
// Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"

namespace alertstream::projections {

// The address is the first that was seen. last_seen_at is cut to the day, and partition and seq are
// of the batch that first saw the person on that day: so most sends change no row.
struct RecipientRow {
  std::string tenant_id;
  std::string id;
  std::string token;
  std::string kind;
  std::optional<std::string> address_sealed;
  std::optional<std::string> address_masked;
  LogTime first_seen_at{};
  LogTime last_seen_at{};
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

class RecipientsProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return rows_.rows().size(); }
  void Clear() override { rows_.Clear(); }

  const std::vector<RecipientRow>& made() const { return rows_.rows(); }

 private:
  struct Seen {
    const std::string& tenant;
    const std::string& token;
    v1::AddressKind kind;
    const v1::Personal* address;  // Null: only the token is known.
    bool is_normal = false;       // In the form that tokens are made from.
  };
  void Take(const Batch& batch, const Seen& seen);
  void TakeFact(const Batch& batch, const v1::Fact& fact);

  Keyed<RecipientRow> rows_;
};

}  // namespace alertstream::projections
