#include "ops/cli/rules_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "ops/cli/rules_fields.h"
#include "ops/cli/rules_yaml.h"
#include "processor/engine/conditions/condition.h"
#include "processor/engine/phone.h"
#include "processor/engine/templates/template.h"
#include "schemas/envelope_check.h"
#include "schemas/limits.h"
#include "schemas/text.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

// The index is the order in which changes are applied: what others refer to comes first.
constexpr std::array<std::string_view, 5> kKinds = {"tenant", "plan", "site", "sender", "trigger"};
enum Kind : std::size_t { kTenant, kPlan, kSite, kSender, kTrigger };

// The index is the enum value minus one.
constexpr std::array<std::string_view, 3> kTenantStatuses = {"active", "suspended", "closed"};
constexpr std::array<std::string_view, 2> kSiteStatuses = {"active", "disabled"};
constexpr std::array<std::string_view, 5> kChannels = {"sms", "whatsapp", "email", "push", "voice"};
constexpr std::array<std::string_view, 3> kClasses = {"transactional", "informational",
                                                      "marketing"};
static_assert(v1::TENANT_STATUS_ACTIVE == 1 && v1::TENANT_STATUS_CLOSED == 3);
static_assert(v1::SITE_STATUS_ACTIVE == 1 && v1::SITE_STATUS_DISABLED == 2);
static_assert(v1::CHANNEL_SMS == 1 && v1::CHANNEL_VOICE == 5);
static_assert(v1::MESSAGE_CLASS_TRANSACTIONAL == 1 && v1::MESSAGE_CLASS_MARKETING == 3);

constexpr std::int64_t kMillisecondUs = 1000;

constexpr std::string_view kEntityIdForm = "expected an id of a to z, 0 to 9, _ and -";

// A document that was understood, before it is known whose it is.
struct Item {
  Kind kind = kTenant;
  std::string tenant;  // As written; "" if it was not.
  std::string id;
  v1::AccountChange change;
  std::string file;
  int line = 0;
  int column = 0;
};

template <std::size_t N>
int EnumOf(FieldReader& fields, std::string_view name, Need need,
           const std::array<std::string_view, N>& words, int absent) {
  const auto index = fields.Choice(name, need, words);
  return index ? static_cast<int>(*index) + 1 : absent;
}

std::string Id(FieldReader& fields, std::string_view name, Need need) {
  std::string id = fields.Text(name, need, schemas::kEntityIdBytesMax);
  if (!id.empty() && !schemas::IsEntityId(id)) {
    fields.Problem(name, std::string(kEntityIdForm));
  }
  return id;
}

void ReadTenant(FieldReader& fields, Item* item) {
  item->id = fields.Text("id", Need::kRequired, schemas::kTenantIdBytesMax);
  if (!item->id.empty() && !schemas::IsTenantId(item->id)) {
    fields.Problem("id", std::string(kEntityIdForm) + ", first a letter or a digit");
  }
  v1::Tenant& tenant = *item->change.mutable_tenant();
  tenant.set_status(static_cast<v1::TenantStatus>(
      EnumOf(fields, "status", Need::kOptional, kTenantStatuses, v1::TENANT_STATUS_ACTIVE)));
  tenant.set_plan(Id(fields, "plan", Need::kOptional));
  tenant.set_stop_reply(fields.Text("stop_reply", Need::kOptional, schemas::kReplyBytesMax));
  tenant.set_help_reply(fields.Text("help_reply", Need::kOptional, schemas::kReplyBytesMax));
  tenant.set_unknown_wait_us(fields
                                 .Duration("unknown_wait", {.min = schemas::kUnknownWaitUsMin,
                                                            .max = schemas::kUnknownWaitUsMax})
                                 .count());
}

void ReadPlan(FieldReader& fields, Item* item) {
  item->id = Id(fields, "id", Need::kRequired);
  v1::Plan& plan = *item->change.mutable_plan();
  plan.set_id(item->id);
  plan.set_sends_per_month_max(fields
                                   .Integer("sends_per_month_max", Need::kRequired,
                                            {.min = 0, .max = schemas::kSendsPerMonthMax})
                                   .value_or(0));
}

