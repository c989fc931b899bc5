#include "engine/loaded_model.h"

#include <sys/stat.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "model/architecture.h"
#include "model/tokenizer/tokenizer_source.h"

namespace kvasir {
namespace {

Result<Isa> ChooseIsa(const std::string& cpu) { return cpu.empty() ? BestIsa() : ParseIsa(cpu); }

bool Exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

}  // namespace

Result<std::string> FindModel(const std::string& path) {
  if (!path.empty()) return path;
  if (const char* from_environment = std::getenv("KVASIR_MODEL")) {
    if (*from_environment != '\0') return std::string(from_environment);
  }
  std::string installed = DefaultModelPath();
  if (Exists(installed)) return installed;
  return Fail(
      "no model: give one with -m, set KVASIR_MODEL, or get the default one with "
      "`make model` ({} is not there)",
      installed);
}

Result<std::shared_ptr<Model>> Model::Load(const ModelOptions& options) {
  KV_ASSIGN_OR_RETURN(std::shared_ptr<LoadedModel> model, LoadedModel::Load(options));
  return std::shared_ptr<Model>(std::move(model));
}

Result<std::shared_ptr<LoadedModel>> LoadedModel::Load(const ModelOptions& options) {
  KV_ASSIGN_OR_RETURN(const Isa isa, ChooseIsa(options.cpu));
  KV_ASSIGN_OR_RETURN(const std::string path, FindModel(options.path));
  KV_ASSIGN_OR_RETURN(std::unique_ptr<ModelSource> source, OpenModel(path));
  KV_ASSIGN_OR_RETURN(ModelConfig config, ReadConfig(*source));
  KV_ASSIGN_OR_RETURN(Tokenizer tokenizer, TokenizerFromMetadata(source->metadata()));
  KV_ASSIGN_OR_RETURN(const std::string_view template_text,
                      source->metadata().String("tokenizer.chat_template", kChatMlTemplate));
  std::string template_source(template_text);
  KV_ASSIGN_OR_RETURN(ChatTemplate chat_template, ChatTemplate::Parse(template_source));
  if (options.threads < 0 || options.threads > 1024) {
    return Fail("--threads {}: not in 1..1024", options.threads);
  }
  const int n_threads = options.threads > 0 ? options.threads : PhysicalCores();
  std::shared_ptr<LoadedModel> model(new LoadedModel(std::move(config), std::move(tokenizer),
                                                     std::move(chat_template), n_threads));
  model->template_source_ = std::move(template_source);
  model->template_tokens_ = ReadTemplateTokens(source->metadata(), model->tokenizer_);
  if (model->tokenizer_.n_vocab() > model->config_.n_vocab) {
    return Fail("{}: the tokenizer has {} tokens, the embedding {} rows", path,
                model->tokenizer_.n_vocab(), model->config_.n_vocab);
  }
  KV_ASSIGN_OR_RETURN(model->weights_,
                      Weights::Load(std::move(source), model->config_, isa, model->pool_));
  const ModelConfig& c = model->config_;
  model->forward_ = std::make_unique<Forward>(c, c.ropes, model->weights_, isa, model->pool_);
  if (c.short_ctx > 0) {
    model->short_forward_ =
        std::make_unique<Forward>(c, c.short_ropes, model->weights_, isa, model->pool_);
  }
  model->facts_ = {.path = path,
                   .name = c.name,
                   .architecture = c.architecture,
                   .fingerprint = model->weights_.source().fingerprint(),
                   .cpu = std::string(IsaName(isa)),
                   .n_layers = c.n_layers,
                   .n_q_heads = c.n_q_heads,
                   .n_kv_heads = c.n_kv_heads,
                   .head_dim = c.file_head_dim,
                   .hidden = c.hidden,
                   .n_vocab = c.n_vocab,
                   .n_ctx_train = c.n_ctx_train,
                   .n_params = model->weights_.n_params(),
                   .weight_bytes = model->weights_.n_bytes(),
                   .threads = n_threads,
                   .f32_weights = model->weights_.is_f32()};
  return model;
}

LoadedModel::LoadedModel(ModelConfig config, Tokenizer tokenizer, ChatTemplate chat_template,
                         int n_threads)
    : config_(std::move(config)),
      info_{.n_layers = config_.n_layers,
            .n_q_heads = config_.n_q_heads,
            .n_kv_heads = config_.n_kv_heads,
            .head_dim = config_.head_dim,
            .hidden = config_.hidden},
      pool_(n_threads),
      tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)) {
  for (int l = 0; l < config_.n_layers; ++l) {
    if (config_.layers[l].window == 0) full_layers_.push_back(l);
  }
  info_.full_layers = full_layers_;
}

std::vector<int32_t> LoadedModel::Tokenize(std::string_view text, bool add_bos) const {
  return tokenizer_.Encode(text, {.add_special = add_bos});
}

std::string LoadedModel::Detokenize(std::span<const int32_t> ids) const {
  return tokenizer_.Decode(ids);
}

Result<std::string> LoadedModel::RenderChat(std::span<const Message> messages,
                                            bool add_generation_prompt) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Message& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return RenderTemplate(list, {}, add_generation_prompt, {});
}

Result<std::string> LoadedModel::RenderTemplate(const nlohmann::ordered_json& messages,
                                                const nlohmann::ordered_json& tools,
                                                bool add_generation_prompt,
                                                const nlohmann::ordered_json& extra) const {
  jinja::RenderResult text = chat_template_.Render({.messages = messages,
                                                    .tools = tools,
                                                    .add_generation_prompt = add_generation_prompt,
                                                    .tokens = template_tokens_,
                                                    .extra = extra,
                                                    .date = {}});
  if (!text) return Fail("chat template: {}", text.error().message);
  return std::move(*text);
}

std::vector<int32_t> TokenizeRendered(const Model& model, const std::string& text) {
  std::vector<int32_t> plain = model.Tokenize(text, false);
  std::vector<int32_t> with_bos = model.Tokenize(text, true);
  const bool doubled = with_bos.size() > plain.size() && !plain.empty() && plain[0] == with_bos[0];
  return doubled ? plain : with_bos;
}

}  // namespace kvasir
