#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "processor/base/check.h"
#include "processor/base/text.h"
#include "processor/dispatch/http_client.h"

namespace alertstream::dispatch {
namespace {

// An idle connection is not used again after this: the other side may be closing it at that moment,
// and a request lost in a closing connection counts as one that may have arrived.
constexpr long kIdleSecondsMax = 30;
// Handles kept for the next calls; one has about 6 KiB.
constexpr std::size_t kSpareHandlesMax = 256;
constexpr int kPollMsMax = 1000;  // Submit and Stop end the wait before.
constexpr std::string_view kUserAgent = "alertstream";

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

bool GlobalInit() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

// One call in flight.
struct Transfer {
  HttpCall call;
  HttpClient::Done done;
  std::size_t answer_bytes_max = 0;
  Easy easy;
  HeaderList headers = {};
  std::size_t handed = 0;  // Bytes of the body that libcurl has taken from us.
  std::size_t answer_bytes = 0;
  HttpAnswer answer = {};
  std::string body = {};
};

bool HasControlBytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
}

// False: it could forge a header, a second request, or another host.
bool IsSendable(const HttpCall& call) {
  const HttpRequest& request = call.request;
  const std::string& path = request.path;
  const bool method =
      !request.method.empty() && std::all_of(request.method.begin(), request.method.end(),
                                             [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!method || path.empty() || path.front() != '/' || HasControlBytes(path) ||
      path.find_first_of(" \t#") != std::string::npos || HasControlBytes(call.base_url) ||
      HasControlBytes(request.authorization.Reveal())) {
    return false;
  }
  return std::all_of(request.headers.begin(), request.headers.end(), [](const HttpHeader& header) {
    return !header.name.empty() && !HasControlBytes(header.name) &&
           header.name.find_first_of(" \t:;") == std::string::npos &&
           !HasControlBytes(header.value);
  });
}

std::size_t OnRead(char* buffer, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string& body = transfer.call.request.body.Reveal();
  const std::size_t bytes = body.copy(buffer, size * count, transfer.handed);
  transfer.handed += bytes;
  return bytes;
}

std::size_t OnBody(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::size_t length = size * count;
  transfer.answer_bytes += length;
  if (transfer.answer_bytes > transfer.answer_bytes_max) {
    return 0;  // libcurl ends the call with CURLE_WRITE_ERROR.
  }
  transfer.body.append(bytes, length);
  return length;
}

constexpr std::string_view kLineBlanks = " \t\r\n";  // A line comes with its end.

std::size_t OnHeader(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(bytes, size * count);
  transfer.answer_bytes += line.size();
  if (transfer.answer_bytes > transfer.answer_bytes_max) {
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    transfer.answer.headers.clear();  // Those before were of an interim answer (1xx).
    return line.size();
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.answer.headers.push_back({std::string(Trimmed(line.substr(0, colon), kLineBlanks)),
                                       std::string(Trimmed(line.substr(colon + 1), kLineBlanks))});
  }
  return line.size();
}

void AppendHeader(const std::string& line, HeaderList* list) {
  curl_slist* const head = curl_slist_append(list->get(), line.c_str());
  ALERTSTREAM_CHECK(head != nullptr);  // Out of memory.
  static_cast<void>(list->release());
  list->reset(head);
}

void SetHeaders(Transfer& transfer) {
  const HttpRequest& request = transfer.call.request;
  for (const HttpHeader& header : request.headers) {
    AppendHeader(header.value.empty() ? header.name + ";" : header.name + ": " + header.value,
                 &transfer.headers);
  }
  if (!request.authorization.Reveal().empty()) {
    AppendHeader("Authorization: " + request.authorization.Reveal(), &transfer.headers);
  }
  if (!FindHeader(request.headers, "Content-Type")) {
    AppendHeader("Content-Type:", &transfer.headers);  // libcurl would say that it is a form.
  }
  AppendHeader("Expect:", &transfer.headers);  // Waiting for 100 would cost a round trip.
  curl_easy_setopt(transfer.easy.get(), CURLOPT_HTTPHEADER, transfer.headers.get());
}

// libcurl sends a request again by itself when a kept connection dies without an answer. A body
// that it cannot rewind (a callback without a seek) prevents that from the body's first byte on;
// a request without a body that is not safe to repeat gets a connection of its own.
void SetBody(Transfer& transfer) {
  CURL* const easy = transfer.easy.get();
  const HttpRequest& request = transfer.call.request;
  const std::string& body = request.body.Reveal();
  if (!body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &OnRead);
    curl_easy_setopt(easy, CURLOPT_READDATA, &transfer);
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method == "GET") {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t{0});
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void Prepare(Transfer& transfer) {
  CURL* const easy = transfer.easy.get();
  const std::string url = transfer.call.base_url + transfer.call.request.path;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // Not the environment's either.
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kIdleSecondsMax);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, kUserAgent.data());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(transfer.call.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(transfer.call.total_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  SetHeaders(transfer);
  SetBody(transfer);
}

enum class Written : std::uint8_t { kNothing, kPart, kMaybeAll };

// How much of the request the system has taken. Where libcurl cannot tell, it is kMaybeAll.
Written WrittenOf(const Transfer& transfer, CURLcode code) {
  CURL* const easy = transfer.easy.get();
  long head_bytes = 0;
  curl_off_t body_bytes = 0;
  if (curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &head_bytes) != CURLE_OK ||
      curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &body_bytes) != CURLE_OK) {
    return Written::kMaybeAll;
  }
  const std::size_t body_size = transfer.call.request.body.Reveal().size();
  // A refused repetition may have reset the counters: then what libcurl took counts as written.
  const std::size_t written = code == CURLE_SEND_FAIL_REWIND
                                  ? transfer.handed
                                  : static_cast<std::size_t>(std::max<curl_off_t>(0, body_bytes));
  if (head_bytes == 0 && written == 0) {
    return Written::kNothing;
  }
  return written >= body_size ? Written::kMaybeAll : Written::kPart;
}

