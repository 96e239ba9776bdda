#include "api/identity/website_routes.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/control/control_request.h"
#include "api/identity/request_bodies.h"
#include "api/identity/table_answers.h"
#include "api/identity/transaction.h"
#include "api/query/object_fields.h"
#include "api/resources/resource_operation.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

constexpr std::string_view kSitesPath = "/api/v1/websites";
// Websites of one tenant, and keys of one website, on one page: people make them by hand.
constexpr std::int64_t kListedMax = 1'000;

#define ALERTSTREAM_SITE_COLUMNS                                                      \
  "SELECT s.id, s.status, s.at, w.name, w.url, w.created_at FROM read_model.sites s " \
  "LEFT JOIN identity.websites w ON w.tenant_id = s.tenant_id AND w.site_id = s.id "

constexpr sql::Statement kListSites = {
    "websites.list", ALERTSTREAM_SITE_COLUMNS "WHERE s.tenant_id = $1 ORDER BY s.id LIMIT $2::int"};
constexpr sql::Statement kFindSite = {
    "websites.find", ALERTSTREAM_SITE_COLUMNS "WHERE s.tenant_id = $1 AND s.id = $2"};

#undef ALERTSTREAM_SITE_COLUMNS

constexpr sql::Statement kPutWebsite = {
    "identity.website_put",
    "INSERT INTO identity.websites (tenant_id, site_id, name, url, created_at, created_by) "
    "VALUES ($1, $2, $3, $4, $5::timestamptz, $6) ON CONFLICT (tenant_id, site_id) DO UPDATE "
    "SET name = EXCLUDED.name, url = EXCLUDED.url"};

struct Website {
  std::string id;
  std::string status = "active";
  std::string name;
  std::optional<std::string> url;
  LogTime updated_at{};
};

Website WebsiteAt(const sql::Rows& rows, std::size_t row) {
  Website site{.id = std::string(rows.Text(row, 0)),
               .status = std::string(rows.Text(row, 1)),
               .name = std::string(rows.IsNull(row, 3) ? rows.Text(row, 0) : rows.Text(row, 3)),
               .updated_at = rows.Time(row, 2)};
  if (!rows.IsNull(row, 4)) {
    site.url = std::string(rows.Text(row, 4));
  }
  return site;
}

std::string WebsiteJson(const Website& site) {
  ObjectFields fields;
  fields.Text("object", "website").Text("id", site.id).Text("name", site.name);
  fields.Text("url", site.url).Text("status", site.status).Time("updated_at", site.updated_at);
  return fields.ToJson();
}

std::string_view KindName(KeyKind kind) {
  return kind == KeyKind::kPublishable ? "publishable" : "secret";
}

std::string TextsJson(const std::vector<std::string>& texts) {
  schemas::JsonList list;
  for (const std::string& text : texts) {
    list.Text(text);
  }
  return list.Take();
}

std::string StatusOf(const KeySummary& key, LogTime now) {
  if (key.revoked_at) {
    return "revoked";
  }
  return key.expires_at && *key.expires_at <= now ? "expired" : "active";
}

std::string KeyJson(const KeySummary& key, LogTime now) {
  ObjectFields fields;
  fields.Text("object", "api_key").Text("id", key.id).Text("kind", KindName(key.kind));
  fields.Text("website", key.site).Text("name", key.name).Text("hint", key.hint);
  fields.Text("status", StatusOf(key, now));
  fields.Json("scopes", TextsJson(ScopeNames(key.scopes)));
  fields.Json("origins", TextsJson(key.origins)).Json("networks", TextsJson(key.networks));
  if (key.own_rate) {
    fields.Integer("events_per_second", static_cast<std::int64_t>(key.own_rate->per_second));
    fields.Integer("burst", static_cast<std::int64_t>(key.own_rate->burst));
  } else {
    fields.Null("events_per_second").Null("burst");
  }
  fields.Integer("live_signing_secrets", key.live_secrets);
  fields.Time("created_at", key.created_at).Text("created_by", key.created_by);
  fields.Time("last_used_at", key.last_used_at).Time("expires_at", key.expires_at);
  fields.Time("revoked_at", key.revoked_at);
  fields.Text("replaced_by",
              key.replaced_by.empty() ? std::nullopt : std::optional(key.replaced_by));
  return fields.ToJson();
}

