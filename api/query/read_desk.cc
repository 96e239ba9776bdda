#include "api/query/read_desk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "api/log/position_text.h"
#include "api/query/object_fields.h"
#include "processor/base/crypto.h"
#include "processor/base/log.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

// A session comes free in milliseconds or not at all.
constexpr std::chrono::milliseconds kSessionWait{2'000};
constexpr std::string_view kRetryAfterSeconds = "2";

ProblemDetails Malformed(std::string detail) {
  return {.status = 400, .code = "malformed_request", .detail = std::move(detail)};
}

// The positions of all fields X-Min-Position.
std::variant<std::vector<AppendedPosition>, ProblemDetails> MinPositions(
    const http::Headers& headers) {
  constexpr std::string_view kName = "X-Min-Position";
  std::string all;
  for (const http::HeaderField& field : headers.fields()) {
    if (http::EqualsIgnoringCase(field.name, kName)) {
      all += (all.empty() ? "" : ",") + field.value;
    }
  }
  if (headers.Count(kName) == 0) {
    return std::vector<AppendedPosition>();
  }
  auto positions = ParsePositions(all);
  if (!positions.ok()) {
    return Malformed("X-Min-Position: " + positions.error().message());
  }
  return std::move(positions).value();
}

std::variant<std::optional<std::string>, ProblemDetails> RevealReason(
    const http::Headers& headers) {
  constexpr std::string_view kName = "X-Reveal-Reason";
  const auto reason = headers.Find(kName);
  if (!reason) {
    return std::optional<std::string>();
  }
  if (headers.Count(kName) > 1 || reason->size() < kRevealReasonBytesMin ||
      reason->size() > kRevealReasonBytesMax || !schemas::IsUtf8(*reason) ||
      !schemas::HasNoControls(*reason)) {
    return Malformed("X-Reveal-Reason: expected one text of 8 to 200 bytes");
  }
  return std::optional(std::string(*reason));
}

bool HasTag(std::string_view if_none_match, std::string_view tag) {
  while (!if_none_match.empty()) {
    const std::size_t end = std::min(if_none_match.find(','), if_none_match.size());
    std::string_view each = if_none_match.substr(0, end);
    if_none_match.remove_prefix(std::min(end + 1, if_none_match.size()));
    const std::size_t begin = each.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
      continue;
    }
    each = each.substr(begin, each.find_last_not_of(" \t") - begin + 1);
    if (each.starts_with("W/")) {
      each.remove_prefix(2);
    }
    if (each == tag || each == "*") {
      return true;
    }
  }
  return false;
}

}  // namespace

bool IsTemporary(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConflict:
    case ErrorCode::kExhausted:
    case ErrorCode::kUnavailable:
    case ErrorCode::kUnknown:
      return true;
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kDenied:
    case ErrorCode::kFenced:
    case ErrorCode::kCorrupt:
      break;
  }
  return false;
}

http::Response UnavailableProblem(std::string detail) {
  http::Response response =
      http::Problem({.status = 503, .code = "unavailable", .detail = std::move(detail)});
  response.headers.Add("Retry-After", kRetryAfterSeconds);
  return response;
}

http::Response AnswerObject(const http::Request& request, std::string json) {
  constexpr std::size_t kTagBytes = 16;
  const Digest digest = Sha256::Of(json);
  const std::string tag = "\"" + ToHex(AsView(digest).substr(0, kTagBytes)) + "\"";
  http::Response response;
  response.headers.Add("ETag", tag);
  const auto known = request.headers.Find("If-None-Match");
  if (known && HasTag(*known, tag)) {
    response.status = 304;
    return response;
  }
  response.headers.Add("Content-Type", "application/json");
  response.body = std::move(json);
  return response;
}

// One request on its way through the workers.
struct ReadDesk::Job {
  std::shared_ptr<ReadDesk> desk;  // The routes are its other owners.
  std::shared_ptr<const ReadCall> call;
  ReadTask task;
  http::Responder responder;
};

Status ReadDesk::Add(http::Routes* routes, std::string_view pattern, Permission permission,
                     ReadPlanner planner) {
  return routes->AddParking(
      "GET", pattern,
      [desk = shared_from_this(), permission, planner = std::move(planner)](
          http::Request request, const http::RouteParams& params, http::Responder responder) {
        desk->Handle(std::move(request), params, std::move(responder), permission, planner);
      });
}

