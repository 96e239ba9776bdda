// ResourceOperation: one request to a route of this folder, from the caller to the answer; and the
// parts that all of them share. Shared by the callbacks that bring its steps, one after the other.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http/message.h"
#include "api/http/responder.h"
#include "api/identity/access.h"
#include "api/resources/change_flow.h"
#include "api/resources/request_keys.h"
#include "api/resources/resource_request.h"
#include "api/resources/resource_routes.h"

namespace alertstream::api {

class ResourceOperation : public std::enable_shared_from_this<ResourceOperation> {
 public:
  ResourceOperation(std::shared_ptr<const ResourceDeps> deps, http::Request request,
                    http::Responder responder);

  // False: the caller may not, or there is no read model, and the client has the answer. A route
  // that goes on WithKey allows kAnswered.
  bool Admit(Permission permission, Repeats repeats = Repeats::kRefused);
  // False: there is a body of another media type, and the client has the answer.
  bool TakesJson();
  // The parsed body's change; null: it is not valid, and the client has the answer.
  const ResourceChange* Take(ResourceParse parsed);

  // Runs `work` on a worker, with a session that shows the rows of the tenant and only reads; each
  // statement is a transaction of its own. Where the database is not there, or too many wait, the
  // client is told.
  void Read(std::function<void(sql::Session&)> work);
  // Runs `work` when the read side shows what X-Min-Position names, at once without that field; it
  // must not block. Not in time: 503.
  void AfterMinPosition(std::function<void()> work);
  // Runs `work` once the request owns its Idempotency-Key, at once if it has none. A repetition is
  // answered here.
  void WithKey(std::string_view route, std::function<void()> work);
  // Appends the change and waits; `done` gets what the fold accepted and answers. Everything else
  // is answered here.
  using Done = std::function<void(const v1::Fact&, bool projected)>;
  void Change(Done done);

  // Appends the record and waits; `asked` gets all that the fold said of it and answers. Everything
  // else is answered here.
  using Asked = std::function<void(const RecordAnswer&)>;
  void Ask(RecordToAppend record, Asked asked);

  // The answer, with X-Position if something was appended. Kept for the key if there is one.
  void Answer(http::Response response);
  void Refuse(const http::ProblemDetails& problem) { Answer(http::Problem(problem)); }
  void Unavailable(const Error& error);

  const http::Request& request() const { return request_; }
  const Caller& caller() const { return caller_; }
  ResourceContext context() const;
  const ResourceDeps& deps() const { return *deps_; }
  ResourceChange& change() { return change_; }
  // 202: what is appended is not known or not shown yet.
  void AnswerPending(bool decided);
  // The key that the client gave, if WithKey claimed it.
  const std::optional<std::string>& key() const { return key_; }

 private:
  void Submit(std::function<void()> task);
  void ClaimKey(const KeyedRequest& keyed, const std::function<void()>& work);
  void OnChanged(const ChangeOutcome& outcome, const Done& done);

  const ReadDatabase& database() const { return *deps_->read.database; }

  const std::shared_ptr<const ResourceDeps> deps_;
  const http::Request request_;
  http::Responder responder_;
  const std::chrono::microseconds deadline_;
  Caller caller_;
  ResourceChange change_;
  std::optional<std::string> key_;
  std::optional<RequestClaim> claim_;
  std::optional<AppendedPosition> position_;
};

using OperationPtr = std::shared_ptr<ResourceOperation>;

// A JSON answer.
http::Response JsonAnswer(int status, std::string body);

}  // namespace alertstream::api