// As TableProblem, where a key asks for another one.
ProblemDetails KeyProblem(const Error& error) {
  if (error.code() != ErrorCode::kDenied) {
    return TableProblem(error);
  }
  return {.status = 403,
          .code = "exceeds_own_key",
          .detail =
              "The API key that asks has not all of the scopes, networks and time that the "
              "other one has; a key gives no more than it holds."};
}

const KeyRights* BoundsOf(const Caller& caller) {
  return caller.bounds ? &*caller.bounds : nullptr;
}

// The only time that the key and its secret are seen.
std::string NewKeyJson(const NewKey& key) {
  const auto shown = [](const Redacted<std::string>& text) {
    return text.Reveal().empty() ? std::nullopt : std::optional(text.Reveal());
  };
  ObjectFields fields;
  fields.Text("object", "new_api_key").Text("id", key.id).Text("key", shown(key.key));
  fields.Text("signing_secret", shown(key.signing_secret));
  return fields.ToJson();
}

// The record by which a site becomes active or disabled.
ResourceParse SiteChange(const std::string& id, std::string_view status,
                         const ResourceContext& context) {
  schemas::JsonList events;
  events.Raw(
      schemas::JsonObject().Text("kind", "site").Text("id", id).Text("status", status).Take());
  schemas::JsonObject request;
  request.Text("tenant", context.tenant).Raw("events", events.Take());
  auto parsed =
      ParseControl(request.Take(),
                   {.actor = context.actor, .now = context.now, .partitions = context.partitions});
  if (auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return std::move(*problem);
  }
  ControlItem& item = std::get<ControlItems>(parsed).front();
  return ResourceChange{.id = id, .record = std::move(item.records.front())};
}

// Shared by the routes' copies.
class WebsiteDoor {
 public:
  explicit WebsiteDoor(const WebsiteDeps& deps)
      : resources_(std::make_shared<const ResourceDeps>(deps.resources)), tables_(deps.tables) {}

  OperationPtr Begin(const http::Request& request, http::Responder responder) const {
    return std::make_shared<ResourceOperation>(resources_, request, std::move(responder));
  }

  void List(const OperationPtr& op) const;
  void Show(const OperationPtr& op, const std::string& site) const;
  void Create(const OperationPtr& op) const;
  void Delete(const OperationPtr& op, const std::string& site) const;
  void ListKeys(const OperationPtr& op, const std::string& site) const;
  void CreateKey(const OperationPtr& op, const std::string& site) const;
  void RotateKey(const OperationPtr& op, const std::string& site, const std::string& key) const;
  void RevokeKey(const OperationPtr& op, const std::string& site, const std::string& key) const;

 private:
  using WithSite = std::function<void(sql::Session&, const std::optional<Website>&)>;
  // Runs `work` on a worker with the site, nothing if the tenant has none of that id.
  void Find(const OperationPtr& op, const std::string& site, WithSite work) const;
  // As Find; answers 404 if there is none.
  void Need(const OperationPtr& op, const std::string& site, std::function<void()> work) const;
  // This server knows at once what was changed; the others are told.
  void Learn() const;

  const std::shared_ptr<const ResourceDeps> resources_;  // Shared with the operations.
  const WebsiteTables* const tables_;
};

void WebsiteDoor::Find(const OperationPtr& op, const std::string& site, WithSite work) const {
  op->Read([op, site, work = std::move(work)](sql::Session& session) {
    const auto rows = session.Run(kFindSite, sql::Params().Text(op->caller().tenant).Text(site));
    if (!rows.ok()) {
      return op->Unavailable(rows.error());
    }
    work(session,
         rows.value().size() == 0 ? std::nullopt : std::optional(WebsiteAt(rows.value(), 0)));
  });
}

void WebsiteDoor::Need(const OperationPtr& op, const std::string& site,
                       std::function<void()> work) const {
  Find(
      op, site,
      [op, work = std::move(work)](sql::Session& /*session*/, const std::optional<Website>& found) {
        if (!found) {
          return op->Answer(NotFoundProblem());
        }
        work();
      });
}

void WebsiteDoor::Learn() const {
  auto session = tables_->pool.Take(kSessionWaitMax);
  if (session.ok()) {
    // If this fails the mirror's own thread looks within seconds, and tells of it.
    const Status looked = tables_->mirror.Look(*session.value());
    static_cast<void>(looked);
  }
}

