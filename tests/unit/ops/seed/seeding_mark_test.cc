#include "ops/seed/seeding_mark.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/local_log_fixture.h"

namespace alertstream::seed {
namespace {

TEST(SeedingMarkTest, AnInterruptedSeedingIsNoticedUntilItIsFinished) {
  const log::TemporaryDirectory scratch;
  const std::string directory = scratch.path() + "/new/data";
  EXPECT_TRUE(CheckNotSeeding(directory).ok()) << "a directory that is not there";
  ASSERT_TRUE(BeginSeeding(directory).ok());
  const Status interrupted = CheckNotSeeding(directory);
  ASSERT_FALSE(interrupted.ok());
  EXPECT_EQ(interrupted.error().code(), ErrorCode::kConflict);
  EXPECT_NE(interrupted.error().message().find("not whole"), std::string::npos);
  EXPECT_EQ(BeginSeeding(directory).error().code(), ErrorCode::kConflict);
  std::filesystem::create_directory(directory + "/log");
  std::ofstream(directory + "/log/file") << "bytes";
  ASSERT_TRUE(FinishSeeding(directory).ok());
  EXPECT_TRUE(CheckNotSeeding(directory).ok());
}

TEST(SeedingMarkTest, WhatWasAbandonedMayBeginAgain) {
  const log::TemporaryDirectory scratch;
  ASSERT_TRUE(BeginSeeding(scratch.path()).ok());
  ASSERT_TRUE(AbandonSeeding(scratch.path()).ok());
  EXPECT_TRUE(BeginSeeding(scratch.path()).ok());
}

TEST(SeedingMarkTest, ADirectoryThatCannotBeMadeIsAnError) {
  const log::TemporaryDirectory scratch;
  std::ofstream(scratch.path() + "/file") << "no directory";
  const Status begun = BeginSeeding(scratch.path() + "/file/data");
  ASSERT_FALSE(begun.ok());
  EXPECT_EQ(begun.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(begun.error().message().find("cannot be made"), std::string::npos);
}

}  // namespace
}  // namespace alertstream::seed