void ReadSite(FieldReader& fields, Item* item) {
  item->id = fields.Text("id", Need::kRequired, schemas::kSiteIdBytesMax);
  if (!item->id.empty() && !schemas::IsSiteId(item->id)) {
    fields.Problem("id", "expected an id of letters, digits, . _ and -");
  }
  v1::Site& site = *item->change.mutable_site();
  site.set_id(item->id);
  site.set_status(static_cast<v1::SiteStatus>(
      EnumOf(fields, "status", Need::kOptional, kSiteStatuses, v1::SITE_STATUS_ACTIVE)));
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// E.164, a short code (3 to 8 digits), or an alphanumeric sender (GSM: 1 to 11 letters, digits and
// spaces, one of them no digit).
void ReadSenderNumber(FieldReader& fields, v1::Sender* sender) {
  const std::string number = fields.Text("number", Need::kOptional, schemas::kPhoneTextBytesMax);
  if (number.empty()) {
    return;
  }
  if (number.starts_with('+') || number.starts_with("00")) {
    const auto normalised = engine::NormalizePhone(number);
    if (!normalised.ok()) {
      fields.Problem("number", normalised.error().message());
      return;
    }
    sender->set_number(normalised.value());
    return;
  }
  const bool short_code = IsDigits(number) && number.size() >= 3 && number.size() <= 8;
  const bool name = !IsDigits(number) && number.size() <= 11 &&
                    std::all_of(number.begin(), number.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == ' ';
                    });
  if (!short_code && !name) {
    fields.Problem("number",
                   "expected a number that begins with +, a short code of 3 to 8 digits, or a name "
                   "of at most 11 letters and digits");
  }
  sender->set_number(number);
}

void ReadSender(FieldReader& fields, Item* item) {
  item->id = Id(fields, "id", Need::kRequired);
  v1::Sender& sender = *item->change.mutable_sender();
  sender.set_id(item->id);
  sender.set_provider(fields.Text("provider", Need::kRequired, schemas::kProviderBytesMax));
  sender.set_account(fields.Text("account", Need::kOptional, schemas::kProviderAccountBytesMax));
  sender.set_is_default(fields.Bool("default", false));
  sender.set_channel(static_cast<v1::Channel>(
      EnumOf(fields, "channel", Need::kOptional, kChannels, v1::CHANNEL_UNSPECIFIED)));
  if (sender.channel() == v1::CHANNEL_EMAIL || sender.channel() == v1::CHANNEL_PUSH) {
    sender.set_number(fields.Text("number", Need::kOptional, schemas::kPhoneTextBytesMax));
  } else {
    ReadSenderNumber(fields, &sender);
  }
  for (const auto& [name, text] :
       {std::pair<std::string_view, std::string_view>{"provider", sender.provider()},
        {"account", sender.account()},
        {"number", sender.number()}}) {
    if (!schemas::HasNoControls(text)) {
      fields.Problem(name, "contains a control character");
    }
  }
}

// "data.customer.phone": member names below the event's data.
bool IsDataPath(std::string_view path) {
  return path.starts_with("data.") && !path.ends_with('.') &&
         path.find("..") == std::string_view::npos && schemas::HasNoControls(path);
}

// An address as the channel wants it; the problem never repeats it.
Result<std::string> NormalizeAddress(const std::string& address, v1::Channel channel) {
  if (channel == v1::CHANNEL_EMAIL) {
    const std::size_t at = address.find('@');
    if (at == 0 || at == std::string::npos || at + 1 == address.size() ||
        address.find('@', at + 1) != std::string::npos ||
        address.find_first_of(" \t\r\n") != std::string::npos) {
      return Error(ErrorCode::kInvalid, "e-mail address: expected one @ between two parts");
    }
    return address;
  }
  if (channel == v1::CHANNEL_PUSH) {
    return address;
  }
  return engine::NormalizePhone(address);
}

std::size_t AddressBytesMax(v1::Channel channel) {
  if (channel == v1::CHANNEL_EMAIL) {
    return schemas::kEmailBytesMax;
  }
  return channel == v1::CHANNEL_PUSH ? schemas::kPushTokenBytesMax : schemas::kPhoneTextBytesMax;
}