TransportFailure FailureOf(const Transfer& transfer, CURLcode code) {
  const bool timeout = code == CURLE_OPERATION_TIMEDOUT;
  switch (WrittenOf(transfer, code)) {
    case Written::kNothing:
      return timeout ? TransportFailure::kConnectTimeout : TransportFailure::kNotConnected;
    case Written::kPart:
      return timeout ? TransportFailure::kTimeoutBeforeSent : TransportFailure::kClosedBeforeSent;
    case Written::kMaybeAll:
      break;
  }
  if (timeout) {
    return TransportFailure::kTimeoutAfterSent;
  }
  const bool unreadable = code == CURLE_WRITE_ERROR || code == CURLE_WEIRD_SERVER_REPLY ||
                          code == CURLE_UNSUPPORTED_PROTOCOL;
  return unreadable ? TransportFailure::kUnreadableAnswer : TransportFailure::kClosedAfterSent;
}

}  // namespace

struct HttpClient::Impl {
  struct Submitted {
    HttpCall call;
    Done done;
  };

  HttpClientOptions options;
  std::unique_ptr<CURLM, MultiDeleter> multi;
  std::mutex mutex;  // Guards the two below.
  std::deque<Submitted> queue;
  bool stopping = false;
  std::atomic<std::size_t> pending = 0;
  std::mutex stop_mutex;  // Two threads may call Stop.
  // From here on: of the thread.
  std::unordered_map<const Transfer*, std::unique_ptr<Transfer>> active;
  std::vector<Easy> spare;
  std::thread thread;

  void Finish(Done& done, HttpOutcome outcome) {
    pending.fetch_sub(1);
    done(std::move(outcome));
  }

  Easy TakeHandle() {
    if (spare.empty()) {
      return Easy(curl_easy_init());
    }
    Easy easy = std::move(spare.back());
    spare.pop_back();
    return easy;
  }

  void Begin(Submitted submitted) {
    Easy easy = IsSendable(submitted.call) ? TakeHandle() : nullptr;
    if (easy == nullptr) {
      Finish(submitted.done, TransportFailure::kNotConnected);
      return;
    }
    auto transfer =
        std::make_unique<Transfer>(Transfer{.call = std::move(submitted.call),
                                            .done = std::move(submitted.done),
                                            .answer_bytes_max = options.answer_bytes_max,
                                            .easy = std::move(easy)});
    Prepare(*transfer);
    if (curl_multi_add_handle(multi.get(), transfer->easy.get()) != CURLM_OK) {
      Finish(transfer->done, TransportFailure::kNotConnected);
      return;
    }
    const Transfer* const key = transfer.get();
    active.emplace(key, std::move(transfer));
  }

