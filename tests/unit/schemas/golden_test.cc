// Stored bytes keep their meaning: every field of every message is compared with committed bytes,
// and every number, type and name with a committed list. Adding lines is the only change allowed:
// with ALERTSTREAM_REGENERATE=1 in the environment this test adds the missing ones to the files in
// tests/unit/schemas/golden, and still fails for a line that differs.
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "processor/base/crypto.h"
#include "schemas/common.pb.h"
#include "schemas/decision.pb.h"
#include "schemas/envelope.pb.h"
#include "schemas/journal.pb.h"
#include "schemas/output.pb.h"
#include "schemas/state.pb.h"

namespace alertstream::schemas {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using Lines = std::map<std::string, std::string>;  // Name to what must stay as it is.

struct ProtoFile {
  std::string name;
  const FileDescriptor* file;
};

std::vector<ProtoFile> ProtoFiles() {
  return {{"common", v1::Personal::descriptor()->file()},
          {"envelope", v1::Envelope::descriptor()->file()},
          {"decision", v1::Decision::descriptor()->file()},
          {"journal", v1::JournalRecord::descriptor()->file()},
          {"output", v1::Fact::descriptor()->file()},
          {"state", v1::TenantState::descriptor()->file()}};
}

void AddNested(const Descriptor* message, std::vector<const Descriptor*>* all) {
  all->push_back(message);
  for (int i = 0; i < message->nested_type_count(); ++i) {
    AddNested(message->nested_type(i), all);
  }
}

std::vector<const Descriptor*> MessagesOf(const FileDescriptor* file) {
  std::vector<const Descriptor*> all;
  for (int i = 0; i < file->message_type_count(); ++i) {
    AddNested(file->message_type(i), &all);
  }
  return all;
}

// Without the package.
std::string ShortName(const std::string& full_name) {
  constexpr std::string_view kPackage = "alertstream.v1.";
  return full_name.starts_with(kPackage) ? full_name.substr(kPackage.size()) : full_name;
}

const FieldDescriptor* FirstField(const Descriptor* message) {
  const FieldDescriptor* first = nullptr;
  for (int i = 0; i < message->field_count(); ++i) {
    if (first == nullptr || message->field(i)->number() < first->number()) {
      first = message->field(i);
    }
  }
  return first;
}

void SetExample(const FieldDescriptor* field, int index, Message* message);

// Sets one field: repeated ones to two elements, messages to an example with their first field
// only, so that a field added later changes no bytes here.
void SetField(const FieldDescriptor* field, Message* message) {
  const int count = field->is_repeated() ? 2 : 1;
  for (int i = 0; i < count; ++i) {
    SetExample(field, i, message);
  }
}

template <typename Value>
void Put(Value value, const FieldDescriptor* field, Message* message,
         void (google::protobuf::Reflection::*set)(Message*, const FieldDescriptor*, Value) const,
         void (google::protobuf::Reflection::*add)(Message*, const FieldDescriptor*, Value) const) {
  (message->GetReflection()->*(field->is_repeated() ? add : set))(message, field, std::move(value));
}

void SetExample(const FieldDescriptor* field, int index, Message* message) {
  using Reflection = google::protobuf::Reflection;
  const int number = 1000 * (index + 1) + field->number();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return Put<std::int32_t>(-number, field, message, &Reflection::SetInt32,
                               &Reflection::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return Put<std::int64_t>(-1'000'000'000'000LL - number, field, message, &Reflection::SetInt64,
                               &Reflection::AddInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return Put<std::uint32_t>(4'000'000'000U + static_cast<std::uint32_t>(number), field, message,
                                &Reflection::SetUInt32, &Reflection::AddUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return Put<std::uint64_t>(10'000'000'000'000'000'000U + static_cast<std::uint64_t>(number),
                                field, message, &Reflection::SetUInt64, &Reflection::AddUInt64);
    case FieldDescriptor::CPPTYPE_BOOL:
      return Put<bool>(true, field, message, &Reflection::SetBool, &Reflection::AddBool);
    case FieldDescriptor::CPPTYPE_ENUM:
      // Names and numbers of all values are among the descriptors.
      return Put<int>(1, field, message, &Reflection::SetEnumValue, &Reflection::AddEnumValue);
    case FieldDescriptor::CPPTYPE_STRING:
      return Put<std::string>(field->name() + "-" + std::to_string(index), field, message,
                              &Reflection::SetString, &Reflection::AddString);
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message* child = field->is_repeated()
                           ? message->GetReflection()->AddMessage(message, field)
                           : message->GetReflection()->MutableMessage(message, field);
      if (const FieldDescriptor* first = FirstField(child->GetDescriptor())) {
        SetField(first, child);
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      break;
  }
  ADD_FAILURE() << field->full_name() << " is floating point";
}

std::unique_ptr<Message> NewMessage(const Descriptor* descriptor) {
  return std::unique_ptr<Message>(
      MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
}

// "Envelope.trust" to the hexadecimal bytes of an Envelope in which only that field is set.
Lines BytesOf(const FileDescriptor* file) {
  Lines lines;
  for (const Descriptor* descriptor : MessagesOf(file)) {
    for (int i = 0; i < descriptor->field_count(); ++i) {
      auto message = NewMessage(descriptor);
      SetField(descriptor->field(i), message.get());
      lines[ShortName(descriptor->field(i)->full_name())] = ToHex(message->SerializeAsString());
    }
  }
  return lines;
}

std::string DescriptionOf(const FieldDescriptor* field) {
  std::string text = std::to_string(field->number());
  text += field->is_repeated() ? " repeated " : " ";
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    text += ShortName(field->message_type()->full_name());
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    text += ShortName(field->enum_type()->full_name());
  } else {
    text += field->type_name();
  }
  if (field->is_packed()) {
    text += " packed";
  }
  if (const auto* oneof = field->real_containing_oneof()) {
    text += " oneof " + oneof->name();
  }
  return text;
}

void DescribeEnum(const EnumDescriptor* descriptor, Lines* lines) {
  for (int i = 0; i < descriptor->value_count(); ++i) {
    const auto* value = descriptor->value(i);
    (*lines)["enum " + ShortName(descriptor->full_name()) + "." + value->name()] =
        std::to_string(value->number());
  }
}

// "message Envelope.trust" to "10 Trust", "enum Trust.TRUST_SECRET" to "1".
Lines DescriptorLines() {
  Lines lines;
  for (const auto& proto : ProtoFiles()) {
    for (int i = 0; i < proto.file->enum_type_count(); ++i) {
      DescribeEnum(proto.file->enum_type(i), &lines);
    }
    for (const Descriptor* descriptor : MessagesOf(proto.file)) {
      for (int i = 0; i < descriptor->enum_type_count(); ++i) {
        DescribeEnum(descriptor->enum_type(i), &lines);
      }
      for (int i = 0; i < descriptor->field_count(); ++i) {
        lines["message " + ShortName(descriptor->field(i)->full_name())] =
            DescriptionOf(descriptor->field(i));
      }
    }
  }
  return lines;
}

std::string GoldenPath(const std::string& name) {
  return std::string(ALERTSTREAM_SOURCE_DIR "/tests/unit/schemas/golden/") + name;
}

// Lines "name = value".
Lines ReadGolden(const std::string& path) {
  Lines lines;
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line)) {
    const auto separator = line.find(" = ");
    EXPECT_NE(separator, std::string::npos) << path << ": " << line;
    if (separator != std::string::npos) {
      lines[line.substr(0, separator)] = line.substr(separator + 3);
    }
  }
  return lines;
}

bool Regenerates() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread is started.
  const char* value = std::getenv("ALERTSTREAM_REGENERATE");
  return value != nullptr && std::string_view(value) == "1";
}

void ExpectOnlyAdditions(const Lines& golden, const Lines& now, const std::string& path) {
  for (const auto& [name, value] : golden) {
    const auto found = now.find(name);
    if (found == now.end()) {
      ADD_FAILURE() << path << ": " << name << " is gone; what is stored under it stays for ever";
    } else {
      EXPECT_EQ(found->second, value) << path << ": " << name << " changed its meaning";
    }
  }
}

void CompareWithGolden(const std::string& name, const Lines& now) {
  const std::string path = GoldenPath(name);
  Lines golden = ReadGolden(path);
  ExpectOnlyAdditions(golden, now, path);
  if (Regenerates()) {
    golden.insert(now.begin(), now.end());
    std::ofstream out(path, std::ios::trunc);
    for (const auto& [line, value] : golden) {
      out << line << " = " << value << "\n";
    }
    return;
  }
  for (const auto& [line, value] : now) {
    EXPECT_TRUE(golden.contains(line))
        << path << ": no line for " << line << "; run this test with ALERTSTREAM_REGENERATE=1";
  }
}

TEST(GoldenTest, NumbersTypesAndNamesStay) {
  CompareWithGolden("descriptors.txt", DescriptorLines());
}

TEST(GoldenTest, BytesOfEveryFieldStay) {
  for (const auto& proto : ProtoFiles()) {
    CompareWithGolden(proto.name + ".hex", BytesOf(proto.file));
  }
}

TEST(GoldenTest, CommittedBytesReadBackAsTheirField) {
  for (const auto& proto : ProtoFiles()) {
    const Lines golden = ReadGolden(GoldenPath(proto.name + ".hex"));
    for (const Descriptor* descriptor : MessagesOf(proto.file)) {
      for (int i = 0; i < descriptor->field_count(); ++i) {
        const auto line = golden.find(ShortName(descriptor->field(i)->full_name()));
        ASSERT_NE(line, golden.end()) << descriptor->field(i)->full_name();
        auto expected = NewMessage(descriptor);
        SetField(descriptor->field(i), expected.get());
        auto read = NewMessage(descriptor);
        ASSERT_TRUE(read->ParseFromString(FromHex(line->second))) << line->first;
        EXPECT_EQ(read->DebugString(), expected->DebugString()) << line->first;
      }
    }
  }
}

TEST(GoldenTest, ChangedAndRemovedLinesAreNoticed) {
  const Lines golden = {{"a", "1"}, {"b", "2"}};
  EXPECT_NONFATAL_FAILURE(ExpectOnlyAdditions(golden, {{"a", "1"}}, "file"), "b is gone");
  EXPECT_NONFATAL_FAILURE(ExpectOnlyAdditions(golden, {{"a", "1"}, {"b", "3"}}, "file"),
                          "b changed its meaning");
  ExpectOnlyAdditions(golden, {{"a", "1"}, {"b", "2"}, {"c", "3"}}, "file");
}

TEST(GoldenTest, NoMessageHoldsAMapOrFloatingPoint) {
  int fields = 0;
  for (const auto& proto : ProtoFiles()) {
    for (const Descriptor* descriptor : MessagesOf(proto.file)) {
      EXPECT_EQ(descriptor->extension_range_count(), 0) << descriptor->full_name();
      for (int i = 0; i < descriptor->field_count(); ++i) {
        const FieldDescriptor* field = descriptor->field(i);
        EXPECT_FALSE(field->is_map()) << field->full_name();
        EXPECT_NE(field->cpp_type(), FieldDescriptor::CPPTYPE_FLOAT) << field->full_name();
        EXPECT_NE(field->cpp_type(), FieldDescriptor::CPPTYPE_DOUBLE) << field->full_name();
        ++fields;
      }
    }
  }
  EXPECT_GT(fields, 200);
}

TEST(GoldenTest, EveryEnumBeginsWithUnspecified) {
  for (const auto& proto : ProtoFiles()) {
    for (int i = 0; i < proto.file->enum_type_count(); ++i) {
      const auto* zero = proto.file->enum_type(i)->FindValueByNumber(0);
      ASSERT_NE(zero, nullptr);
      EXPECT_TRUE(zero->name().ends_with("_UNSPECIFIED")) << zero->full_name();
    }
  }
}

}  // namespace
}  // namespace alertstream::schemas
