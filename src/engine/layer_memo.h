// LayerMemo: what sequences that hold the same entries of a layer need compute only once
// (Ops::Once), by what it is. Lives as long as they do hold the same.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "methods/method.h"

namespace kvasir {

class LayerMemo {
 public:
  std::shared_ptr<const Ops::Numbers> Once(const std::string& key,
                                           const std::function<Ops::Numbers()>& compute);
  // What those who found something known would have spent on it, since this was last asked.
  double TakeSavedMs();

 private:
  struct Known {
    std::shared_ptr<const Ops::Numbers> numbers;
    double ms = 0;  // that it took
  };
  std::map<std::string, Known> known_;
  double saved_ms_ = 0;
};

}  // namespace kvasir
