// LoadedModel: everything of a model that its sessions share.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "engine/forward.h"
#include "kvasir/kvasir.h"
#include "methods/method.h"
#include "model/chat_template.h"
#include "model/tokenizer/tokenizer.h"

namespace kvasir {
namespace grammar {
class TokenTrie;
}

class LoadedModel final : public Model {
 public:
  static Result<std::shared_ptr<LoadedModel>> Load(const ModelOptions& options);

  const ModelFacts& facts() const override { return facts_; }
  std::vector<int32_t> Tokenize(std::string_view text, bool add_bos) const override;
  std::string Detokenize(std::span<const int32_t> ids) const override;
  bool IsEndOfGeneration(int32_t id) const override { return tokenizer_.IsEog(id); }
  Result<std::string> RenderChat(std::span<const Message> messages,
                                 bool add_generation_prompt) const override;

  // Messages, tools (or null) and more variables (or null) as templates see them.
  Result<std::string> RenderTemplate(const nlohmann::ordered_json& messages,
                                     const nlohmann::ordered_json& tools,
                                     bool add_generation_prompt,
                                     const nlohmann::ordered_json& extra) const;
  const std::string& template_source() const { return template_source_; }

  const ModelConfig& config() const { return config_; }
  const ModelInfo& info() const { return info_; }
  const Weights& weights() const { return weights_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  Isa isa() const { return forward_->isa(); }
  // The pass for texts of at most n_tokens; without a number, of the model's context.
  Forward& forward(int64_t n_tokens) { return IsShort(n_tokens) ? *short_forward_ : *forward_; }
  Forward& forward() { return forward(config_.n_ctx_train); }
  // Whether such texts are rotated otherwise than longer ones.
  bool IsShort(int64_t n_tokens) const { return n_tokens <= config_.short_ctx; }
  // The vocabulary as constraints need it; made at the first call. Any thread may call.
  std::shared_ptr<const grammar::TokenTrie> token_trie() const;

 private:
  LoadedModel(ModelConfig config, Tokenizer tokenizer, ChatTemplate chat_template, int n_threads);

  ModelConfig config_;
  std::vector<int> full_layers_;
  ModelInfo info_;
  ModelFacts facts_;
  ThreadPool pool_;
  Weights weights_;
  Tokenizer tokenizer_;
  ChatTemplate chat_template_;
  std::string template_source_;
  TemplateTokens template_tokens_;
  std::unique_ptr<Forward> forward_, short_forward_;  // the second only where there are short texts
  mutable std::once_flag trie_made_;
  mutable std::shared_ptr<const grammar::TokenTrie> trie_;
};

// The path to load: `path`, or $KVASIR_MODEL, or the default model where it is installed.
Result<std::string> FindModel(const std::string& path);

}  // namespace kvasir
