#include "methods/registry.h"

#include <algorithm>
#include <array>

namespace kvasir {

extern const MethodInfo kAdaKv;
extern const MethodInfo kAges;
extern const MethodInfo kAuto;
extern const MethodInfo kChunkKv;
extern const MethodInfo kCriticalKv;
extern const MethodInfo kCur;
extern const MethodInfo kDecode;
extern const MethodInfo kExpected;
extern const MethodInfo kFinch;
extern const MethodInfo kFull;
extern const MethodInfo kH2o;
extern const MethodInfo kHadamard;
extern const MethodInfo kKeyDiff;
extern const MethodInfo kKeyformer;
extern const MethodInfo kKivi;
extern const MethodInfo kKnorm;
extern const MethodInfo kKvMerger;
extern const MethodInfo kLagKv;
extern const MethodInfo kMerge;
extern const MethodInfo kMiKv;
extern const MethodInfo kProtect;
extern const MethodInfo kPyramidKv;
extern const MethodInfo kQ4;
extern const MethodInfo kQ8;
extern const MethodInfo kRazor;
extern const MethodInfo kRenumber;
extern const MethodInfo kRKv;
extern const MethodInfo kSimLayer;
extern const MethodInfo kSnapKv;
extern const MethodInfo kStreaming;
extern const MethodInfo kThink;
extern const MethodInfo kTova;
extern const MethodInfo kTrimKv;
extern const MethodInfo kVidKv;
extern const MethodInfo kWindowKv;

namespace {

constexpr std::array kMethods = {  // sorted by name
    &kAdaKv,     &kAges,      &kAuto,     &kChunkKv, &kCriticalKv, &kCur,     &kDecode,
    &kExpected,  &kFinch,     &kFull,     &kH2o,     &kHadamard,   &kKeyDiff, &kKeyformer,
    &kKivi,      &kKnorm,     &kKvMerger, &kLagKv,   &kMerge,      &kMiKv,    &kProtect,
    &kPyramidKv, &kQ4,        &kQ8,       &kRazor,   &kRenumber,   &kRKv,     &kSimLayer,
    &kSnapKv,    &kStreaming, &kThink,    &kTova,    &kTrimKv,     &kVidKv,   &kWindowKv};

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kBase:
      return "base";
    case Role::kWrapper:
      return "wrapper";
    case Role::kCodec:
      return "codec";
    case Role::kPruner:
      return "pruner";
  }
  return "";
}

std::span<const MethodInfo* const> AllMethods() { return kMethods; }

const MethodInfo* FindMethod(std::string_view name) {
  const auto found = std::find_if(kMethods.begin(), kMethods.end(),
                                  [&](const MethodInfo* m) { return m->name == name; });
  return found == kMethods.end() ? nullptr : *found;
}

}  // namespace kvasir
