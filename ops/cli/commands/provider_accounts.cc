#include "ops/cli/commands/provider_accounts.h"

#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/json_object.h"

namespace alertstream::cli {
namespace {

bool IsJson(const Streams& io) {
  return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
}

Cell OptionalText(const std::string& text) { return text.empty() ? Cell{Absent{}} : Cell{text}; }

// One line for a person, or an object.
ExitCode Say(const Streams& io, std::string_view id, std::string_view status) {
  if (IsJson(io)) {
    io.out << schemas::JsonObject().Text("id", id).Text("status", status).Take() << "\n";
  } else {
    io.out << id << ": " << status << "; servers know within 5 seconds\n";
  }
  return ExitCode::kOk;
}

}  // namespace

Result<ExitCode> AddProviderAccount(api::AccountStore& store, const Streams& io,
                                    const api::AccountOwner& owner, const api::AccountAsk& ask) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const api::AccountSummary made, store.Add(owner, ask));
  return Say(io, made.id, "added");
}

Result<ExitCode> ListProviderAccounts(api::AccountStore& store, const Streams& io,
                                      const api::AccountOwner& owner) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto accounts, store.List(owner));
  Table table({{.key = "id"},
               {.key = "tenant"},
               {.key = "provider"},
               {.key = "name"},
               {.key = "account_sid", .title = "ACCOUNT"},
               {.key = "sends_per_second", .title = "SENDS/S", .right = true},
               {.key = "burst", .wide = true, .right = true},
               {.key = "base_url", .title = "AT", .wide = true},
               {.key = "public_url", .title = "REACHES US AT", .wide = true},
               {.key = "changed_at", .title = "CHANGED"}});
  for (const api::AccountSummary& account : accounts) {
    table.Add({{account.id},
               OptionalText(account.tenant),
               {account.provider},
               {account.name},
               {account.account_sid},
               {account.sends_per_second},
               {static_cast<std::int64_t>(account.burst)},
               {account.base_url},
               {account.public_url},
               {account.changed_at}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

Result<ExitCode> RotateProviderAccount(api::AccountStore& store, const Streams& io,
                                       const api::AccountOwner& owner, const std::string& account,
                                       const api::CredentialsAsk& ask) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const api::AccountSummary changed,
                               store.Rotate(owner, account, ask));
  return Say(io, changed.id, "rotated");
}

Result<ExitCode> RemoveProviderAccount(api::AccountStore& store, const Streams& io,
                                       const api::AccountOwner& owner, const std::string& account) {
  ALERTSTREAM_RETURN_IF_ERROR(store.Remove(owner, account));
  return Say(io, account, "removed");
}

Result<ExitCode> ClaimNumber(api::AccountStore& store, const Streams& io,
                             const api::AccountOwner& owner, const api::NumberAsk& ask) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const api::NumberClaim claim, store.Claim(owner, ask));
  return Say(io, claim.id, "claimed");
}

Result<ExitCode> ListNumbers(api::AccountStore& store, const Streams& io,
                             const api::AccountOwner& owner) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto claims, store.ListNumbers(owner));
  Table table({{.key = "id"},
               {.key = "tenant"},
               {.key = "provider"},
               {.key = "account"},
               {.key = "number"},
               {.key = "claimed_at", .title = "CLAIMED"},
               {.key = "claimed_by", .wide = true}});
  for (const api::NumberClaim& claim : claims) {
    table.Add({{claim.id},
               {claim.tenant},
               {claim.provider},
               {claim.account},
               {claim.number},
               {claim.claimed_at},
               {claim.claimed_by}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

Result<ExitCode> ReleaseNumber(api::AccountStore& store, const Streams& io,
                               const api::AccountOwner& owner, const std::string& number_id) {
  ALERTSTREAM_RETURN_IF_ERROR(store.Release(owner, number_id));
  return Say(io, number_id, "released");
}

}  // namespace alertstream::cli
