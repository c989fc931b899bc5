// Kvasir's public interface: load a model, open a session with a spec, feed tokens, sample, read
// the cache's account, save and restore. `kvasir run` and `kvasir chat` use nothing else.
//
//   auto model = kvasir::Model::Load({.path = "model.gguf"});
//   auto session = kvasir::Session::Open(*model, {.kv = "snapkv:budget=1024"});
//   (*session)->Feed((*model)->Tokenize("Once upon a time"));
//   kvasir::Generation answer = *kvasir::Generate(**session, {.n_tokens = 64});
//
// Every call that the outside world can make fail returns Result<T> (kvasir/result.h). A Model may
// be shared by sessions; a Session is used by one thread at a time, and so are all sessions of one
// Model together (they share its thread pool).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir {

struct MethodInfo;  // kvasir/method.h

struct ModelOptions {
  std::string path =
      {};  // GGUF file or Hugging Face folder; empty: $KVASIR_MODEL, then the default one
  std::string cpu = {};  // force a path: "avx2", "avx512", …; empty: the best of this CPU
  int threads = 0;       // 0: physical cores
};

// Facts about a loaded model.
struct ModelFacts {
  std::string path, name, architecture, fingerprint, cpu;
  int n_layers = 0, n_q_heads = 0, n_kv_heads = 0, head_dim = 0, hidden = 0, n_vocab = 0;
  int64_t n_ctx_train = 0;
  int64_t n_params = 0;
  int64_t weight_bytes = 0;  // as repacked in memory: what one decode step reads
  int threads = 0;
  bool f32_weights = false;
};

struct Message {
  std::string role, content;
};

class Model {
 public:
  static Result<std::shared_ptr<Model>> Load(const ModelOptions& options);
  virtual ~Model() = default;

  virtual const ModelFacts& facts() const = 0;
  // Special tokens in the text become special tokens; BOS is added where the model wants one.
  virtual std::vector<int32_t> Tokenize(std::string_view text, bool add_bos = true) const = 0;
  virtual std::string Detokenize(std::span<const int32_t> ids) const = 0;
  virtual bool IsEndOfGeneration(int32_t id) const = 0;
  // Renders a conversation with the model's own chat template (ChatML where it has none).
  virtual Result<std::string> RenderChat(std::span<const Message> messages,
                                         bool add_generation_prompt = true) const = 0;
};

// The tokens of a conversation as the model's template writes it. BOS is not doubled where the
// template wrote it already.
std::vector<int32_t> TokenizeRendered(const Model& model, const std::string& text);

// The cache's account, counted by its allocator. Summed over layers and KV heads.
struct KvReport {
  std::string spec;
  std::string reads_as;  // the spec without names that stand for others, such as `auto`
  int64_t entries = 0, entries_full = 0;  // `full` would hold all tokens in every head
  int64_t bytes = 0;
  int64_t bytes_peak = 0;  // of the planes, the most at a time since the session was opened
  int64_t bytes_full = 0;
  std::map<std::string, int64_t> by_codec, by_tier;
  double read_entries_per_step = 0;  // entries that the last decode step read, all heads
};

// Called as a prompt is read; false stops the work: the call then returns an error, and the session
// holds what it held before.
using ProgressFn = std::function<bool(int64_t done, int64_t total)>;

struct SessionOptions {
  std::string kv = "full";  // see `kvasir methods`
  // f32, f16, bf16, i16, q8 or q4; empty: f16, or f32 where the weights are F32.
  std::string kv_type = {};
  int64_t ctx = 0;  // most tokens in the session; 0: what the model was trained for
  // Tokens that the text will have in the end, where that is known; 0: as many as ctx. Models with
  // longrope (Phi-3) rotate texts within their original context otherwise than longer ones: a
  // session does so as this number says, from its first token to its last.
  int64_t length = 0;
  int64_t kv_memory = 0;     // hard limit of the cache in bytes; 0: none
  int chunk = 512;           // prompt tokens a pass
  bool chunk_major = false;  // a chunk through all layers, then the next (what a server mixes with
                             // decode); else all chunks through a layer, then the next layer
  std::vector<const MethodInfo*> methods = {};  // methods of your own, beside the built-in ones
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> Open(std::shared_ptr<Model> model,
                                               const SessionOptions& options);
  virtual ~Session() = default;

