// The table `notifications`: one row for every message that was commanded, which moves with the
// facts about it, and its timeline. Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"

namespace alertstream::projections {

// A message's row as it is first commanded.
struct NotificationRow {
  std::string tenant_id;
  std::string id;
  std::string kind;
  std::optional<std::string> event_id;
  std::optional<std::string> decision_id;
  std::optional<std::string> trigger_id;
  std::optional<std::int64_t> trigger_version;
  std::string recipient;
  std::string channel;
  std::string message_class;
  LogTime created_at{};
  LogTime expires_at{};
  std::optional<std::string> sender_id;
  std::int64_t segments = 0;
  std::optional<std::string> to_sealed;
  std::string to_masked;
  std::optional<std::string> body_sealed;
  LogTime id_time{};
};

// What batches say about a message, merged: an absent value is one that they leave as it is.
struct NotificationChange {
  std::string tenant_id;
  std::string id;
  std::optional<std::string> status;
  LogTime updated_at{};
  std::optional<std::string> provider;
  std::optional<std::string> account;
  std::optional<std::string> from_number;
  std::optional<std::string> provider_message_id;
  bool sets_error = false;
  std::optional<std::string> error_code;  // With sets_error.
  std::int64_t attempts = 0;              // The highest.
  std::string timeline;                   // Elements to append, as the inside of a JSON array.
  std::int64_t partition = 0;
  std::int64_t seq = 0;
  // Index into rows(); none: the row is in the table.
  std::optional<std::size_t> is_new;
};

class NotificationsProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return changes_.rows().size(); }
  void Clear() override;
  void VisitMonths(const std::function<void(LogTime)>& visit) const override;

  const std::vector<NotificationRow>& made() const { return rows_; }
  const std::vector<NotificationChange>& changes() const { return changes_.rows(); }

 private:
  NotificationChange& ChangeOf(const Batch& batch, const std::string& tenant, std::string_view id);
  void TakeCommand(const Batch& batch, const v1::NotificationCommand& command);
  void TakeFact(const Batch& batch, const v1::Fact& fact);

  std::vector<NotificationRow> rows_;
  Keyed<NotificationChange> changes_;
};

}  // namespace alertstream::projections
