#include "projections/sql/database.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <system_error>
#include <utility>

#include "processor/base/check.h"
#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/rfc3339.h"

namespace alertstream::sql {
namespace {

// While nobody can connect, everybody who wants a session would try; one try in this time will do.
constexpr std::chrono::milliseconds kRetryPause{200};

constexpr std::string_view kNullElement = "NULL";

// A session may have died unseen, with a restart of the server; the next is another or new.
constexpr int kTenantTries = 2;

std::string HexOf(std::string_view bytes) { return "\\x" + ToHex(bytes); }

void AppendQuoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
    }
    out->push_back(c);
  }
  out->push_back('"');
}

// "{a,NULL,b}"; `append` writes one element that is there.
template <typename T, typename Append>
std::string ArrayOf(std::span<const std::optional<T>> values, Append append) {
  std::string text = "{";
  for (const auto& value : values) {
    if (text.size() > 1) {
      text.push_back(',');
    }
    if (value) {
      append(*value, &text);
    } else {
      text += kNullElement;
    }
  }
  text.push_back('}');
  return text;
}

}  // namespace

Params& Params::Text(std::string_view value) {
  has_nul_ = has_nul_ || value.find('\0') != std::string_view::npos;
  values_.emplace_back(value);
  return *this;
}

Params& Params::Integer(std::int64_t value) {
  values_.emplace_back(std::to_string(value));
  return *this;
}

Params& Params::Boolean(bool value) {
  values_.emplace_back(value ? "t" : "f");
  return *this;
}

Params& Params::Bytes(std::string_view value) {
  values_.emplace_back(HexOf(value));
  return *this;
}

Params& Params::Time(LogTime value) {
  values_.emplace_back(FormatRfc3339(value));
  return *this;
}

Params& Params::Null() {
  values_.emplace_back(std::nullopt);
  return *this;
}

Params& Params::Texts(std::span<const std::optional<std::string>> values) {
  values_.emplace_back(ArrayOf(values, [this](const std::string& value, std::string* out) {
    has_nul_ = has_nul_ || value.find('\0') != std::string::npos;
    AppendQuoted(value, out);
  }));
  return *this;
}

Params& Params::Integers(std::span<const std::optional<std::int64_t>> values) {
  values_.emplace_back(
      ArrayOf(values, [](std::int64_t value, std::string* out) { *out += std::to_string(value); }));
  return *this;
}

Params& Params::Booleans(std::span<const std::optional<bool>> values) {
  values_.emplace_back(
      ArrayOf(values, [](bool value, std::string* out) { out->push_back(value ? 't' : 'f'); }));
  return *this;
}

Params& Params::BytesList(std::span<const std::optional<std::string>> values) {
  values_.emplace_back(ArrayOf(values, [](const std::string& value, std::string* out) {
    *out += "\"\\";
    *out += HexOf(value);
    out->push_back('"');
  }));
  return *this;
}

Params& Params::Times(std::span<const std::optional<LogTime>> values) {
  values_.emplace_back(
      ArrayOf(values, [](LogTime value, std::string* out) { *out += FormatRfc3339(value); }));
  return *this;
}

const Rows::Cell& Rows::At(std::size_t row, std::size_t column) const {
  ALERTSTREAM_CHECK(row < rows_ && column < columns_);
  return cells_[row * columns_ + column];
}

bool Rows::IsNull(std::size_t row, std::size_t column) const { return At(row, column).null; }

std::string_view Rows::Text(std::size_t row, std::size_t column) const {
  const Cell& cell = At(row, column);
  ALERTSTREAM_CHECK(!cell.null);
  return std::string_view(text_).substr(cell.begin, cell.size);
}

std::int64_t Rows::Integer(std::size_t row, std::size_t column) const {
  const std::string_view text = Text(row, column);
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  ALERTSTREAM_CHECK(read.ec == std::errc() && read.ptr == text.data() + text.size());
  return value;
}

bool Rows::Boolean(std::size_t row, std::size_t column) const {
  const std::string_view text = Text(row, column);
  ALERTSTREAM_CHECK(text == "t" || text == "f");
  return text == "t";
}

std::string Rows::Bytes(std::size_t row, std::size_t column) const {
  std::string_view text = Text(row, column);
  ALERTSTREAM_CHECK(text.starts_with("\\x"));
  text.remove_prefix(2);
  std::string bytes = FromHex(text);
  ALERTSTREAM_CHECK(bytes.size() * 2 == text.size());
  return bytes;
}

// "2026-01-31 23:59:59.25+00": ISO form, in UTC by the session's setting.
LogTime Rows::Time(std::size_t row, std::size_t column) const {
  constexpr std::size_t kDateSize = 10;
  constexpr std::string_view kUtc = "+00";
  const std::string_view text = Text(row, column);
  ALERTSTREAM_CHECK(text.size() > kDateSize && text[kDateSize] == ' ' && text.ends_with(kUtc));
  std::string standard(text.substr(0, text.size() - kUtc.size()));
  standard[kDateSize] = 'T';
  standard.push_back('Z');
  const auto time = ParseRfc3339(standard);
  ALERTSTREAM_CHECK(time.ok());
  return time.value();
}

