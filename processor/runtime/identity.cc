#include "processor/runtime/identity.h"

#include <optional>
#include <vector>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/journal/chain.h"
#include "schemas/envelope.pb.h"

namespace alertstream::runtime {
namespace {

constexpr std::uint32_t kMarkerFormat = 1;

std::string EncodeMarker(std::string_view log_id, const HmacKey& token_key,
                         std::int32_t partitions) {
  v1::Envelope envelope;
  envelope.set_tenant(std::string(schemas::kLogKey));
  envelope.set_routing_key(std::string(schemas::kLogKey));
  envelope.set_type("log.marker");
  envelope.set_schema_version(1);
  envelope.set_trust(v1::TRUST_SYSTEM);
  auto* marker = envelope.mutable_account_change()->mutable_log_marker();
  marker->set_log_id(std::string(log_id));
  const Digest mac = token_key.Sign(log_id);
  marker->set_token_key_mac(std::string(AsView(mac)));
  marker->set_format(kMarkerFormat);
  marker->set_partitions(static_cast<std::uint32_t>(partitions));
  return envelope.SerializeAsString();
}

Error At(ErrorCode code, const log::TopicPartition& where, std::string_view what) {
  return Error(code, fmt::format("{} partition {}: {}", schemas::NameOf(where.topic),
                                 where.partition, what));
}

Result<LogIdentity> Decode(const log::RecordView& record, const log::TopicPartition& where,
                           const HmacKey& token_key) {
  v1::Envelope envelope;
  if (record.offset != 0 || record.key != schemas::kLogKey ||
      !envelope.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())) ||
      !envelope.account_change().has_log_marker()) {
    return At(ErrorCode::kConflict, where,
              "does not begin with a log marker; the topic was not made by `topics apply`, or its "
              "first records were deleted");
  }
  const v1::LogMarker& marker = envelope.account_change().log_marker();
  if (marker.format() != kMarkerFormat || marker.log_id().size() != journal::kLogIdBytes) {
    return At(ErrorCode::kConflict, where, "has a marker of a later format");
  }
  const Digest mac = token_key.Sign(marker.log_id());
  if (!ConstantTimeEqual(AsView(mac), marker.token_key_mac())) {
    return At(
        ErrorCode::kDenied, where,
        "the log was made with another token key; set token_key (or ALERTSTREAM_TOKEN_KEY_FILE) "
        "to the one it was made with");
  }
  return LogIdentity{marker.log_id(), static_cast<std::int32_t>(marker.partitions())};
}

// The first record of each partition, or null if it has none. A partition of `ownership` that has
// records is passed over: old leases are deleted with time, and the marker before them too.
Status ReadFirst(log::EventLog& log, const std::vector<log::TopicPartition>& partitions,
                 std::chrono::milliseconds timeout,
                 const std::function<Status(std::size_t, const log::RecordView*)>& visit) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                               log.Ends(partitions, log::EndKind::kStable, timeout));
  std::vector<log::ReadFrom> from;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (ends[i] <= 0) {
      ALERTSTREAM_RETURN_IF_ERROR(visit(i, nullptr));
      continue;
    }
    if (partitions[i].topic == schemas::Topic::kOwnership) {
      continue;
    }
    from.push_back({partitions[i], 0});
    index.push_back(i);
  }
  if (from.empty()) {
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(from));
  constexpr auto kStep = std::chrono::milliseconds(5);
  for (std::size_t i = 0; i < from.size(); ++i) {
    log::Fetched fetched;
    const auto deadline = SystemClock().SinceBoot() + timeout;
    while (fetched.records.empty()) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto count, reader->Fetch(i, {1, 1}, &fetched));
      if (count > 0) {
        break;
      }
      if (SystemClock().SinceBoot() >= deadline) {
        return At(ErrorCode::kUnavailable, from[i].source, "the first record cannot be read");
      }
      // Not Wait: it returns at once while another partition has something to fetch.
      SystemClock().SleepFor(kStep);
    }
    ALERTSTREAM_RETURN_IF_ERROR(visit(index[i], &fetched.records.front()));
  }
  return Status::Ok();
}

}  // namespace

std::string LogIdentity::ToText() const {
  const std::string hex = ToHex(log_id);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

Result<LogIdentity> EnsureMarkers(log::EventLog& log, const HmacKey& token_key,
                                  std::chrono::milliseconds timeout) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int32_t partitions, log.Partitions(timeout));
  std::vector<log::TopicPartition> all;
  for (const auto& spec : schemas::kTopics) {
    for (std::int32_t p = 0; p < partitions; ++p) {
      all.push_back({spec.topic, p});
    }
  }
  std::optional<LogIdentity> known;
  std::vector<log::TopicPartition> missing;
  ALERTSTREAM_RETURN_IF_ERROR(
      ReadFirst(log, all, timeout, [&](std::size_t i, const log::RecordView* record) -> Status {
        if (record == nullptr) {
          missing.push_back(all[i]);
          return Status::Ok();
        }
        ALERTSTREAM_ASSIGN_OR_RETURN(const auto identity, Decode(*record, all[i], token_key));
        if (known && identity.log_id != known->log_id) {
          return At(ErrorCode::kConflict, all[i], "carries the marker of another log");
        }
        known = identity;
        return Status::Ok();
      }));
  const LogIdentity identity =
      known ? *known : LogIdentity{RandomBytes(journal::kLogIdBytes), partitions};
  const std::string value = EncodeMarker(identity.log_id, token_key, partitions);
  std::vector<log::NewRecord> records;
  for (const auto& where : missing) {
    records.push_back({where.topic, where.partition, schemas::kLogKey, value});
  }
  if (!records.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(log.Append(records, timeout));
  }
  return identity;
}

Result<LogIdentity> CheckMarkers(log::EventLog& log, const HmacKey& token_key,
                                 std::int32_t partition, std::chrono::milliseconds timeout) {
  std::vector<log::TopicPartition> all;
  for (const auto& spec : schemas::kTopics) {
    all.push_back({spec.topic, partition});
  }
  std::optional<LogIdentity> known;
  ALERTSTREAM_RETURN_IF_ERROR(
      ReadFirst(log, all, timeout, [&](std::size_t i, const log::RecordView* record) -> Status {
        if (record == nullptr && all[i].topic == schemas::Topic::kOwnership) {
          return Status::Ok();
        }
        if (record == nullptr) {
          return At(ErrorCode::kNotFound, all[i],
                    "has no log marker; run `alertstream topics apply`");
        }
        ALERTSTREAM_ASSIGN_OR_RETURN(const auto identity, Decode(*record, all[i], token_key));
        if (known && identity.log_id != known->log_id) {
          return At(ErrorCode::kConflict, all[i],
                    "carries the marker of another log: it was deleted and made anew");
        }
        known = identity;
        return Status::Ok();
      }));
  ALERTSTREAM_CHECK(known.has_value());
  return *known;
}

}  // namespace alertstream::runtime