void ReadList(FieldReader& fields, std::uint32_t node, const YamlDocument& document,
              ProblemList* problems, v1::Trigger* trigger) {
  const YamlNode& list = document.nodes[node];
  if (list.kind != YamlKind::kSequence || list.children.empty() ||
      list.children.size() > static_cast<std::size_t>(schemas::kRecipientsMax)) {
    fields.Problem("list",
                   fmt::format("expected a list of 1 to {} addresses", schemas::kRecipientsMax));
    return;
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.children.size(); ++i) {
    const std::string name = fmt::format("list[{}]", i);
    const auto text = fields.TextOf(list.children[i], name, AddressBytesMax(trigger->channel()));
    if (!text) {
      continue;
    }
    const auto address = NormalizeAddress(*text, trigger->channel());
    const YamlNode& element = document.nodes[list.children[i]];
    if (!address.ok()) {
      problems->Add(element, "recipients." + name, address.error().message());
    } else if (!seen.insert(address.value()).second) {
      problems->Add(element, "recipients." + name, "the same address stands in the list before");
    } else {
      trigger->mutable_recipients()->mutable_list()->add_addresses()->set_plain(address.value());
    }
  }
}

void ReadRecipients(FieldReader& fields, const YamlDocument& document, ProblemList* problems,
                    v1::Trigger* trigger) {
  const auto node = fields.Node("recipients", Need::kRequired);
  if (!node) {
    return;
  }
  FieldReader recipients(document, *node, "recipients.", problems);
  const std::string path = recipients.Text("field", Need::kOptional, schemas::kFieldPathBytesMax);
  const auto list = recipients.Node("list", Need::kOptional);
  const bool empty = recipients.node().kind == YamlKind::kMap && recipients.node().children.empty();
  if (empty || (list && recipients.Has("field"))) {
    fields.Problem("recipients", "expected either field or list");
  } else if (list) {
    ReadList(recipients, *list, document, problems, trigger);
  } else if (!path.empty()) {
    if (!IsDataPath(path)) {
      recipients.Problem("field", "expected a path below the event's data, such as data.phone");
    }
    trigger->mutable_recipients()->set_field(path);
  }
  recipients.Finish();
}

void ReadTemplate(FieldReader& fields, const YamlDocument& document, ProblemList* problems,
                  v1::Trigger* trigger) {
  const auto node = fields.Node("template", Need::kRequired);
  if (!node) {
    return;
  }
  FieldReader body(document, *node, "template.", problems);
  trigger->set_template_body(body.Text("body", Need::kRequired, schemas::kTemplateBytesMax));
  if (!trigger->template_body().empty()) {
    const auto compiled = engine::Template::Compile(trigger->template_body());
    if (!compiled.ok()) {
      body.Problem("body", compiled.error().message());
    }
  }
  body.Finish();
}

void ReadCondition(FieldReader& fields, v1::Trigger* trigger) {
  trigger->set_when(fields.Text("when", Need::kOptional, schemas::kConditionBytesMax));
  if (trigger->when().empty()) {
    return;
  }
  const auto compiled = engine::Condition::Compile(trigger->when());
  if (!compiled.ok()) {
    fields.Problem("when", compiled.error().message());
  }
}

