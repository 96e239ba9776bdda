#include "api/identity/provider_account_routes.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/identity/request_bodies.h"
#include "api/identity/table_answers.h"
#include "api/query/object_fields.h"
#include "api/resources/resource_operation.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

constexpr std::string_view kAccountsPath = "/api/v1/provider-accounts";
constexpr std::string_view kNumbersPath = "/api/v1/numbers";

std::string AccountJson(const AccountSummary& account) {
  ObjectFields fields;
  fields.Text("object", "provider_account").Text("id", account.id);
  fields.Text("provider", account.provider).Text("name", account.name);
  fields.Text("account_sid", account.account_sid);
  fields.Text("api_key_sid",
              account.api_key_sid.empty() ? std::nullopt : std::optional(account.api_key_sid));
  fields.Text("public_url", account.public_url);
  fields.Integer("sends_per_second", static_cast<std::int64_t>(account.sends_per_second));
  fields.Integer("burst", static_cast<std::int64_t>(account.burst));
  fields.Time("previous_token_until", account.previous_until);
  fields.Time("created_at", account.created_at).Text("created_by", account.created_by);
  fields.Time("changed_at", account.changed_at);
  return fields.ToJson();
}

std::string NumberJson(const NumberClaim& claim) {
  ObjectFields fields;
  fields.Text("object", "number").Text("id", claim.id).Text("provider", claim.provider);
  fields.Text("account", claim.account).Text("number", claim.number);
  fields.Time("claimed_at", claim.claimed_at).Text("claimed_by", claim.claimed_by);
  return fields.ToJson();
}

// Shared by the routes' copies. No route takes a change into this server's memory: the mirror of
// every server hears of it (account_mirror.h).
class ProviderAccountDoor {
 public:
  explicit ProviderAccountDoor(const ProviderAccountDeps& deps)
      : resources_(std::make_shared<const ResourceDeps>(deps.resources)), tables_(deps.tables) {}

  OperationPtr Begin(const http::Request& request, http::Responder responder) const {
    return std::make_shared<ResourceOperation>(resources_, request, std::move(responder));
  }

  void ListAccounts(const OperationPtr& op) const;
  void AddAccount(const OperationPtr& op) const;
  void RotateAccount(const OperationPtr& op, const std::string& account) const;
  void RemoveAccount(const OperationPtr& op, const std::string& account) const;
  void ListNumbers(const OperationPtr& op) const;
  void ClaimNumber(const OperationPtr& op) const;
  void ReleaseNumber(const OperationPtr& op, const std::string& number) const;

 private:
  static AccountOwner OwnerOf(const OperationPtr& op) {
    return {.tenant = op->caller().tenant, .actor = op->caller().actor};
  }
  // Runs `work` on a worker, if the caller may.
  void Do(const OperationPtr& op, std::function<void()> work) const {
    if (op->Admit(Permission::kManageProviders)) {
      op->Read([work = std::move(work)](sql::Session& /*session*/) { work(); });
    }
  }
  // As Do, with what the body asks for.
  template <typename Ask>
  void DoAsked(const OperationPtr& op, Parsed<Ask> (*parse)(std::string_view),
               std::function<void(const Ask&)> work) const;
  const std::shared_ptr<const ResourceDeps> resources_;  // Shared with the operations.
  const ProviderAccountTables* const tables_;
};

template <typename Ask>
void ProviderAccountDoor::DoAsked(const OperationPtr& op, Parsed<Ask> (*parse)(std::string_view),
                                  std::function<void(const Ask&)> work) const {
  if (!op->Admit(Permission::kManageProviders) || !op->TakesJson()) {
    return;
  }
  auto parsed = parse(op->request().body);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return op->Refuse(*problem);
  }
  op->Read([ask = std::get<Ask>(std::move(parsed)),
            work = std::move(work)](sql::Session& /*session*/) { work(ask); });
}

void ProviderAccountDoor::ListAccounts(const OperationPtr& op) const {
  Do(op, [this, op] {
    const auto accounts = tables_->store.List(OwnerOf(op));
    if (!accounts.ok()) {
      return op->Refuse(TableProblem(accounts.error()));
    }
    schemas::JsonList data;
    for (const AccountSummary& account : accounts.value()) {
      data.Raw(AccountJson(account));
    }
    op->Answer(JsonAnswer(200, ListJson(kAccountsPath, data.Take())));
  });
}

