// The table `dead_letters`: records that could not be processed, and what was done about them. Pure
// but for Write.
//
// A letter may come again with the same id: the rest of an event's fan-out died once more. It is
// open again then. Bytes that are not there stay away: of a purged letter, and of the letters that
// it is a retry of or that are retries of it, because they hold the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"

namespace alertstream::projections {

struct DeadLetterRow {
  std::string tenant_id;  // "" if not known.
  std::string id;
  std::string topic;
  std::int64_t partition = 0;
  std::int64_t offset = 0;
  LogTime append_time{};
  std::string stage;
  std::string reason;
  std::string detail;
  std::string event_type;
  LogTime at{};
  std::optional<std::string> original_sealed;
  std::optional<std::string> retry_of;
  std::int64_t seq = 0;
};

// What the newest accepted action made of one.
struct DeadLetterAct {
  std::string tenant_id;
  std::string id;
  std::string status;
  std::int64_t retries = 0;
  LogTime acted_at{};
  std::string acted_by;
  std::string acted_reason;
  std::optional<std::string> died_as;
  bool purged = false;  // Its bytes are forgotten.
  std::int64_t seq = 0;
};

class DeadLettersProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return letters_.rows().size() + acts_.rows().size(); }
  void Clear() override {
    letters_.Clear();
    acts_.Clear();
  }

  const std::vector<DeadLetterRow>& made() const { return letters_.rows(); }
  const std::vector<DeadLetterAct>& acts() const { return acts_.rows(); }

 private:
  void AddLetter(const v1::DeadLetter& letter, std::int64_t seq);
  void AddActs(const v1::Fact& fact, std::int64_t seq);
  void AddAct(const v1::Fact& fact, std::string tenant, std::int64_t seq);
  Status WriteLetters(sql::Session& session);
  Status WriteActs(sql::Session& session);
  Status ForgetFamilies(sql::Session& session);

  Keyed<DeadLetterRow> letters_;
  Keyed<DeadLetterAct> acts_;
};

}  // namespace alertstream::projections
