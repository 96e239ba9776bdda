#include "processor/engine/tables.h"

#include "processor/engine/keywords.h"
#include "processor/engine/phone.h"
#include "processor/engine/templates/sms_length.h"

namespace alertstream::engine {

const Digest& TablesHash() {
  static const Digest kHash = Sha256::Of(DumpTables());
  return kHash;
}

std::string DumpTables() {
  std::string dump;
  AppendPhoneTable(&dump);
  AppendKeywordTables(&dump);
  AppendGsm7Table(&dump);
  return dump;
}

}  // namespace alertstream::engine
