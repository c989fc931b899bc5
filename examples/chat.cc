// A chat in the terminal: chat [MODEL [SPEC]]. A turn reads only what the cache does not hold yet.
#include <kvasir/kvasir.h>

#include <cstdio>
#include <iostream>

int main(int argc, char** argv) {
  const auto fail = [](const kvasir::Error& error) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    return 1;
  };
  auto model = kvasir::Model::Load({.path = argc > 1 ? argv[1] : ""});
  if (!model) return fail(model.error());
  auto session = kvasir::Session::Open(*model, {.kv = argc > 2 ? argv[2] : "full"});
  if (!session) return fail(session.error());

  kvasir::GenerateOptions options = {.n_tokens = 200};
  options.on_text = [](std::string_view text) {
    std::cout << text << std::flush;
    return true;
  };
  std::vector<kvasir::Message> messages;
  size_t n_read = 0;  // bytes of the rendered conversation that the session holds
  for (std::string line; std::cout << "> " && std::getline(std::cin, line);) {
    messages.push_back({"user", line});
    const auto rendered = (*model)->RenderChat(messages);
    if (!rendered) return fail(rendered.error());
    const auto fed = (*session)->Feed((*model)->Tokenize(rendered->substr(n_read), false));
    if (!fed) return fail(fed.error());
    const auto answer = kvasir::Generate(**session, options);
    if (!answer) return fail(answer.error());
    if (!answer->error.empty()) return fail({answer->error});
    messages.push_back({"assistant", answer->text});
    n_read = rendered->size() + answer->text.size();
    std::cout << "\n";
  }
  const kvasir::KvReport kv = (*session)->kv();
  std::cout << "\n" << kv.entries << " entries, " << kv.bytes << " bytes of KV cache\n";
}
