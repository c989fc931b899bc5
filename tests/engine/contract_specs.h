// Side files that the tiny model's specs need.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/find_heads.h"
#include "engine/side_file_io.h"

namespace kvasir::testing_ {

// The path of a file with the retrieval heads of a small model.
inline std::string RazorFile(LoadedModel& model) {
  auto found = FindHeads(model, {.block = 40, .repeats = 4, .n_seeds = 1});
  EXPECT_TRUE(found) << found.error().message;
  SideFile& file = found->file;
  file.path = testing::TempDir() + "/kvasir_razor_heads_" + file.model + ".safetensors";
  EXPECT_TRUE(WriteSideFile(file));
  return file.path;
}

}  // namespace kvasir::testing_