  // Begins what may begin. False: Stop was called.
  bool TakeSubmitted() {
    std::vector<Submitted> taken;
    bool go_on = true;
    {
      const std::lock_guard lock(mutex);
      go_on = !stopping;
      while (go_on && !queue.empty() && active.size() + taken.size() < options.calls_max) {
        taken.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    }
    for (Submitted& submitted : taken) {
      Begin(std::move(submitted));
    }
    return go_on;
  }

  void End(const Transfer* key, CURLcode code) {
    const auto found = active.find(key);
    ALERTSTREAM_CHECK(found != active.end());
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    active.erase(found);
    HttpOutcome outcome;
    if (code == CURLE_OK) {
      long status = 0;
      curl_easy_getinfo(transfer->easy.get(), CURLINFO_RESPONSE_CODE, &status);
      transfer->answer.status = static_cast<int>(status);
      transfer->answer.body = Redacted<std::string>(std::move(transfer->body));
      outcome = std::move(transfer->answer);
    } else {
      outcome = FailureOf(*transfer, code);
    }
    curl_multi_remove_handle(multi.get(), transfer->easy.get());
    if (spare.size() < kSpareHandlesMax) {
      curl_easy_reset(transfer->easy.get());
      spare.push_back(std::move(transfer->easy));
    }
    Finish(transfer->done, std::move(outcome));
  }

  void EndFinished() {
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) {
        continue;
      }
      const CURLcode code = message->data.result;
      void* context = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context);
      End(static_cast<const Transfer*>(context), code);
    }
  }

  void EndAll() {
    while (!active.empty()) {
      const auto first = active.begin();
      const std::unique_ptr<Transfer> transfer = std::move(first->second);
      active.erase(first);
      const bool sent = WrittenOf(*transfer, CURLE_ABORTED_BY_CALLBACK) == Written::kMaybeAll;
      curl_multi_remove_handle(multi.get(), transfer->easy.get());
      Finish(transfer->done,
             sent ? TransportFailure::kClosedAfterSent : TransportFailure::kClosedBeforeSent);
    }
    std::deque<Submitted> waiting;
    {
      const std::lock_guard lock(mutex);
      waiting.swap(queue);
    }
    for (Submitted& submitted : waiting) {
      Finish(submitted.done, TransportFailure::kClosedBeforeSent);
    }
  }

  void Run() {
    // OpenSSL writes with write(), which raises it where the other side has gone.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    while (TakeSubmitted()) {
      int running = 0;
      curl_multi_perform(multi.get(), &running);
      EndFinished();
      bool more = false;
      {
        const std::lock_guard lock(mutex);
        more = stopping || (!queue.empty() && active.size() < options.calls_max);
      }
      if (!more) {
        curl_multi_poll(multi.get(), nullptr, 0, kPollMsMax, nullptr);
      }
    }
    EndAll();
    spare.clear();
  }
};

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const HttpClientOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (GlobalInit()) {
    impl->multi.reset(curl_multi_init());
  }
  CURLM* const multi = impl->multi.get();
  const auto connections = static_cast<long>(options.connections_per_host_max);
  if (multi == nullptr ||
      curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK ||
      curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections) != CURLM_OK ||
      curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections) != CURLM_OK) {
    return Error(ErrorCode::kUnavailable, "the HTTP client cannot be set up");
  }
  Impl* const raw = impl.get();
  auto client = std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
  raw->thread = std::thread([raw] { raw->Run(); });
  return client;
}

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpClient::~HttpClient() { Stop(); }

void HttpClient::Submit(HttpCall call, Done done) {
  std::unique_lock lock(impl_->mutex);
  if (impl_->stopping) {
    lock.unlock();
    done(TransportFailure::kNotConnected);
    return;
  }
  impl_->pending.fetch_add(1);
  const bool wake = impl_->queue.empty();
  impl_->queue.push_back({std::move(call), std::move(done)});
  lock.unlock();
  if (wake) {
    curl_multi_wakeup(impl_->multi.get());
  }
}

std::size_t HttpClient::pending() const { return impl_->pending.load(); }

void HttpClient::Stop() {
  const std::lock_guard stop(impl_->stop_mutex);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  if (impl_->thread.joinable()) {
    curl_multi_wakeup(impl_->multi.get());
    impl_->thread.join();
  }
}

}  // namespace alertstream::dispatch