void WebsiteDoor::List(const OperationPtr& op) const {
  if (!op->Admit(Permission::kReadSites)) {
    return;
  }
  op->AfterMinPosition([op] {
    op->Read([op](sql::Session& session) {
      const auto rows =
          session.Run(kListSites, sql::Params().Text(op->caller().tenant).Integer(kListedMax));
      if (!rows.ok()) {
        return op->Unavailable(rows.error());
      }
      schemas::JsonList data;
      for (std::size_t i = 0; i < rows.value().size(); ++i) {
        data.Raw(WebsiteJson(WebsiteAt(rows.value(), i)));
      }
      op->Answer(JsonAnswer(200, ListJson(kSitesPath, data.Take())));
    });
  });
}

void WebsiteDoor::Show(const OperationPtr& op, const std::string& site) const {
  if (!op->Admit(Permission::kReadSites)) {
    return;
  }
  op->AfterMinPosition([this, op, site] {
    Find(op, site, [op](sql::Session& /*session*/, const std::optional<Website>& found) {
      op->Answer(found ? JsonAnswer(200, WebsiteJson(*found)) : NotFoundProblem());
    });
  });
}

void WebsiteDoor::Create(const OperationPtr& op) const {
  if (!op->Admit(Permission::kManageSites) || !op->TakesJson()) {
    return;
  }
  auto parsed = ParseWebsite(op->request().body);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return op->Refuse(*problem);
  }
  const WebsiteAsk ask = std::get<WebsiteAsk>(std::move(parsed));
  if (op->Take(SiteChange(ask.id, "active", op->context())) == nullptr) {
    return;
  }
  Find(op, ask.id, [this, op, ask](sql::Session& /*session*/, const std::optional<Website>& found) {
    if (found && found->status == "active") {
      return op->Refuse(
          {.status = 409, .code = "conflict", .detail = "There is a website of this id."});
    }
    const LogTime now = op->context().now;
    const Status put = InTransaction(tables_->pool, [&](sql::Session& session) -> Status {
      ALERTSTREAM_RETURN_IF_ERROR(session.Run(kPutWebsite, sql::Params()
                                                               .Text(op->caller().tenant)
                                                               .Text(ask.id)
                                                               .Text(ask.name)
                                                               .Text(ask.url)
                                                               .Time(now)
                                                               .Text(op->caller().actor)));
      return Status::Ok();
    });
    if (!put.ok()) {
      return op->Unavailable(put.error());
    }
    op->Change([op, ask, now](const v1::Fact& /*fact*/, bool projected) {
      if (!projected) {
        return op->AnswerPending(true);
      }
      http::Response response = JsonAnswer(
          201, WebsiteJson({.id = ask.id, .name = ask.name, .url = ask.url, .updated_at = now}));
      response.headers.Add("Location", std::string(kSitesPath) + "/" + ask.id);
      op->Answer(std::move(response));
    });
  });
}

void WebsiteDoor::Delete(const OperationPtr& op, const std::string& site) const {
  if (!op->Admit(Permission::kManageSites)) {
    return;
  }
  Find(op, site, [this, op, site](sql::Session& /*session*/, const std::optional<Website>& found) {
    if (!found || found->status != "active") {
      return op->Answer(NotFoundProblem());
    }
    if (op->Take(SiteChange(site, "disabled", op->context())) == nullptr) {
      return;
    }
    // Before the site is off: keys without a site do less harm than the reverse.
    const Status revoked = tables_->keys.RevokeAll(op->caller().tenant, site, op->caller().actor);
    if (!revoked.ok()) {
      return op->Unavailable(revoked.error());
    }
    Learn();
    op->Change([op](const v1::Fact& /*fact*/, bool projected) {
      if (!projected) {
        return op->AnswerPending(true);
      }
      op->Answer({.status = 204});
    });
  });
}

void WebsiteDoor::ListKeys(const OperationPtr& op, const std::string& site) const {
  if (!op->Admit(Permission::kManageKeys)) {
    return;
  }
  Need(op, site, [this, op, site] {
    const auto keys = tables_->keys.List(op->caller().tenant, site);
    if (!keys.ok()) {
      return op->Refuse(TableProblem(keys.error()));
    }
    schemas::JsonList data;
    for (const KeySummary& key : keys.value()) {
      data.Raw(KeyJson(key, op->context().now));
    }
    op->Answer(
        JsonAnswer(200, ListJson(std::string(kSitesPath) + "/" + site + "/keys", data.Take())));
  });
}