  virtual const Model& model() const = 0;
  // Reads prompt tokens: the first prompt, or what follows in a further turn. The methods then act
  // as at the end of a prompt. logits() are those after the last token.
  virtual Status Feed(std::span<const int32_t> tokens, const ProgressFn& progress = {}) = 0;
  // Reads one token as generated: the methods act as while generating.
  virtual Status Step(int32_t token) = 0;
  virtual std::span<const float> logits() const = 0;  // [n_vocab]; empty before the first token

  virtual const std::vector<int32_t>& tokens() const = 0;  // all that was read
  virtual int64_t ctx() const = 0;
  // Forgets the tokens from number n on. An error, and nothing changed, where a method has already
  // dropped what the remaining tokens would need, or has added up what the forgotten ones looked
  // at. What a codec has stored in few bits stays so.
  virtual Status Truncate(int64_t n) = 0;
  virtual void Reset() = 0;
  // A second session with the same tokens and cache; pages are shared until one of them writes.
  virtual Result<std::unique_ptr<Session>> Fork() const = 0;
  virtual KvReport kv() const = 0;

  // The whole state: tokens, cache, logits, methods' state. Load checks that the file belongs to
  // this model and spec. A failed save leaves no file and no change to an older one.
  virtual Status Save(const std::string& path) const = 0;
  virtual Status Load(const std::string& path) = 0;
};

struct SamplingOptions {
  float temperature = 0;  // 0: the most likely token
  int top_k = 0;          // 0: off
  float top_p = 1, min_p = 0;
  float repeat_penalty = 1;                                // on the last 64 tokens
  float presence_penalty = 0, frequency_penalty = 0;       // on tokens of the answer, as OpenAI's
  std::vector<std::pair<int32_t, float>> logit_bias = {};  // token id, what is added to its logit
  uint64_t seed = 0;
};

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);
  // The last n_generated tokens of the history are the answer so far.
  int32_t Sample(std::span<const float> logits, std::span<const int32_t> history,
                 size_t n_generated = 0);

 private:
  SamplingOptions options_;
  uint64_t state_[2];
  std::vector<std::pair<float, int32_t>> candidates_;
};

// What an answer must be. Of one answer: it follows the tokens that were chosen.
class Constraint {
 public:
  // A text of the grammar, in GBNF; JSON that the schema accepts. docs/structured-output.md has
  // both.
  static Result<std::unique_ptr<Constraint>> FromGrammar(const Model& model, std::string_view gbnf);
  static Result<std::unique_ptr<Constraint>> FromJsonSchema(const Model& model,
                                                            std::string_view schema);
  virtual ~Constraint() = default;

  // The logits of tokens that cannot come next become -inf. An error where none can.
  virtual Status Mask(std::span<float> logits) = 0;
  virtual Status Accept(int32_t token) = 0;  // it was chosen
  virtual bool finished() const = 0;         // nothing but the end can follow
};

struct GenerateOptions {
  int64_t n_tokens = 256;
  std::vector<std::string> stop = {};  // texts that end the answer; not part of it
  bool ignore_eos = false;
  SamplingOptions sampling = {};
  Constraint* constraint = nullptr;  // its end ends the answer as "eos", with ignore_eos too
  // Called with whole UTF-8 characters as they are made; false stops (reason "interrupted").
  std::function<bool(std::string_view text)> on_text = {};
};

struct Generation {
  std::string text;
  std::vector<int32_t> ids;
  std::string stop_reason;    // "eos", "length", "stop", "interrupted", "error"
  std::string error;          // what ended the answer, with "error": as a rule no room in the cache
  bool context_full = false;  // "length" because the context is full, not n_tokens reached
  double first_token_ms = 0;  // from the call to the first token
  double decode_tok_s = 0;    // of the tokens after the first
};

// Continues the session. REQUIRES: something was fed. What was generated before an error is kept.
Result<Generation> Generate(Session& session, const GenerateOptions& options);

// Where the default model is kept: $XDG_CACHE_HOME/kvasir/models/… or ~/.cache/….
std::string DefaultModelPath();

}  // namespace kvasir
