// GET /v1/kv/methods: what `kv.spec` may name, from the same table as `kvasir methods`.
#include "methods/registry.h"
#include "server/endpoints.h"

namespace kvasir::server {

void KvMethods(const Services& services, Call& call) {
  Json list = Json::array();
  for (const MethodInfo* method : AllMethods()) {
    Json params = Json::array();
    for (const ParamInfo& param : method->params) {
      params.push_back({{"name", param.name},
                        {"default", param.fallback.empty() ? Json() : Json(param.fallback)},
                        {"range", param.range},
                        {"help", param.help}});
    }
    list.push_back({{"name", method->name},
                    {"role", RoleName(method->role)},
                    {"family", method->family},
                    {"summary", method->summary},
                    {"paper", method->paper},
                    {"example", method->example},
                    {"params", std::move(params)}});
  }
  call.Reply({{"object", "list"},
              {"default_spec", services.engine.options().kv},
              {"data", std::move(list)}});
}

}  // namespace kvasir::server