void ReadDesk::Handle(http::Request request, const http::RouteParams& params,
                      http::Responder responder, Permission permission,
                      const ReadPlanner& planner) {
  auto admitted = deps_.guard.Admit(request, permission);
  if (auto* refused = std::get_if<http::Response>(&admitted)) {
    return responder.Send(std::move(*refused));
  }
  auto positions = MinPositions(request.headers);
  if (const auto* problem = std::get_if<ProblemDetails>(&positions)) {
    return responder.Send(http::Problem(*problem));
  }
  auto reason = RevealReason(request.headers);
  if (const auto* problem = std::get_if<ProblemDetails>(&reason)) {
    return responder.Send(http::Problem(*problem));
  }
  auto call = std::make_shared<ReadCall>(ReadCall{.caller = std::get<Caller>(std::move(admitted)),
                                                  .request = std::move(request),
                                                  .params = params,
                                                  .reveal_reason = {}});
  if (Allows(call->caller.role, Permission::kReadPersonalData)) {
    call->reveal_reason = std::get<std::optional<std::string>>(std::move(reason));
  }
  auto plan = planner(call);
  if (auto* answer = std::get_if<http::Response>(&plan)) {
    return responder.Send(std::move(*answer));
  }
  if (deps_.database == nullptr) {
    return responder.Send(
        UnavailableProblem("This server has no read model; its setting postgres.url is not set."));
  }
  auto job = std::make_shared<Job>(Job{.desk = shared_from_this(),
                                       .call = std::move(call),
                                       .task = std::get<ReadTask>(std::move(plan)),
                                       .responder = std::move(responder)});
  auto& wanted = std::get<std::vector<AppendedPosition>>(positions);
  if (wanted.empty()) {
    return Submit(job);
  }
  deps_.database->wait.Await(
      std::move(wanted), deps_.clock.SinceBoot() + kMinPositionWaitMax,
      [this, job](const Status& covered) {
        if (covered.ok()) {
          Submit(job);
        } else {
          job->responder.Send(
              UnavailableProblem("The read model does not cover X-Min-Position yet; ask again."));
        }
      });
}

void ReadDesk::Submit(const std::shared_ptr<Job>& job) {
  const bool taken = deps_.database->workers.Submit([job] { job->desk->Run(job.get()); });
  if (!taken) {
    job->responder.Send(UnavailableProblem("Too many requests wait for the database."));
  }
}

void ReadDesk::Run(Job* job) {
  auto answer = Query(*job);
  if (!answer.ok()) {
    return job->responder.Send(AnswerOf(answer.error()));
  }
  const ReadCall& call = *job->call;
  if (call.reveals() && answer.value().status == 200) {
    const Status recorded = deps_.database->audit.Record(
        {.tenant = call.caller.tenant,
         .actor = call.caller.actor,
         .action = "personal_data.reveal",
         .subject = call.request.path,
         .detail_json = ObjectFields().Text("reason", *call.reveal_reason).ToJson()});
    if (!recorded.ok()) {
      return job->responder.Send(
          UnavailableProblem("That personal data was asked for could not be recorded."));
    }
  }
  is_down_ = false;
  job->responder.Send(std::move(answer).value());
}

Result<http::Response> ReadDesk::Query(const Job& job) {
  // A session of the pool may have died unseen, with a restart of the server; the next is new.
  constexpr int kTries = 2;
  for (int tries = 1;; ++tries) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto session,
                                 deps_.database->pool.Take(job.call->caller.tenant, kSessionWait));
    auto answer = job.task(*session);
    if (answer.ok() || session->alive() || tries == kTries) {
      return answer;
    }
  }
}

http::Response ReadDesk::AnswerOf(const Error& error) {
  if (error.code() == ErrorCode::kInvalid) {
    return http::Problem(Malformed(error.message()));
  }
  if (error.code() == ErrorCode::kNotFound) {
    return NotFoundProblem();
  }
  if (!IsTemporary(error.code())) {
    Log(LogLevel::kError, "read_failed", {{"error", error.message()}});
    return http::Problem(500, "The answer could not be made.");
  }
  if (!is_down_.exchange(true)) {
    Log(LogLevel::kWarning, "read_model_unavailable", {{"error", error.message()}});
  }
  return UnavailableProblem("The database cannot be asked now.");
}

}  // namespace alertstream::api