void ReadTrigger(FieldReader& fields, const YamlDocument& document, ProblemList* problems,
                 Item* item) {
  item->id = Id(fields, "id", Need::kRequired);
  v1::Trigger& trigger = *item->change.mutable_trigger();
  trigger.set_id(item->id);
  trigger.set_name(fields.Text("name", Need::kOptional, schemas::kNameBytesMax));
  if (!schemas::HasNoControls(trigger.name())) {
    fields.Problem("name", "contains a control character");
  }
  trigger.set_event_type(fields.Text("event_type", Need::kRequired, schemas::kEventTypeBytesMax));
  if (!trigger.event_type().empty() && !schemas::IsEventType(trigger.event_type())) {
    fields.Problem("event_type", "expected letters, digits and . _ : / -");
  }
  ReadCondition(fields, &trigger);
  trigger.set_channel(static_cast<v1::Channel>(
      EnumOf(fields, "channel", Need::kRequired, kChannels, v1::CHANNEL_UNSPECIFIED)));
  ReadRecipients(fields, document, problems, &trigger);
  trigger.set_sender(Id(fields, "sender", Need::kOptional));
  ReadTemplate(fields, document, problems, &trigger);
  trigger.set_message_class(static_cast<v1::MessageClass>(
      EnumOf(fields, "message_class", Need::kRequired, kClasses, v1::MESSAGE_CLASS_UNSPECIFIED)));
  trigger.set_cooldown_us(
      fields.Duration("cooldown", {.min = 0, .max = schemas::kCooldownUsMax}).count());
  trigger.set_daily_cap(static_cast<std::uint32_t>(
      fields.Integer("daily_cap", Need::kOptional, {.min = 0, .max = schemas::kDailyCapMax})
          .value_or(0)));
  trigger.set_max_age_us(
      fields.Duration("max_age", {.min = kMillisecondUs, .max = schemas::kMaxAgeUsMax}).count());
  trigger.set_allow_public(fields.Bool("allow_public", false));
  trigger.set_enabled(fields.Bool("enabled", true));
  if (trigger.allow_public() && trigger.recipients().has_field() && trigger.daily_cap() == 0) {
    fields.Problem("allow_public",
                   "needs a daily_cap: anybody can send events that name a recipient");
  }
}

// Reads one document; it becomes an item even with problems, so that references to it are not
// reported as well.
void ReadDocument(const YamlDocument& document, std::uint32_t root, ProblemList* problems,
                  std::vector<Item>* items) {
  FieldReader fields(document, root, "", problems);
  if (fields.node().kind != YamlKind::kMap) {
    return;
  }
  const auto kind = fields.Choice("kind", Need::kRequired, kKinds);
  if (!kind) {
    return;  // Which fields there may be is not known.
  }
  Item item;
  item.kind = static_cast<Kind>(*kind);
  item.file = problems->file();
  item.line = fields.node().line;
  item.column = fields.node().column;
  if (item.kind != kTenant) {
    item.tenant = fields.Text("tenant", Need::kOptional, schemas::kTenantIdBytesMax);
    if (!item.tenant.empty() && !schemas::IsTenantId(item.tenant)) {
      fields.Problem("tenant", std::string(kEntityIdForm) + ", first a letter or a digit");
    }
  }
  switch (item.kind) {
    case kTenant:
      ReadTenant(fields, &item);
      break;
    case kPlan:
      ReadPlan(fields, &item);
      break;
    case kSite:
      ReadSite(fields, &item);
      break;
    case kSender:
      ReadSender(fields, &item);
      break;
    case kTrigger:
      ReadTrigger(fields, document, problems, &item);
      break;
  }
  fields.Finish();
  items->push_back(std::move(item));
}

// Line and column of the first U+0000, or line of the first byte that is no UTF-8.
std::optional<std::pair<int, int>> FirstBadByte(std::string_view text) {
  int number = 1;
  for (std::size_t start = 0; start <= text.size(); ++number) {
    const std::string_view line = text.substr(start, text.find('\n', start) - start);
    const std::size_t nul = line.find('\0');
    if (nul != std::string_view::npos || !schemas::IsUtf8(line)) {
      return std::pair(number, nul != std::string_view::npos ? static_cast<int>(nul) + 1 : 1);
    }
    start += line.size() + 1;
  }
  return std::nullopt;
}

// The four digits of a \uXXXX escape at `at`; -1 if there is none.
int EscapedUnit(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\\u" || text.size() < at + 6) {
    return -1;
  }
  int unit = 0;
  for (std::size_t i = at + 2; i < at + 6; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) {
      return -1;
    }
    unit = unit * 16 + digit;
  }
  return unit;
}

