// What the tests of evaluation share: a tiny model, folders that go away.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "eval/runner.h"
#include "tests/paths.h"

namespace kvasir::eval {

inline std::shared_ptr<LoadedModel> TinyModel() {
  auto model = LoadedModel::Load({.path = GoldenDir() + "/models/llama.gguf", .threads = 1});
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *model : nullptr;
}

class TempFolder {
 public:
  TempFolder() {
    std::string name = testing::TempDir() + "kvasir_eval_XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << name;
    path_ = name;
  }
  ~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

inline std::vector<const Outcome*> Pointers(const ResultFile& results) {
  std::vector<const Outcome*> pointers;
  for (const Outcome& outcome : results.outcomes()) pointers.push_back(&outcome);
  return pointers;
}

// All samples of all specs.
inline void RunAll(const std::shared_ptr<LoadedModel>& model, const RunOptions& options,
                   ResultFile& results) {
  const RunEvents events;
  Runner runner(model, options, events);
  const auto cells = runner.Plan();
  ASSERT_TRUE(cells) << cells.error().message;
  ASSERT_TRUE(runner.Run(*cells, results));
}

inline const Task* TheTask(const std::string& name) {
  const auto found = FindTasks(name);
  if (!found) ADD_FAILURE() << found.error().message;
  return found ? (*found)[0] : nullptr;
}

}  // namespace kvasir::eval
