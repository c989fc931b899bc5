#include "model/tokenizer/end_of_generation.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace kvasir {
namespace {

constexpr std::string_view kEnds[] = {
    // End of a turn or a text.
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<｜end▁of▁sentence｜>", "[e~[",
    // A code model goes on to padding, the next repository or the next file.
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>",
    "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};

}  // namespace

std::vector<int32_t> FindEndOfGeneration(TokenizerData& data) {
  std::vector<int32_t> ends = data.more_eog;
  bool harmony = false;
  int32_t harmony_part_end = -1;
  for (size_t i = 0; i < data.pieces.size(); ++i) {
    const std::string_view piece = data.pieces[i];
    if (piece.empty() || (piece[0] != '<' && piece[0] != '[' && piece[0] != '_')) continue;
    if (std::ranges::find(kEnds, piece) == std::end(kEnds)) continue;
    const auto id = static_cast<int32_t>(i);
    ends.push_back(id);
    if (data.types[i] == TokenType::kNormal || data.types[i] == TokenType::kUserDefined) {
      data.types[i] = TokenType::kControl;
    }
    harmony |= piece == "<|return|>" || piece == "<|calls|>";
    if (piece == "<|end|>") harmony_part_end = id;
  }
  // In that format <|end|> ends a part (the thinking) of an answer, not the answer.
  if (harmony) std::erase(ends, harmony_part_end);
  for (const int32_t id : {data.eos, data.eot, data.eom}) {
    if (id >= 0) ends.push_back(id);
  }
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

}  // namespace kvasir
