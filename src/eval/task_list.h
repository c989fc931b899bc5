// The files of tasks, each of which adds its own to the table.
#pragma once

#include <memory>
#include <vector>

#include "eval/task.h"

namespace kvasir::eval {

using TaskList = std::vector<std::unique_ptr<Task>>;

void AddNeedleTasks(TaskList& tasks);  // tasks_needles.cc
void AddBoardTasks(TaskList& tasks);
void AddRulerTasks(TaskList& tasks);      // tasks_ruler.cc
void AddQaTasks(TaskList& tasks);         // tasks_qa.cc
void AddSyntheticTasks(TaskList& tasks);  // tasks_synthetic.cc
void AddTextTasks(TaskList& tasks);       // tasks_text.cc
void AddLongBenchTasks(TaskList& tasks);  // tasks_longbench.cc
void AddSuiteTasks(TaskList& tasks);      // tasks_suites.cc
void AddScBenchTasks(TaskList& tasks);    // tasks_scbench.cc
void AddBfclTasks(TaskList& tasks);       // tasks_bfcl.cc

}  // namespace kvasir::eval
