#include "api/resources/resource_operation.h"

#include <span>
#include <utility>
#include <variant>

#include "api/http/problem.h"
#include "api/ingest/request_fields.h"
#include "api/log/position_text.h"
#include "api/resources/resource_answer.h"
#include "processor/base/log.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

constexpr std::chrono::milliseconds kSessionWait{2'000};

ProblemDetails Busy() {
  return {.status = 503, .code = "unavailable", .detail = "Too many requests wait already."};
}

// "application/json; charset=utf-8" and the like.
bool IsJsonType(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) {
    type.remove_suffix(1);
  }
  return http::EqualsIgnoringCase(type, "application/json");
}

}  // namespace

http::Response JsonAnswer(int status, std::string body) {
  http::Response response{.status = status, .body = std::move(body)};
  response.headers.Add("Content-Type", "application/json");
  return response;
}

ResourceOperation::ResourceOperation(std::shared_ptr<const ResourceDeps> deps,
                                     http::Request request, http::Responder responder)
    : deps_(std::move(deps)),
      request_(std::move(request)),
      responder_(std::move(responder)),
      deadline_(deps_->read.clock.SinceBoot() + kChangeWaitMax) {}

bool ResourceOperation::Admit(Permission permission, Repeats repeats) {
  auto admitted = deps_->read.guard.Admit(request_, permission, repeats);
  if (auto* refusal = std::get_if<http::Response>(&admitted)) {
    Answer(std::move(*refusal));
    return false;
  }
  caller_ = std::get<Caller>(std::move(admitted));
  if (deps_->read.database == nullptr || deps_->keys == nullptr) {
    Answer(
        UnavailableProblem("This server has no read model; its setting postgres.url is not set."));
    return false;
  }
  return true;
}

bool ResourceOperation::TakesJson() {
  const auto type = request_.headers.Find("Content-Type");
  if (type && !IsJsonType(*type)) {
    Refuse({.status = 415,
            .code = "unsupported_media_type",
            .detail = "Content-Type: expected application/json"});
    return false;
  }
  return true;
}

const ResourceChange* ResourceOperation::Take(ResourceParse parsed) {
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    Refuse(*problem);
    return nullptr;
  }
  change_ = std::get<ResourceChange>(std::move(parsed));
  return &change_;
}

ResourceContext ResourceOperation::context() const {
  return {.tenant = caller_.tenant,
          .actor = caller_.actor,
          .now = deps_->read.clock.Now(),
          .partitions = deps_->partitions};
}

void ResourceOperation::Submit(std::function<void()> task) {
  if (!database().workers.Submit(std::move(task))) {
    // The key, if it was claimed, is free again after a minute: there is nobody to give it back.
    claim_.reset();
    Refuse(Busy());
  }
}

void ResourceOperation::Read(std::function<void(sql::Session&)> work) {
  Submit([self = shared_from_this(), work = std::move(work)] {
    auto session = self->database().pool.Take(self->caller_.tenant, kSessionWait);
    if (!session.ok()) {
      return self->Unavailable(session.error());
    }
    *self->deps_->is_down = false;
    work(*session.value());
  });
}

void ResourceOperation::AfterMinPosition(std::function<void()> work) {
  constexpr std::string_view kName = "X-Min-Position";
  const auto field = request_.headers.Find(kName);
  if (!field) {
    return work();
  }
  auto positions = ParsePositions(*field);
  if (!positions.ok() || request_.headers.Count(kName) > 1) {
    return Refuse({.status = 400,
                   .code = "malformed_request",
                   .detail = "X-Min-Position: expected the X-Position of an earlier answer"});
  }
  database().wait.Await(std::move(positions).value(), deadline_,
                        [self = shared_from_this(), work = std::move(work)](const Status& status) {
                          if (!status.ok()) {
                            return self->Answer(UnavailableProblem(
                                "The read model does not cover X-Min-Position yet; ask again."));
                          }
                          work();
                        });
}

void ResourceOperation::WithKey(std::string_view route, std::function<void()> work) {
  auto key = IdempotencyKeyField(request_.headers);
  if (!key.ok()) {
    return Refuse({.status = 400, .code = "malformed_request", .detail = key.error().message()});
  }
  if (!key.value()) {
    return work();
  }
  key_ = std::move(*key.value());
  KeyedRequest keyed{
      .tenant = caller_.tenant, .route = std::string(route), .key = *key_, .body = request_.body};
  Submit([self = shared_from_this(), keyed = std::move(keyed), work = std::move(work)] {
    self->ClaimKey(keyed, work);
  });
}

