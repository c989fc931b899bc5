// Random grammars with a recogniser of their own, and random sentences, for tests of the matcher.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir::grammar {

class RandomGrammar {
 public:
  explicit RandomGrammar(uint32_t seed) : random_(seed) {
    n_rules_ = 1 + Draw(4);
    for (int rule = 0; rule < n_rules_; ++rule) bodies_.push_back(MakeExpr(rule, 3));
  }

  // In GBNF. It may be left recursive or have no sentence: then the parser refuses it.
  std::string Text() const {
    std::string text;
    for (int rule = 0; rule < n_rules_; ++rule)
      text += RuleName(rule) + " ::= " + ExprText(*bodies_[rule]) + "\n";
    return text;
  }

  // Whether the whole text is a sentence: by the ends that each expression can have from each
  // place. REQUIRES: not left recursive.
  bool Matches(std::string_view text) {
    text_ = text;
    memo_.clear();
    return Ends(*bodies_[0], 0).contains(text.size());
  }

  // A sentence, or nothing where it would get too long.
  std::string Sentence(bool& ok) {
    std::string out;
    int budget = 60;
    Write(*bodies_[0], out, budget);
    ok = budget > 0;
    return out;
  }

  int Draw(int below) { return static_cast<int>(random_() % static_cast<uint32_t>(below)); }
  static constexpr std::string_view kLetters[] = {"a", "b", "é", "世"};
  std::string Letter() { return std::string(kLetters[Draw(4)]); }

 private:
  struct Expr {
    enum { kLiteral, kClass, kSequence, kChoice, kRepeat, kCall } kind;
    std::string text = {};              // literal
    std::set<std::string> class_ = {};  // letters; negated: all others of kLetters
    bool negated = false;
    std::vector<std::unique_ptr<Expr>> parts = {};
    int min = 0, max = 0;  // max -1: no limit
    int rule = 0;
  };
  using Ptr = std::unique_ptr<Expr>;

  static std::string RuleName(int rule) { return rule == 0 ? "root" : "r" + std::to_string(rule); }

  Ptr MakeExpr(int rule, int depth) {
    auto e = std::make_unique<Expr>();
    const int kind = depth == 0 ? Draw(2) : Draw(7);
    if (kind <= 1) {
      e->kind = kind == 0 ? Expr::kLiteral : Expr::kClass;
      for (int n = Draw(3); kind == 0 && n-- > 0;) e->text += Letter();
      if (kind == 1) {
        e->negated = Draw(2) == 0;
        for (int n = 1 + Draw(2); n-- > 0;) e->class_.insert(Letter());
      }
    } else if (kind == 2 || kind == 3) {
      e->kind = kind == 2 ? Expr::kSequence : Expr::kChoice;
      for (int n = 2 + Draw(2); n-- > 0;) e->parts.push_back(MakeExpr(rule, depth - 1));
    } else if (kind == 4) {
      static constexpr std::pair<int, int> kCounts[] = {{0, 1}, {0, -1}, {1, -1}, {2, 2},
                                                        {0, 3}, {2, 4},  {3, -1}, {1, 2}};
      e->kind = Expr::kRepeat;
      std::tie(e->min, e->max) = kCounts[Draw(8)];
      e->parts.push_back(MakeExpr(rule, depth - 1));
    } else {
      e->kind = Expr::kCall;
      e->rule = Draw(n_rules_);
    }
    return e;
  }

  static std::string ExprText(const Expr& e) {
    std::string text;
    switch (e.kind) {
      case Expr::kLiteral:
        return "\"" + e.text + "\"";
      case Expr::kClass:
        text = e.negated ? "[^" : "[";
        for (const std::string& letter : e.class_) text += letter;
        return text + "]";
      case Expr::kSequence:
      case Expr::kChoice:
        for (const Ptr& part : e.parts)
          text += (text.empty() ? "" : e.kind == Expr::kChoice ? " | " : " ") + ExprText(*part);
        return "(" + text + ")";
      case Expr::kRepeat:
        text = "(" + ExprText(*e.parts[0]) + "){" + std::to_string(e.min);
        if (e.max != e.min) text += "," + (e.max < 0 ? "" : std::to_string(e.max));
        return text + "}";
      case Expr::kCall:
        return RuleName(e.rule);
    }
    return text;
  }

  using Places = std::set<size_t>;

  Places Ends(const Expr& e, size_t from) {
    const auto key = std::pair(&e, from);
    if (const auto it = memo_.find(key); it != memo_.end()) return it->second;
    memo_[key] = {};  // a rule without an end may lead back here, and matches nothing
    return memo_[key] = FindEnds(e, from);
  }

  Places EndsOfAll(const Expr& e, const Places& from) {
    Places all;
    for (const size_t place : from) all.merge(Ends(e, place));
    return all;
  }

  Places FindEnds(const Expr& e, size_t from) {
    Places ends, at = {from};
    switch (e.kind) {
      case Expr::kLiteral:
        if (text_.substr(from).starts_with(e.text)) ends.insert(from + e.text.size());
        break;
      case Expr::kClass:
        for (const std::string_view letter : kLetters) {
          const bool in = e.class_.contains(std::string(letter)) != e.negated;
          if (in && text_.substr(from).starts_with(letter)) ends.insert(from + letter.size());
        }
        break;
      case Expr::kSequence:
        for (const Ptr& part : e.parts) at = EndsOfAll(*part, at);
        return at;
      case Expr::kChoice:
        for (const Ptr& part : e.parts) ends.merge(Ends(*part, from));
        break;
      case Expr::kRepeat:
        if (e.min == 0) ends = at;
        for (int n = 1; e.max < 0 ? n <= e.min + static_cast<int>(text_.size()) : n <= e.max; ++n) {
          at = EndsOfAll(*e.parts[0], at);
          if (n >= e.min) ends.insert(at.begin(), at.end());
        }
        break;
      case Expr::kCall:
        return Ends(*bodies_[e.rule], from);
    }
    return ends;
  }

  void Write(const Expr& e, std::string& out, int& budget) {
    if (--budget <= 0) return;
    switch (e.kind) {
      case Expr::kLiteral:
        out += e.text;
        break;
      case Expr::kClass: {
        std::vector<std::string_view> letters;
        for (const std::string_view letter : kLetters) {
          if (e.class_.contains(std::string(letter)) != e.negated) letters.push_back(letter);
        }
        out += letters[Draw(static_cast<int>(letters.size()))];
        break;
      }
      case Expr::kSequence:
        for (const Ptr& part : e.parts) Write(*part, out, budget);
        break;
      case Expr::kChoice:
        Write(*e.parts[Draw(static_cast<int>(e.parts.size()))], out, budget);
        break;
      case Expr::kRepeat:
        for (int n = e.min + Draw((e.max < 0 ? e.min + 3 : e.max) - e.min + 1); n-- > 0;)
          Write(*e.parts[0], out, budget);
        break;
      case Expr::kCall:
        Write(*bodies_[e.rule], out, budget);
        break;
    }
  }

  std::mt19937 random_;
  int n_rules_ = 0;
  std::vector<Ptr> bodies_;
  std::string_view text_;
  std::map<std::pair<const Expr*, size_t>, Places> memo_;
};

}  // namespace kvasir::grammar
