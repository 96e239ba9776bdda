// `providers accounts add|list|rotate|remove` and `numbers claim|list|release`, on the tables of
// identity: for whoever runs the deployment. Library functions; used by the command line.
#pragma once

#include <string>

#include "api/identity/account_store.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

Result<ExitCode> AddProviderAccount(api::AccountStore& store, const Streams& io,
                                    const api::AccountOwner& owner, const api::AccountAsk& ask);
Result<ExitCode> ListProviderAccounts(api::AccountStore& store, const Streams& io,
                                      const api::AccountOwner& owner);
// `account` is its id or its name, here and below.
Result<ExitCode> RotateProviderAccount(api::AccountStore& store, const Streams& io,
                                       const api::AccountOwner& owner, const std::string& account,
                                       const api::CredentialsAsk& ask);
Result<ExitCode> RemoveProviderAccount(api::AccountStore& store, const Streams& io,
                                       const api::AccountOwner& owner, const std::string& account);

Result<ExitCode> ClaimNumber(api::AccountStore& store, const Streams& io,
                             const api::AccountOwner& owner, const api::NumberAsk& ask);
Result<ExitCode> ListNumbers(api::AccountStore& store, const Streams& io,
                             const api::AccountOwner& owner);
Result<ExitCode> ReleaseNumber(api::AccountStore& store, const Streams& io,
                               const api::AccountOwner& owner, const std::string& number_id);

}  // namespace alertstream::cli