// JSON writes characters beyond the basic plane as two escapes, which YAML does not know: they
// become the character itself.
std::string JoinSurrogates(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const int high = EscapedUnit(text, i);
    const int low = high >= 0xD800 && high < 0xDC00 ? EscapedUnit(text, i + 6) : -1;
    if (low >= 0xDC00 && low < 0xE000) {
      const auto code = static_cast<unsigned>(0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00));
      out.push_back(static_cast<char>(0xF0U | (code >> 18U)));
      out.push_back(static_cast<char>(0x80U | ((code >> 12U) & 0x3FU)));
      out.push_back(static_cast<char>(0x80U | ((code >> 6U) & 0x3FU)));
      out.push_back(static_cast<char>(0x80U | (code & 0x3FU)));
      i += 12;
      continue;
    }
    const std::size_t taken =
        text[i] == '\\' && i + 1 < text.size() ? 2 : 1;  // "\\u" is no escape.
    out.append(text.substr(i, taken));
    i += taken;
  }
  return out;
}

void ReadSource(const RuleSource& source, std::vector<RuleProblem>* out, std::vector<Item>* items,
                std::size_t* documents_left) {
  ProblemList problems(source.file, out);
  if (source.text.size() > kRuleFileBytesMax) {
    problems.Add(0, 0, "", fmt::format("larger than {} bytes", kRuleFileBytesMax));
    return;
  }
  if (const auto place = FirstBadByte(source.text)) {
    problems.Add(place->first, place->second, "", "expected UTF-8 text without U+0000");
    return;
  }
  std::vector<YamlDocument> documents;
  YamlProblem problem;
  const bool json = source.file.ends_with(".json");
  if (!ParseYaml(json ? JoinSurrogates(source.text) : source.text, *documents_left, &documents,
                 &problem)) {
    problems.Add(problem.line, problem.column, "", problem.message);
    return;
  }
  for (const YamlDocument& document : documents) {
    const YamlNode& root = document.nodes[document.root];
    if (root.kind != YamlKind::kSequence) {
      ReadDocument(document, document.root, &problems, items);
      continue;
    }
    if (root.children.size() > *documents_left) {
      problems.Add(root, "", fmt::format("more than {} documents", kRuleDocumentsMax));
      return;
    }
    for (const std::uint32_t element : root.children) {
      ReadDocument(document, element, &problems, items);
    }
  }
  *documents_left = kRuleDocumentsMax - std::min(kRuleDocumentsMax, items->size());
}

// Turns items into changes: whose they are, each once, and valid as records.
class SetBuilder {
 public:
  SetBuilder(std::string_view default_tenant, std::vector<RuleProblem>* problems)
      : default_tenant_(default_tenant), problems_(problems) {}

  RuleSet Build(std::vector<Item> items) {
    std::stable_sort(items.begin(), items.end(),
                     [](const Item& a, const Item& b) { return a.kind < b.kind; });
    for (const Item& item : items) {
      if (item.kind == kTenant && !item.id.empty()) {
        tenants_.insert(item.id);
        by_plan_[item.change.tenant().plan()].insert(item.id);
      }
    }
    for (const Item& item : items) {
      for (const std::string& tenant : OwnersOf(item)) {
        Add(item, tenant);
      }
    }
    return std::move(set_);
  }

 private:
  void Problem(const Item& item, std::string field, std::string message) {
    ProblemList(item.file, problems_)
        .Add(item.line, item.column, std::move(field), std::move(message));
  }

  std::set<std::string> OwnersOf(const Item& item) {
    if (item.id.empty()) {
      return {};  // Reported already.
    }
    if (item.kind == kTenant) {
      return {item.id};
    }
    if (!item.tenant.empty()) {
      return {item.tenant};
    }
    const auto named = by_plan_.find(item.id);
    if (item.kind == kPlan && named != by_plan_.end()) {
      return named->second;
    }
    if (!default_tenant_.empty()) {
      return {std::string(default_tenant_)};
    }
    if (tenants_.size() == 1) {
      return tenants_;
    }
    Problem(item, "tenant",
            tenants_.empty() ? "missing: the set defines no tenant, and none was given by --tenant"
                             : "missing: the set defines several tenants");
    return {};
  }