void Rows::AddValue(std::optional<std::string_view> value) {
  ALERTSTREAM_CHECK(columns_ > 0);
  Cell cell{.begin = text_.size(), .size = 0, .null = !value.has_value()};
  if (value) {
    cell.size = value->size();
    text_ += *value;
  }
  cells_.push_back(cell);
  rows_ = cells_.size() / columns_;
}

struct Pool::Impl {
  Database& database;
  const SessionOptions options;
  const std::size_t sessions_max;

  std::mutex mutex;
  std::condition_variable freed;
  std::vector<std::unique_ptr<Session>> idle;
  std::size_t taken = 0;
  // The last failure to connect and until when it stands for further tries.
  std::optional<Error> refusal;
  std::chrono::microseconds refused_until{0};

  void GiveBack(std::unique_ptr<Session> session) {
    session->Rollback();
    const bool is_alive = session->alive();
    std::vector<std::unique_ptr<Session>> doubtful;  // Closed without the lock.
    {
      const std::scoped_lock lock(mutex);
      --taken;
      if (is_alive) {
        idle.push_back(std::move(session));
      } else {
        // What ended one may have ended them all, and a server that went silently is noticed by
        // the time limit of a call only: not once for each.
        doubtful.swap(idle);
      }
    }
    session.reset();
    doubtful.clear();
    freed.notify_one();
  }

  // REQUIRES: `mutex`. Of this tenant that which was used last, else that which was used first: the
  // tenants that are busy keep their sessions. Without a tenant, that which was used last.
  std::unique_ptr<Session> TakeIdle(std::string_view tenant) {
    auto chosen = std::find_if(idle.rbegin(), idle.rend(),
                               [&](const auto& session) { return session->tenant() == tenant; });
    if (chosen == idle.rend()) {
      chosen = std::prev(idle.rend());
    }
    std::unique_ptr<Session> session = std::move(*chosen);
    idle.erase(std::prev(chosen.base()));
    return session;
  }

  // Opens a session for a place that is taken already; frees it if that fails.
  Result<std::unique_ptr<Session>> Open() {
    auto opened = database.Open(options);
    if (!opened.ok()) {
      {
        const std::scoped_lock lock(mutex);
        --taken;
        refusal = opened.error();
        refused_until = SystemClock().SinceBoot() + kRetryPause;
      }
      freed.notify_one();
    }
    return opened;
  }
};

Pool::Pool(Database& database, SessionOptions options, std::size_t sessions_max)
    : impl_(new Impl{.database = database,
                     .options = std::move(options),
                     .sessions_max = sessions_max,
                     .mutex = {},
                     .freed = {},
                     .idle = {},
                     .refusal = {}}) {
  ALERTSTREAM_CHECK(sessions_max > 0);
}

Pool::~Pool() { ALERTSTREAM_CHECK(impl_->taken == 0); }

Result<Pool::Lease> Pool::Take(std::chrono::milliseconds timeout, std::string_view tenant) {
  std::vector<std::unique_ptr<Session>> dead;  // Closed without the lock.
  {
    std::unique_lock lock(impl_->mutex);
    if (!impl_->freed.wait_for(lock, timeout,
                               [this] { return impl_->taken < impl_->sessions_max; })) {
      return Error(ErrorCode::kUnavailable,
                   "all sessions of the database are in use; see postgres.sessions_max");
    }
    ++impl_->taken;
    while (!impl_->idle.empty()) {
      std::unique_ptr<Session> session = impl_->TakeIdle(tenant);
      if (session->alive()) {
        return Lease(*this, std::move(session));
      }
      dead.push_back(std::move(session));
    }
    if (impl_->refusal && SystemClock().SinceBoot() < impl_->refused_until) {
      --impl_->taken;
      impl_->freed.notify_one();
      return *impl_->refusal;
    }
    impl_->refusal.reset();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto session, impl_->Open());
  return Lease(*this, std::move(session));
}

Pool::Lease::~Lease() {
  if (session_ != nullptr) {
    pool_->impl_->GiveBack(std::move(session_));
  }
}

TenantPool::TenantPool(Database& database, SessionOptions options, std::size_t sessions_max)
    : pool_(
          database,
          [&] {
            options.keeps_tenant = true;
            return std::move(options);
          }(),
          sessions_max) {}

Result<Pool::Lease> TenantPool::Take(const std::string& tenant, std::chrono::milliseconds timeout) {
  for (int tries = 1;; ++tries) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto lease, pool_.Take(timeout, tenant));
    const Status kept = lease->KeepTenant(tenant);
    if (kept.ok()) {
      ALERTSTREAM_CHECK(lease->tenant() == tenant);
      return lease;
    }
    // What is left of it is dropped with the lease.
    if (lease->alive() || tries == kTenantTries) {
      return kept.error();
    }
  }
}

}  // namespace alertstream::sql
