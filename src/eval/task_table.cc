#include <algorithm>

#include "eval/scoring.h"
#include "eval/task_list.h"
#include "methods/spec.h"

namespace kvasir::eval {

std::span<const std::unique_ptr<Task>> AllTasks() {
  static const TaskList tasks = [] {
    TaskList list;
    AddNeedleTasks(list);
    AddRulerTasks(list);
    AddQaTasks(list);
    AddBoardTasks(list);
    AddSyntheticTasks(list);
    AddTextTasks(list);
    AddLongBenchTasks(list);
    AddSuiteTasks(list);
    AddScBenchTasks(list);
    AddBfclTasks(list);
    return list;
  }();
  return tasks;
}

Result<std::vector<const Task*>> FindTasks(std::string_view names) {
  std::vector<const Task*> found;
  while (!names.empty()) {
    const size_t comma = names.find(',');
    const std::string_view name = TrimBlanks(names.substr(0, comma));
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
    if (name.empty()) continue;
    bool any = false;
    std::vector<std::string_view> known;
    for (const std::unique_ptr<Task>& task : AllTasks()) {
      known.push_back(task->facts().name);
      known.push_back(task->facts().family);
      if (task->facts().name != name && task->facts().family != name) continue;
      any = true;
      if (std::find(found.begin(), found.end(), task.get()) == found.end()) {
        found.push_back(task.get());
      }
    }
    if (any) continue;
    const auto nearest = Nearest(name, known);
    return Fail("there is no task '{}'{}; `kvasir eval --list` shows them", name,
                nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "");
  }
  if (found.empty()) return Fail("no task: `kvasir eval --list` shows them");
  return found;
}

}  // namespace kvasir::eval