void WebsiteDoor::CreateKey(const OperationPtr& op, const std::string& site) const {
  if (!op->Admit(Permission::kManageKeys) || !op->TakesJson()) {
    return;
  }
  auto parsed = ParseKey(op->request().body, op->context().now);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return op->Refuse(*problem);
  }
  KeyAsk ask = std::get<KeyAsk>(std::move(parsed));
  ask.site = site;
  Find(op, site, [this, op, ask](sql::Session& /*session*/, const std::optional<Website>& found) {
    if (!found || found->status != "active") {
      return op->Answer(NotFoundProblem());
    }
    const auto made =
        tables_->keys.Create(op->caller().tenant, ask, op->caller().actor, BoundsOf(op->caller()));
    if (!made.ok()) {
      return op->Refuse(KeyProblem(made.error()));
    }
    Learn();
    op->Answer(JsonAnswer(201, NewKeyJson(made.value())));
  });
}

void WebsiteDoor::RotateKey(const OperationPtr& op, const std::string& site,
                            const std::string& key) const {
  if (!op->Admit(Permission::kManageKeys) || !op->TakesJson()) {
    return;
  }
  auto parsed = ParseRotate(op->request().body);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return op->Refuse(*problem);
  }
  const RotateAsk ask = std::get<RotateAsk>(parsed);
  Need(op, site, [this, op, site, key, ask] {
    const auto made = tables_->keys.Rotate(op->caller().tenant, site, key, ask.what, ask.overlap,
                                           op->caller().actor, BoundsOf(op->caller()));
    if (!made.ok()) {
      return op->Refuse(KeyProblem(made.error()));
    }
    Learn();
    op->Answer(JsonAnswer(200, NewKeyJson(made.value())));
  });
}

void WebsiteDoor::RevokeKey(const OperationPtr& op, const std::string& site,
                            const std::string& key) const {
  if (!op->Admit(Permission::kManageKeys)) {
    return;
  }
  Need(op, site, [this, op, site, key] {
    const Status revoked = tables_->keys.Revoke(op->caller().tenant, site, key, op->caller().actor);
    if (!revoked.ok()) {
      return op->Refuse(TableProblem(revoked.error()));
    }
    Learn();
    op->Answer({.status = 204});
  });
}

}  // namespace

Status AddWebsiteRoutes(http::Routes* routes, const WebsiteDeps& deps) {
  // Shared by the copies of the handlers.
  const auto door = std::make_shared<const WebsiteDoor>(deps);
  const std::string sites(kSitesPath);
  using Method = std::function<void(const OperationPtr&, const http::RouteParams&)>;
  const auto add = [&](std::string_view method, const std::string& pattern, Method handle) {
    return routes->AddParking(method, pattern,
                              [door, handle = std::move(handle)](const http::Request& request,
                                                                 const http::RouteParams& params,
                                                                 http::Responder responder) {
                                handle(door->Begin(request, std::move(responder)), params);
                              });
  };
  const auto id_of = [](const http::RouteParams& params, std::string_view name) {
    return std::string(params.Get(name));
  };
  ALERTSTREAM_RETURN_IF_ERROR(
      add("GET", sites, [door](const OperationPtr& op, const auto&) { door->List(op); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("POST", sites, [door](const OperationPtr& op, const auto&) { door->Create(op); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("GET", sites + "/{id}", [door, id_of](const OperationPtr& op, const auto& params) {
        door->Show(op, id_of(params, "id"));
      }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("DELETE", sites + "/{id}", [door, id_of](const OperationPtr& op, const auto& params) {
        door->Delete(op, id_of(params, "id"));
      }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("GET", sites + "/{id}/keys", [door, id_of](const OperationPtr& op, const auto& params) {
        door->ListKeys(op, id_of(params, "id"));
      }));
  ALERTSTREAM_RETURN_IF_ERROR(
      add("POST", sites + "/{id}/keys", [door, id_of](const OperationPtr& op, const auto& params) {
        door->CreateKey(op, id_of(params, "id"));
      }));
  ALERTSTREAM_RETURN_IF_ERROR(add("POST", sites + "/{id}/keys/{key}/rotate",
                                  [door, id_of](const OperationPtr& op, const auto& params) {
                                    door->RotateKey(op, id_of(params, "id"), id_of(params, "key"));
                                  }));
  return add("DELETE", sites + "/{id}/keys/{key}",
             [door, id_of](const OperationPtr& op, const auto& params) {
               door->RevokeKey(op, id_of(params, "id"), id_of(params, "key"));
             });
}

}  // namespace alertstream::api
