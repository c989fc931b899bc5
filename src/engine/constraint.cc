#include "engine/constraint.h"

#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/token_mask.h"

namespace kvasir {
namespace {

using GrammarResult = Result<std::shared_ptr<const grammar::Grammar>>;

class GrammarConstraint final : public TokenConstraint {
 public:
  GrammarConstraint(std::shared_ptr<const grammar::Grammar> grammar,
                    std::shared_ptr<const grammar::TokenTrie> trie)
      : masker_(std::move(grammar), std::move(trie)) {}

  Status Mask(std::span<float> logits) override {
    KV_ASSIGN_OR_RETURN(const grammar::TokenMask* allowed, masker_.Allowed());
    allowed->Apply(logits);
    return {};
  }
  Status Accept(int32_t token) override { return masker_.Accept(token); }
  bool finished() const override { return masker_.finished(); }
  std::unique_ptr<TokenConstraint> Copy() const override {
    return std::make_unique<GrammarConstraint>(*this);
  }

 private:
  grammar::TokenMasker masker_;
};

Result<std::unique_ptr<Constraint>> Make(const Model& model, const GrammarResult& grammar) {
  if (!grammar) return tl::unexpected<Error>(grammar.error());
  const auto* loaded = dynamic_cast<const LoadedModel*>(&model);
  if (loaded == nullptr) return Fail("a constraint needs a model that Model::Load has made");
  return std::unique_ptr<Constraint>(MakeConstraint(*loaded, *grammar));
}

}  // namespace

std::unique_ptr<TokenConstraint> MakeConstraint(const LoadedModel& model,
                                                std::shared_ptr<const grammar::Grammar> grammar) {
  return std::make_unique<GrammarConstraint>(std::move(grammar), model.token_trie());
}

Result<std::unique_ptr<Constraint>> Constraint::FromGrammar(const Model& model,
                                                            std::string_view gbnf) {
  return Make(model, grammar::ParseGbnf(gbnf));
}

Result<std::unique_ptr<Constraint>> Constraint::FromJsonSchema(const Model& model,
                                                               std::string_view schema) {
  return Make(model, grammar::CompileJsonSchemaText(schema));
}

std::shared_ptr<const grammar::TokenTrie> LoadedModel::token_trie() const {
  std::call_once(trie_made_, [this] {
    std::vector<std::string> tokens;
    for (int32_t id = 0; id < tokenizer_.n_vocab(); ++id) {
      // Control tokens are no text. No token of an answer begins a text.
      tokens.push_back(
          tokenizer_.Decode(std::span(&id, 1), {.special = false, .text_start = false}));
    }
    trie_ = std::make_shared<grammar::TokenTrie>(tokens, tokenizer_.eog());
  });
  return trie_;
}

}  // namespace kvasir
