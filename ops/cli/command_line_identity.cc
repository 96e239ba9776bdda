// The commands about users, API keys, provider accounts and numbers.
#include <chrono>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/identity/request_bodies.h"
#include "ops/cli/access_part.h"
#include "ops/cli/command_line.h"
#include "ops/cli/commands/identity.h"
#include "ops/cli/commands/provider_accounts.h"
#include "ops/cli/read_side.h"
#include "ops/cli/wiring.h"
#include "ops/identity/keys_file.h"
#include "processor/base/config_env.h"
#include "processor/base/duration.h"

namespace alertstream::cli {
namespace {

using std::chrono::seconds;

Result<std::string> ReadPassword(const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(text, identity::ReadPrivateFile(path, kPasswordBytesMax + 1));
  }
  if (text.ends_with('\n')) {
    text.pop_back();
  }
  if (text.size() < api::kPasswordCharactersMin || text.size() > kPasswordBytesMax) {
    return Error(ErrorCode::kInvalid, "the password has to have 10 to 1024 characters");
  }
  return text;
}

// The tenant that a command is about: of --tenant, else the demo's of a running dev.
Result<UserCommand> CommandOf(const Program& program) {
  UserCommand command{.tenant = program.settings().Text(Setting::kTenant),
                      .actor = program.actor()};
  if (command.tenant.empty()) {
    const auto dev = ReadDevFile(program.settings().Text(Setting::kDataDir));
    if (!dev.ok()) {
      return Error(ErrorCode::kInvalid, "name the tenant with --tenant");
    }
    command.tenant = dev.value().tenant_id;
  }
  return command;
}

// With the tables of identity.
Result<ExitCode> WithTables(Program& program,
                            const std::function<Result<ExitCode>(IdentityTables&)>& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto database,
                               RequireReadSide(program.settings(), program.clock()));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto tables, IdentityTables::Open(program.settings(), *database, program.clock()));
  ALERTSTREAM_RETURN_IF_ERROR(tables->CheckMasterKey());
  return body(*tables);
}

// Over the API of --api-url if that is named, else on the database.
Result<ExitCode> WithKeys(Program& program, const std::function<Result<ExitCode>(KeyDesk&)>& body) {
  if (!program.settings().Text(Setting::kApiUrl).empty()) {
    return program.Call([&](ApiClient& api) {
      ServerKeyDesk desk(api);
      return body(desk);
    });
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const UserCommand command, CommandOf(program));
  return WithTables(program, [&](IdentityTables& tables) {
    TableKeyDesk desk(tables.keys(), command.tenant, command.actor);
    return body(desk);
  });
}

// A provider's secret: of `path` (- for stdin), else of the environment, never of an argument; ""
// if there is neither.
Result<Redacted<std::string>> ReadCredential(const std::string& path, const char* variable) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else if (!path.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(text,
                                 identity::ReadPrivateFile(path, api::kCredentialBytesMax + 2));
  } else {
    text = Environment(variable).value_or("");
  }
  while (text.ends_with('\n') || text.ends_with('\r')) {
    text.pop_back();
  }
  return Redacted<std::string>(std::move(text));
}

using WithStore = std::function<Result<ExitCode>(api::AccountStore&, const api::AccountOwner&)>;

// On the tables, as an operator; what the file of keys has, if there is one, is respected.
Result<ExitCode> WithAccounts(Program& program, const std::string& tenant, const WithStore& body) {
  return WithTables(program, [&](IdentityTables& tables) -> Result<ExitCode> {
    std::unique_ptr<identity::KeysFile> keys;
    api::ConfiguredAccounts configured = {
        .has_account = [](std::string_view, std::string_view) { return false; },
        .has_number = [](std::string_view, std::string_view) { return false; }};
    auto opened = identity::KeysFile::Open(
        {.path = KeysPath(program.settings()), .look_every = std::chrono::milliseconds(0)});
    if (!opened.ok() && opened.error().code() != ErrorCode::kNotFound) {
      return opened.error();
    }
    if (opened.ok()) {
      keys = std::move(opened).value();
      configured = ConfiguredIn(*keys);
    }
    api::AccountStore store({.pool = tables.pool(),
                             .sealer = tables.sealer(),
                             .clock = program.clock(),
                             .configured = std::move(configured)});
    return body(store, {.tenant = tenant, .actor = program.actor(), .is_operator = true});
  });
}

