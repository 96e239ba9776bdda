#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "projections/migrations/embedded.h"
#include "projections/migrations/migrations.h"

namespace alertstream::migrations {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kText = "-- schema: identity\nSELECT 1;\n";

TEST(MigrationFilesTest, TheProgramCarriesEveryFileAsItIs) {
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(ALERTSTREAM_SOURCE_DIR "/migrations")) {
    if (entry.path().extension() != ".sql") {
      continue;
    }
    ++files;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const auto& embedded = EmbeddedFiles();
    const auto found = std::find_if(embedded.begin(), embedded.end(), [&](const auto& file) {
      return file.name == entry.path().filename().string();
    });
    ASSERT_NE(found, embedded.end()) << entry.path();
    EXPECT_EQ(found->text, text.str()) << entry.path();
  }
  EXPECT_EQ(ProgramMigrations().size(), files);
  EXPECT_EQ(ProgramMigrations().front().number, 1);
}

TEST(MigrationFilesTest, AreReadInTheOrderOfTheirNumbers) {
  const std::array<MigrationFile, 2> files = {
      MigrationFile{"0010_later.sql", "-- schema: read_model\n"},
      MigrationFile{"0002_some_name.sql", kText}};
  const auto parsed = ParseMigrations(files);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(parsed.value()[0].number, 2);
  EXPECT_EQ(parsed.value()[0].name, "some_name");
  EXPECT_EQ(parsed.value()[0].schema, "identity");
  EXPECT_EQ(parsed.value()[0].text, kText);
  EXPECT_EQ(parsed.value()[0].sha256,
            "32f460026dc3499d798404e93f6dec40f30d0028884206cb259fe81b8f3927e0");
  EXPECT_EQ(parsed.value()[1].number, 10);
}

TEST(MigrationFilesTest, AWrongNameOrFirstLineIsNamed) {
  struct Case {
    MigrationFile file;
    const char* message;
  };
  for (const Case& c :
       {Case{{"1_x.sql", kText}, "1_x.sql: expected a name"},
        Case{{"0001x.sql", kText}, "expected a name"},
        Case{{"0001_.sql", kText}, "expected a name"},
        Case{{"0000_x.sql", kText}, "expected a name"},
        Case{{"0001_x.txt", kText}, "expected a name"},
        Case{{"0001_x.sql", "SELECT 1;"}, "0001_x.sql: expected `-- schema:"},
        Case{{"0001_x.sql", "-- schema: public\n"}, "expected `-- schema:"},
        Case{{"0001_x.sql", "-- schema: identity, read_model\n"}, "expected `-- schema:"}}) {
    const auto parsed = ParseMigrations(std::span(&c.file, 1));
    ASSERT_FALSE(parsed.ok()) << c.file.name;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(parsed.error().message(), HasSubstr(c.message));
  }
  const std::array<MigrationFile, 2> twice = {MigrationFile{"0001_a.sql", kText},
                                              MigrationFile{"0001_b.sql", kText}};
  EXPECT_THAT(ParseMigrations(twice).error().message(),
              HasSubstr("0001_a and 0001_b have one number"));
}

}  // namespace
}  // namespace alertstream::migrations
