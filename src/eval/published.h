// What tasks of published data share.
#pragma once

#include <cstdint>
#include <string>

#include "eval/records.h"
#include "eval/task.h"

namespace kvasir::eval {

// A task whose samples are the lines of a file of --data.
class PublishedTask : public Task {
 public:
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources&) const override { return facts_.stand_in; }
  Result<std::optional<int64_t>> Size(Workshop& workshop, int64_t length) const override;
  Result<Sample> Make(Workshop& workshop, const Request& request) const override;

 protected:
  PublishedTask(std::string name, std::string family, std::string metric, std::string file);
  // Everything of a sample but its context's length; checks the record's fields.
  virtual Result<Sample> FromRecord(const Record& record) const = 0;
  // The lines of the task's file, read once.
  Result<const std::vector<Record>*> RecordsOf(Workshop& workshop) const;
  // Extra text before the context, as worked examples from another file. Nothing as a rule.
  virtual Result<std::string> Before(Workshop&) const { return std::string(); }

  TaskFacts facts_;         // stand_in: of a score, where a benchmark's own wants what is not here
  const std::string file_;  // within --data

 private:
  Result<int64_t> TokensAround(Workshop& workshop, const Sample& sample) const;
};

// Cuts the middle out of context + question, by tokens: the first and the last floor(room / 2)
// stay. The question is kept whole.
void TruncateMiddle(const Model& model, int64_t room, Sample& sample);

}  // namespace kvasir::eval