struct AccountOptions {
  api::AccountAsk ask;
  std::string account;
  std::string auth_token_file;
  std::string api_key_sid;
  std::string api_key_secret_file;
  std::string overlap = "24h";
};

constexpr const char* kAuthTokenVariable = "ALERTSTREAM_PROVIDER_AUTH_TOKEN";
constexpr const char* kApiKeySecretVariable = "ALERTSTREAM_PROVIDER_API_KEY_SECRET";

void AddCredentialOptions(CLI::App* app, AccountOptions* options) {
  app->add_option("--auth-token-file", options->auth_token_file,
                  "- for stdin; without it the variable ALERTSTREAM_PROVIDER_AUTH_TOKEN");
  app->add_option("--api-key-sid", options->api_key_sid, "sign in as this key, SK...");
  app->add_option("--api-key-secret-file", options->api_key_secret_file,
                  "- for stdin; without it the variable ALERTSTREAM_PROVIDER_API_KEY_SECRET");
}

Result<ExitCode> RunAddAccount(Program& program, const AccountOptions& options) {
  api::AccountAsk ask = options.ask;
  ask.api_key_sid = options.api_key_sid;
  ALERTSTREAM_ASSIGN_OR_RETURN(ask.auth_token,
                               ReadCredential(options.auth_token_file, kAuthTokenVariable));
  if (!ask.api_key_sid.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        ask.api_key_secret, ReadCredential(options.api_key_secret_file, kApiKeySecretVariable));
  }
  return WithAccounts(program, program.settings().Text(Setting::kTenant),
                      [&](api::AccountStore& store, const api::AccountOwner& owner) {
                        return AddProviderAccount(store, program.io(), owner, ask);
                      });
}

Result<ExitCode> RunRotateAccount(Program& program, const AccountOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogDuration overlap, ParseDuration(options.overlap));
  api::CredentialsAsk ask{.api_key_sid = options.api_key_sid,
                          .overlap = std::chrono::duration_cast<seconds>(overlap)};
  if (ask.overlap > api::kTokenOverlapMax) {
    return Error(ErrorCode::kInvalid, "--overlap: at most 720h");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(ask.auth_token,
                               ReadCredential(options.auth_token_file, kAuthTokenVariable));
  if (!ask.api_key_sid.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        ask.api_key_secret, ReadCredential(options.api_key_secret_file, kApiKeySecretVariable));
  }
  return WithAccounts(program, program.settings().Text(Setting::kTenant),
                      [&](api::AccountStore& store, const api::AccountOwner& owner) {
                        return RotateProviderAccount(store, program.io(), owner, options.account,
                                                     ask);
                      });
}

struct KeyOptions {
  std::string site;
  std::string kind = "secret";
  std::string name;
  bool is_test = false;
  std::vector<std::string> origins;
  std::vector<std::string> networks;
  std::int64_t events_per_second = 0;
  std::vector<std::string> scopes;
  std::string expires_in;
  std::string key;
  bool is_secret_only = false;
  std::string overlap = "24h";
};

