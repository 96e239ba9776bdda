#include "processor/base/metrics.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, EveryFamilyIsNamedByItsUnitAndItsType) {
  std::set<std::string_view> names;
  for (const MetricSpec& spec : MetricTable()) {
    SCOPED_TRACE(spec.name);
    EXPECT_TRUE(names.insert(spec.name).second);
    EXPECT_TRUE(spec.name.starts_with("alertstream_"));
    EXPECT_EQ(spec.name.ends_with("_total"), spec.type == MetricType::kCounter);
    EXPECT_EQ(spec.buckets.empty(), spec.type != MetricType::kHistogram);
    EXPECT_FALSE(spec.help.empty());
    if (spec.unit == "seconds" || spec.unit == "bytes") {
      EXPECT_THAT(std::string(spec.name), HasSubstr("_" + std::string(spec.unit)));
    }
  }
  EXPECT_EQ(names.size(), kMetricCount);
}

TEST(MetricsTest, NoLabelNamesATenantOrAPerson) {
  const std::set<std::string_view> allowed = {
      "topic",   "partition", "verdict", "outcome", "reason",   "channel", "kind",
      "stage",   "cause",     "error",   "version", "revision", "change",  "provider",
      "account", "class",     "result",  "trust",   "state"};
  for (const MetricSpec& spec : MetricTable()) {
    for (const std::string_view label : spec.labels) {
      EXPECT_TRUE(label.empty() || allowed.contains(label)) << spec.name << " " << label;
    }
  }
}

TEST(MetricsTest, RendersHelpTypeLabelsAndValues) {
  Metrics metrics;
  metrics.CounterOf(MetricId::kDecisions, {"SUPPRESS", "cooldown"}).Add(3);
  metrics.GaugeOf(MetricId::kJournalSeq, {"7"}).Set(41);
  metrics.HistogramOf(MetricId::kCommitSeconds).Observe(0.003);
  const std::string text = metrics.RenderText();
  EXPECT_THAT(text, HasSubstr("# HELP alertstream_decisions_total Decisions by outcome and reason\n"
                              "# TYPE alertstream_decisions_total counter\n"));
  EXPECT_THAT(text,
              HasSubstr(R"(alertstream_decisions_total{outcome="SUPPRESS",reason="cooldown"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(alertstream_journal_seq{partition="7"} 41)"));
  EXPECT_THAT(text, HasSubstr(R"(alertstream_commit_seconds_bucket{le="0.002"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(alertstream_commit_seconds_bucket{le="0.004"} 1)"));
  EXPECT_THAT(text, HasSubstr("alertstream_commit_seconds_count 1"));
}

TEST(MetricsTest, TheSameLabelsGiveTheSameSeries) {
  Metrics metrics;
  Counter& first = metrics.CounterOf(MetricId::kRecordsRead, {"site-events"});
  Counter& other = metrics.CounterOf(MetricId::kRecordsRead, {"opt-outs"});
  Counter& again = metrics.CounterOf(MetricId::kRecordsRead, {"site-events"});
  EXPECT_EQ(&first, &again);
  EXPECT_NE(&first, &other);
  again.Add(2);
  EXPECT_EQ(first.value(), 2);
  EXPECT_EQ(other.value(), 0);
}

TEST(MetricsTest, HistogramsCountAndSum) {
  Metrics metrics;
  Histogram& records = metrics.HistogramOf(MetricId::kBatchRecords);
  records.Observe(3);
  records.Observe(20'000);  // Above the last bucket.
  EXPECT_EQ(records.count(), 2U);
  EXPECT_EQ(records.sum(), 20'003);
}

TEST(MetricsTest, ThreadsLoseNothing) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics] {
      Counter& batches = metrics.CounterOf(MetricId::kBatches, {"BATCH"});
      for (int n = 0; n < 1000; ++n) {
        batches.Add();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(metrics.CounterOf(MetricId::kBatches, {"BATCH"}).value(), 4000);
}

TEST(MetricsDeathTest, AMissingLabelOrAWrongTypeStopsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Metrics metrics;
  EXPECT_DEATH(metrics.CounterOf(MetricId::kDecisions, {"SEND"}), "check failed");
  EXPECT_DEATH(metrics.GaugeOf(MetricId::kBatches, {"BATCH"}), "check failed");
}

}  // namespace
}  // namespace alertstream