void ProviderAccountDoor::AddAccount(const OperationPtr& op) const {
  DoAsked<AccountAsk>(op, &ParseAccount, [this, op](const AccountAsk& ask) {
    const auto made = tables_->store.Add(OwnerOf(op), ask);
    if (!made.ok()) {
      return op->Refuse(TableProblem(made.error()));
    }
    op->Answer(JsonAnswer(201, AccountJson(made.value())));
  });
}

void ProviderAccountDoor::RotateAccount(const OperationPtr& op, const std::string& account) const {
  DoAsked<CredentialsAsk>(op, &ParseCredentials, [this, op, account](const CredentialsAsk& ask) {
    const auto rotated = tables_->store.Rotate(OwnerOf(op), account, ask);
    if (!rotated.ok()) {
      return op->Refuse(TableProblem(rotated.error()));
    }
    op->Answer(JsonAnswer(200, AccountJson(rotated.value())));
  });
}

void ProviderAccountDoor::RemoveAccount(const OperationPtr& op, const std::string& account) const {
  Do(op, [this, op, account] {
    const Status removed = tables_->store.Remove(OwnerOf(op), account);
    if (!removed.ok()) {
      return op->Refuse(TableProblem(removed.error()));
    }
    op->Answer({.status = 204});
  });
}

void ProviderAccountDoor::ListNumbers(const OperationPtr& op) const {
  Do(op, [this, op] {
    const auto claims = tables_->store.ListNumbers(OwnerOf(op));
    if (!claims.ok()) {
      return op->Refuse(TableProblem(claims.error()));
    }
    schemas::JsonList data;
    for (const NumberClaim& claim : claims.value()) {
      data.Raw(NumberJson(claim));
    }
    op->Answer(JsonAnswer(200, ListJson(kNumbersPath, data.Take())));
  });
}

void ProviderAccountDoor::ClaimNumber(const OperationPtr& op) const {
  DoAsked<NumberAsk>(op, &ParseNumber, [this, op](const NumberAsk& ask) {
    const auto claimed = tables_->store.Claim(OwnerOf(op), ask);
    if (!claimed.ok()) {
      return op->Refuse(TableProblem(claimed.error()));
    }
    op->Answer(JsonAnswer(201, NumberJson(claimed.value())));
  });
}

void ProviderAccountDoor::ReleaseNumber(const OperationPtr& op, const std::string& number) const {
  Do(op, [this, op, number] {
    const Status released = tables_->store.Release(OwnerOf(op), number);
    if (!released.ok()) {
      return op->Refuse(TableProblem(released.error()));
    }
    op->Answer({.status = 204});
  });
}

}  // namespace

Status AddProviderAccountRoutes(http::Routes* routes, const ProviderAccountDeps& deps) {
  // Shared by the copies of the handlers.
  const auto door = std::make_shared<const ProviderAccountDoor>(deps);
  const std::string accounts(kAccountsPath);
  const std::string numbers(kNumbersPath);
  using Method = std::function<void(const OperationPtr&, const std::string& id)>;
  const auto add = [&](std::string_view method, const std::string& pattern, Method handle) {
    return routes->AddParking(method, pattern,
                              [door, handle = std::move(handle)](const http::Request& request,
                                                                 const http::RouteParams& params,
                                                                 http::Responder responder) {
                                handle(door->Begin(request, std::move(responder)),
                                       std::string(params.Get("id")));
                              });
  };
  ALERTSTREAM_RETURN_IF_ERROR(add(
      "GET", accounts, [door](const OperationPtr& op, const auto&) { door->ListAccounts(op); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("POST", accounts, [door](const OperationPtr& op, const auto&) { door->AddAccount(op); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("POST", accounts + "/{id}/rotate",
          [door](const OperationPtr& op, const std::string& id) { door->RotateAccount(op, id); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("DELETE", accounts + "/{id}",
          [door](const OperationPtr& op, const std::string& id) { door->RemoveAccount(op, id); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("GET", numbers, [door](const OperationPtr& op, const auto&) { door->ListNumbers(op); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("POST", numbers, [door](const OperationPtr& op, const auto&) { door->ClaimNumber(op); }));
  return add("DELETE", numbers + "/{id}", [door](const OperationPtr& op, const std::string& id) {
    door->ReleaseNumber(op, id);
  });
}

}  // namespace alertstream::api