Result<api::KeyAsk> AskOf(const KeyOptions& options, LogTime now) {
  api::KeyAsk ask{
      .kind = options.kind == "secret" ? api::KeyKind::kSecret : api::KeyKind::kPublishable,
      .site = options.site,
      .name = options.name,
      .is_test = options.is_test,
      .origins = options.origins,
      .scopes = options.scopes};
  if (ask.kind == api::KeyKind::kPublishable && !ask.scopes.empty()) {
    return Error(ErrorCode::kInvalid, "--scope: a publishable key is public and may ingest only");
  }
  for (const std::string& text : options.networks) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const api::Network network, api::ParseNetwork(text));
    ask.networks.push_back(network);
  }
  if (options.events_per_second > 0) {
    ask.own_rate =
        api::EventRate{.per_second = static_cast<double>(options.events_per_second),
                       .burst = static_cast<std::uint32_t>(options.events_per_second * 2)};
  }
  if (!options.expires_in.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const LogDuration life, ParseDuration(options.expires_in));
    ask.expires_at = now + life;
  }
  return ask;
}

}  // namespace

void CommandLine::AddKeys() {
  CLI::App* keys = Group("keys", "API keys of a tenant");
  const auto add_site = [](CLI::App* app, KeyOptions* options) {
    app->add_option("--site", options->site, "of this website only; without it of the tenant");
  };
  auto* create = Keep(KeyOptions{});
  CLI::App* create_app = Add(
      keys, "create", "Make a key; it is shown once",
      "keys create --tenant acme --site shop.example --name server\n"
      "  alertstream keys create --kind publishable --origin https://shop.example",
      [create](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(const api::KeyAsk ask, AskOf(*create, program.clock().Now()));
        return WithKeys(program, [&](KeyDesk& desk) { return CreateKey(desk, program.io(), ask); });
      });
  add_site(create_app, create);
  create_app->add_option("--kind", create->kind, "secret or publishable")
      ->check(CLI::IsMember({"secret", "publishable"}));
  create_app->add_option("--name", create->name, "what people call it");
  create_app->add_flag("--test", create->is_test, "as_sk_test_...: the same, for people's eyes");
  create_app->add_option("--origin", create->origins, "of a publishable key; may be repeated")
      ->allow_extra_args(false);
  create_app->add_option("--network", create->networks, "allowed addresses; may be repeated")
      ->allow_extra_args(false);
  create_app->add_option("--events-per-second", create->events_per_second, "of this key alone")
      ->check(CLI::Range(1, 1'000'000));
  create_app
      ->add_option("--scope", create->scopes,
                   "ingest, read or manage: what a secret key may; may be repeated; without it all")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"ingest", "read", "manage"}));
  create_app->add_option("--expires-in", create->expires_in, "such as 90d")
      ->check(Checked(ParseDuration));

  auto* list = Keep(KeyOptions{});
  CLI::App* list_app =
      Add(keys, "list", "The keys there are and were", "keys list --tenant acme",
          [list](Program& program) {
            return WithKeys(program, [&](KeyDesk& desk) {
              return ListKeys(desk, program.io(), list->site, program.clock().Now());
            });
          });
  add_site(list_app, list);

  auto* rotate = Keep(KeyOptions{});
  CLI::App* rotate_app =
      Add(keys, "rotate", "Make a successor; both work for a while",
          "keys rotate key_01J... --overlap 24h\n"
          "  alertstream keys rotate key_01J... --signing-secret",
          [rotate](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const LogDuration overlap, ParseDuration(rotate->overlap));
            return WithKeys(program, [&](KeyDesk& desk) {
              return RotateKey(
                  desk, program.io(), rotate->site, rotate->key,
                  rotate->is_secret_only ? api::Rotated::kSigningSecret : api::Rotated::kKey,
                  std::chrono::duration_cast<seconds>(overlap));
            });
          });
  add_site(rotate_app, rotate);
  rotate_app->add_option("key", rotate->key, "its id, key_...")->required();
  rotate_app->add_option("--overlap", rotate->overlap, "how long the old one works on: 24h")
      ->check(Checked(ParseDuration));
  rotate_app->add_flag("--signing-secret", rotate->is_secret_only,
                       "a new signing secret of the same key");

  auto* revoke = Keep(KeyOptions{});
  CLI::App* revoke_app = Add(keys, "revoke", "End a key, within 5 seconds",
                             "keys revoke key_01J...", [revoke](Program& program) {
                               return WithKeys(program, [&](KeyDesk& desk) {
                                 return RevokeKey(desk, program.io(), revoke->site, revoke->key);
                               });
                             });
  add_site(revoke_app, revoke);
  revoke_app->add_option("key", revoke->key, "its id, key_...")->required();
}

