// A method of your own: keeps the newest entries and every step-th one of those before them.
// Usage: my_method MODEL SPEC TEXT, e.g. my_method model.gguf "comb:step=8" "$(cat book.txt)"
#include <kvasir/method.h>

#include <cstdio>

class Comb final : public kvasir::Method {
 public:
  Comb(int64_t step, int64_t window) : step_(step), window_(window) {}
  void Compress(const kvasir::LayerView&, kvasir::Ops&, kvasir::LayerPlan& plan) const override {
    for (int head = 0; head < plan.n_heads(); ++head) {
      const auto n = static_cast<int32_t>(plan.head(head).size());
      std::vector<int32_t> keep;
      for (int32_t i = 0; i < n; ++i) {
        if (i % step_ == 0 || i >= n - window_) keep.push_back(i);
      }
      plan.Keep(head, std::move(keep));
    }
  }

 private:
  const int64_t step_, window_;
};

constexpr kvasir::ParamInfo kParams[] = {
    {"step", kvasir::ParamKind::kInteger, "4", "1..1024", "one in so many old entries stays"},
    {"window", kvasir::ParamKind::kInteger, "32", "1..65536", "newest entries, which all stay"}};

kvasir::Result<std::unique_ptr<kvasir::Method>> MakeComb(const kvasir::Params& params) {
  return std::make_unique<Comb>(params.GetInt("step"), params.GetInt("window"));
}

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("usage: my_method MODEL SPEC TEXT\n", stderr), 2;
  const kvasir::MethodInfo comb = {"comb", kvasir::Role::kBase, "evict", "a comb", "",
                                   "",     "comb:step=8",       kParams, &MakeComb};
  const auto fail = [](auto& r) { return std::fprintf(stderr, "%s\n", r.error().message.c_str()); };
  auto model = kvasir::Model::Load({.path = argv[1]});
  if (!model) return fail(model), 1;
  auto session = kvasir::Session::Open(*model, {.kv = argv[2], .methods = {&comb}});
  if (!session) return fail(session), 1;
  if (auto fed = (*session)->Feed((*model)->Tokenize(argv[3])); !fed) return fail(fed), 1;
  std::printf("%ld of %ld entries kept\n", (*session)->kv().entries, (*session)->kv().entries_full);
}
