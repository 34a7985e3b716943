// SPDX-License-Identifier: Apache-2.0
#include "model/jobs.hpp"

#include "base/ids.hpp"
#include "model/cron.hpp"

namespace tow {

void check_jobs(const std::map<std::string, JobDefinition>& jobs, Position at, Reading& reading) {
  constexpr std::size_t kLongest = 40;
  auto outer = reading.into("jobs");
  for (const auto& [name, job] : jobs) {
    auto step = reading.into(name);
    const auto wrong = [&](std::string_view key, Position place, const std::string& message) {
      auto inner = reading.into(key);
      reading.fault_at(place, message);
    };
    // Every one has a schedule, and what has no place of its own stands beside it.
    const auto here = job.schedule.at.line > 0 ? job.schedule.at : at;
    if (!is_name(name) || name.size() > kLongest)
      reading.fault_at(here,
                       fmt::format("\"{}\" must be {}, and at most {} long", name, kNameRule, kLongest));
    if (auto fault = cron::zone_fault(*job.time_zone); !fault.empty()) {
      wrong("timeZone", job.time_zone.at.line > 0 ? job.time_zone.at : here, fault);
    } else if (!job.schedule->empty()) {  // that it is missing was said
      try {
        cron::Schedule::parse(*job.schedule, *job.time_zone);
      } catch (const Error& error) {
        wrong("schedule", here, error.message());
      }
    }
    if (!job.command.empty() && job.command.front().empty())
      wrong("command", here, "must name a program: [python, report.py]");
    if (job.deadline < std::chrono::seconds{1})
      wrong("deadline", here, fmt::format("must be at least 1s, not {}", to_string(job.deadline)));
    if (job.starting_deadline < std::chrono::seconds{1} || job.starting_deadline > std::chrono::hours{24 * 7})
      wrong("startingDeadline", here,
            fmt::format("must be between 1s and 7 days, not {}", to_string(job.starting_deadline)));
  }
}

}  // namespace tow