void CommandLine::AddUsers() {
  struct UserOptions {
    std::string email;
    std::string role = "viewer";
    std::string password_file;
    std::string user;
  };
  const auto is_role = CLI::IsMember({"owner", "admin", "editor", "viewer", "auditor"});
  CLI::App* users = Group("users", "Who may use a tenant's account");
  auto* create = Keep(UserOptions{});
  CLI::App* create_app = Add(
      users, "create", "Add a user to a tenant",
      "users create --tenant acme --email jane@acme.example --role editor",
      [create](Program& program) -> Result<ExitCode> {
        const auto email = api::NormalEmail(create->email);
        if (!email) {
          return Error(ErrorCode::kInvalid, "--email: expected an e-mail address");
        }
        std::string password;
        if (!create->password_file.empty()) {
          ALERTSTREAM_ASSIGN_OR_RETURN(password, ReadPassword(create->password_file));
        }
        ALERTSTREAM_ASSIGN_OR_RETURN(const UserCommand command, CommandOf(program));
        return WithTables(program, [&](IdentityTables& tables) {
          return CreateUser(tables.accounts(), program.io(), command, Redacted<std::string>(*email),
                            Redacted<std::string>(password), *api::ParseRole(create->role));
        });
      });
  create_app->add_option("--email", create->email, "who it is")->required();
  create_app->add_option("--role", create->role, "owner, admin, editor, viewer or auditor")
      ->check(is_role);
  create_app->add_option("--password-file", create->password_file,
                         "- for stdin; without it a new user's is drawn and shown");

  Add(users, "list", "The users of a tenant", "users list --tenant acme",
      [](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(const UserCommand command, CommandOf(program));
        return WithTables(program, [&](IdentityTables& tables) {
          return ListUsers(tables.accounts(), program.io(), command.tenant);
        });
      });

  auto* role = Keep(UserOptions{});
  CLI::App* role_app =
      Add(users, "set-role", "Change what a user may do", "users set-role usr_01J... --role admin",
          [role](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const UserCommand command, CommandOf(program));
            return WithTables(program, [&](IdentityTables& tables) {
              return SetUserRole(tables.accounts(), program.io(), command, role->user,
                                 *api::ParseRole(role->role));
            });
          });
  role_app->add_option("user", role->user, "the id, usr_...")->required();
  role_app->add_option("--role", role->role, "owner, admin, editor, viewer or auditor")
      ->required()
      ->check(is_role);

  auto* disable = Keep(UserOptions{});
  CLI::App* disable_app =
      Add(users, "disable", "End a user's access, in all tenants", "users disable usr_01J...",
          [disable](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const UserCommand command, CommandOf(program));
            return WithTables(program, [&](IdentityTables& tables) {
              return DisableUser(tables.accounts(), program.io(), command, disable->user);
            });
          });
  disable_app->add_option("user", disable->user, "the id, usr_...")->required();

  CLI::App* roles = Group("roles", "What users may do");
  Add(roles, "list", "Which role may do what", "roles list",
      [](Program& program) { return ListRoles(program.io()); });
}