void ResourceOperation::ClaimKey(const KeyedRequest& keyed, const std::function<void()>& work) {
  auto outcome = deps_->keys->Claim(keyed);
  if (!outcome.ok()) {
    return Unavailable(outcome.error());
  }
  if (auto* claim = std::get_if<RequestClaim>(&outcome.value())) {
    claim_ = std::move(*claim);
    return work();
  }
  if (auto* first = std::get_if<http::Response>(&outcome.value())) {
    return Answer(std::move(*first));
  }
  if (std::get<KeyRefusal>(outcome.value()) == KeyRefusal::kReused) {
    return Refuse({.status = 422,
                   .code = "idempotency_key_reused",
                   .detail = "Idempotency-Key: it was used with another body"});
  }
  http::Response response =
      http::Problem({.status = 409,
                     .code = "idempotency_in_progress",
                     .detail = "Idempotency-Key: the first request with it is still under way"});
  response.headers.Add("Retry-After", "1");
  Answer(std::move(response));
}

void ResourceOperation::Change(Done done) {
  const ChangeFlow flow({.writer = deps_->writer,
                         .watch = deps_->watch,
                         .projected = database().wait,
                         .clock = deps_->read.clock});
  flow.Run(change_.record, deadline_,
           [self = shared_from_this(), done = std::move(done)](const ChangeOutcome& outcome) {
             self->OnChanged(outcome, done);
           });
}

void ResourceOperation::Ask(RecordToAppend record, Asked asked) {
  const ChangeFlow flow({.writer = deps_->writer,
                         .watch = deps_->watch,
                         .projected = database().wait,
                         .clock = deps_->read.clock});
  flow.Ask(std::move(record), deadline_,
           [self = shared_from_this(), asked = std::move(asked)](const ChangeOutcome& outcome) {
             self->position_ = outcome.position;
             if (outcome.state == ChangeState::kRefused) {
               return self->Refuse(outcome.problem);
             }
             if (outcome.state == ChangeState::kPending) {
               return self->AnswerPending(false);
             }
             asked(outcome.answer);
           });
}

void ResourceOperation::OnChanged(const ChangeOutcome& outcome, const Done& done) {
  position_ = outcome.position;
  switch (outcome.state) {
    case ChangeState::kRefused:
      return Refuse(outcome.problem);
    case ChangeState::kPending:
      return AnswerPending(false);
    case ChangeState::kDecided:
      return done(outcome.fact, false);
    case ChangeState::kProjected:
      return done(outcome.fact, true);
  }
}

void ResourceOperation::AnswerPending(bool decided) {
  Answer(JsonAnswer(202, PendingJson(position_.value_or(AppendedPosition()), decided)));
}

void ResourceOperation::Unavailable(const Error& error) {
  // The texts are nobody's but the log's: they name hosts, users and tables.
  if (!IsTemporary(error.code())) {
    Log(LogLevel::kError, "resource_failed", {{"error", error.message()}});
    return Answer(http::Problem(500, "The database did not take a statement."));
  }
  if (!deps_->is_down->exchange(true)) {
    Log(LogLevel::kWarning, "resource_database_unavailable", {{"error", error.message()}});
  }
  Answer(UnavailableProblem("The database cannot be asked now."));
}

void ResourceOperation::Answer(http::Response response) {
  if (position_) {
    response.headers.Add("X-Position", FormatPositions(std::span(&*position_, 1)));
  }
  if (!claim_) {
    return responder_.Send(std::move(response));
  }
  // Kept before it is given: who repeats the request because the answer got lost finds it.
  auto self = shared_from_this();
  const auto shared = std::make_shared<http::Response>(std::move(response));
  const auto claim = *std::exchange(claim_, std::nullopt);
  const bool taken = database().workers.Submit([self, shared, claim] {
    // What cannot be kept is answered all the same; the claim runs out by itself.
    static_cast<void>(self->deps_->keys->Finish(claim, *shared));
    self->responder_.Send(std::move(*shared));
  });
  if (!taken) {
    responder_.Send(std::move(*shared));
  }
}

}  // namespace alertstream::api