  void Add(const Item& item, const std::string& tenant) {
    const auto [place, is_new] = seen_.emplace(std::tuple(tenant, item.kind, item.id), &item);
    if (!is_new) {
      Problem(item, "id",
              fmt::format("{} '{}' of tenant '{}' is defined before, at {}:{}", kKinds[item.kind],
                          item.id, tenant, place->second->file, place->second->line));
      return;
    }
    RuleChange change{.tenant = tenant,
                      .envelope = {},
                      .file = item.file,
                      .line = item.line,
                      .kind = std::string(kKinds[item.kind]),
                      .id = item.id};
    v1::Envelope& envelope = change.envelope;
    envelope.set_tenant(tenant);
    envelope.set_routing_key(tenant);
    envelope.set_type("account." + change.kind);
    envelope.set_schema_version(schemas::kSchemaVersionMax);
    envelope.set_source("rules");
    envelope.set_trust(v1::TRUST_SYSTEM);
    *envelope.mutable_account_change() = item.change;
    // The fold's own check, for whatever is not checked field by field above.
    if (problems_->empty()) {
      const auto fault = schemas::CheckEnvelope(schemas::Topic::kAccountChanges, tenant, envelope);
      if (fault) {
        Problem(item, "", fault->detail);
      }
    }
    set_.changes.push_back(std::move(change));
  }

  std::string_view default_tenant_;
  std::vector<RuleProblem>* problems_;
  std::set<std::string> tenants_;
  std::map<std::string, std::set<std::string>> by_plan_;  // The tenants that name a plan.
  std::map<std::tuple<std::string, Kind, std::string>, const Item*> seen_;
  RuleSet set_;
};

bool IsRuleFile(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return !name.starts_with('.') &&
         (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

Result<std::vector<std::string>> RuleFiles(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return Error(ErrorCode::kNotFound, "rules: " + path + " does not exist");
  }
  if (!fs::is_directory(status)) {
    return std::vector<std::string>{path};
  }
  std::vector<std::string> files;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && IsRuleFile(entry->path())) {
      files.push_back(entry->path().string());
    }
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
    }
    if (files.size() > kRuleFilesMax) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("rules: {} holds more than {} files", path, kRuleFilesMax));
    }
  }
  if (error) {
    return Error(ErrorCode::kUnavailable, "rules: cannot list " + path + ": " + error.message());
  }
  if (files.empty()) {
    return Error(ErrorCode::kNotFound, "rules: there is no .yaml, .yml or .json file in " + path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<RuleSource> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream.is_open() || std::filesystem::is_directory(path)) {
    return Error(ErrorCode::kUnavailable, "rules: cannot read " + path);
  }
  // One byte more than allowed shows that a file is too large.
  std::string text(kRuleFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) {
    return Error(ErrorCode::kUnavailable, "rules: cannot read " + path);
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return RuleSource{.file = path, .text = std::move(text)};
}

}  // namespace

std::string FormatRuleProblem(const RuleProblem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) {
    text += fmt::format(":{}:{}", problem.line, problem.column);
  }
  return text + ": " + (problem.field.empty() ? "" : problem.field + ": ") + problem.message;
}

Result<RuleSet> ReadRules(const std::vector<RuleSource>& sources, std::string_view default_tenant,
                          std::vector<RuleProblem>* problems) {
  problems->clear();
  std::vector<Item> items;
  std::size_t documents_left = kRuleDocumentsMax;
  for (const RuleSource& source : sources) {
    ReadSource(source, problems, &items, &documents_left);
  }
  RuleSet set = SetBuilder(default_tenant, problems).Build(std::move(items));
  if (problems->empty()) {
    return set;
  }
  std::stable_sort(problems->begin(), problems->end(),
                   [](const RuleProblem& a, const RuleProblem& b) {
                     return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
                   });
  return Error(ErrorCode::kInvalid, FormatRuleProblem(problems->front()));
}

Result<RuleSet> LoadRules(const std::string& path, std::string_view default_tenant,
                          std::vector<RuleProblem>* problems) {
  problems->clear();
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto files, RuleFiles(path));
  std::vector<RuleSource> sources;
  std::size_t bytes = 0;
  for (const std::string& file : files) {
    ALERTSTREAM_ASSIGN_OR_RETURN(RuleSource source, ReadFile(file));
    bytes += source.text.size();
    if (bytes > kRuleSetBytesMax) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("rules: {} holds more than {} bytes", path, kRuleSetBytesMax));
    }
    sources.push_back(std::move(source));
  }
  return ReadRules(sources, default_tenant, problems);
}

}  // namespace alertstream::cli