void CommandLine::AddProviderAccounts(CLI::App* providers) {
  CLI::App* accounts = providers->add_subcommand(
      "accounts", "Accounts at providers, with their credentials, on the database");
  accounts->require_subcommand(1);
  auto* add = Keep(AccountOptions{});
  CLI::App* add_app =
      Add(accounts, "add", "Store an account; its credentials are sealed under the master key",
          "providers accounts add main --tenant acme --account-sid AC... \\\n"
          "    --auth-token-file twilio.token --public-url https://alerts.example",
          [add](Program& program) { return RunAddAccount(program, *add); });
  add_app
      ->add_option("name", add->ask.name, "what a sender's account names; part of webhooks' URLs")
      ->required();
  add_app->add_option("--account-sid", add->ask.account_sid, "the provider's id of it, AC...")
      ->required();
  add_app->add_option("--public-url", add->ask.public_url, "where the provider reaches us")
      ->required();
  add_app->add_option("--base-url", add->ask.base_url, "where the provider is");
  add_app->add_option("--sends-per-second", add->ask.sends_per_second, "its pace: 100");
  add_app->add_option("--burst", add->ask.burst, "sends at once after a pause: 100");
  AddCredentialOptions(add_app, add);

  Add(accounts, "list", "The accounts of a tenant; without --tenant all", "providers accounts list",
      [](Program& program) {
        return WithAccounts(program, program.settings().Text(Setting::kTenant),
                            [&](api::AccountStore& store, const api::AccountOwner& owner) {
                              return ListProviderAccounts(store, program.io(), owner);
                            });
      });

  auto* rotate = Keep(AccountOptions{});
  CLI::App* rotate_app =
      Add(accounts, "rotate", "Change an account's credentials",
          "providers accounts rotate main --auth-token-file twilio.token --overlap 24h",
          [rotate](Program& program) { return RunRotateAccount(program, *rotate); });
  rotate_app->add_option("account", rotate->account, "its name, or its id, pa_...")->required();
  rotate_app->add_option("--overlap", rotate->overlap, "webhooks signed with the token before: 24h")
      ->check(Checked(ParseDuration));
  AddCredentialOptions(rotate_app, rotate);

  auto* remove = Keep(AccountOptions{});
  CLI::App* remove_app =
      Add(accounts, "remove", "Forget an account of which no number is claimed",
          "providers accounts remove main", [remove](Program& program) {
            return WithAccounts(program, program.settings().Text(Setting::kTenant),
                                [&](api::AccountStore& store, const api::AccountOwner& owner) {
                                  return RemoveProviderAccount(store, program.io(), owner,
                                                               remove->account);
                                });
          });
  remove_app->add_option("account", remove->account, "its name, or its id, pa_...")->required();
}

void CommandLine::AddNumbers() {
  CLI::App* numbers = Group("numbers", "Whose number of a provider account is");
  auto* claim = Keep(api::NumberAsk{});
  CLI::App* claim_app =
      Add(numbers, "claim", "Give a number to a tenant: what people answer to it is the tenant's",
          "numbers claim +15550006789 --account main --tenant acme",
          [claim](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const UserCommand command, CommandOf(program));
            return WithAccounts(program, command.tenant,
                                [&](api::AccountStore& store, const api::AccountOwner& owner) {
                                  return ClaimNumber(store, program.io(), owner, *claim);
                                });
          });
  claim_app->add_option("number", claim->number, "+254..., a sender id or a messaging service")
      ->required();
  claim_app->add_option("--account", claim->account, "our name of the provider account")
      ->required();

  Add(numbers, "list", "The numbers of a tenant; without --tenant all", "numbers list",
      [](Program& program) {
        return WithAccounts(program, program.settings().Text(Setting::kTenant),
                            [&](api::AccountStore& store, const api::AccountOwner& owner) {
                              return ListNumbers(store, program.io(), owner);
                            });
      });

  struct Release {
    std::string number;
  };
  auto* release = Keep(Release{});
  CLI::App* release_app = Add(
      numbers, "release", "End a claim", "numbers release num_01J...", [release](Program& program) {
        return WithAccounts(program, program.settings().Text(Setting::kTenant),
                            [&](api::AccountStore& store, const api::AccountOwner& owner) {
                              return ReleaseNumber(store, program.io(), owner, release->number);
                            });
      });
  release_app->add_option("number", release->number, "the claim's id, num_...")->required();
}

}  // namespace alertstream::cli
