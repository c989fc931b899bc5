// The method kit: what one needs to write a KV-cache method of one's own outside Kvasir's sources.
//
// A method is a class that derives from kvasir::Method and writes wishes into the layer's plan, and
// a kvasir::MethodInfo that says its name, its parameters and how to make one. Sessions that are
// opened with it in SessionOptions::methods know its name in a spec, and stack it like any other:
//
//   Session::Open(model, {.kv = "renumber + mine:step=4", .methods = {&kMine}});
//
// examples/my_method.cc is a whole one in 40 lines, docs/add-a-method.md explains the moments.
//
//   Method, Needs, LayerView, Ops, ScoreRequest, Pool1d     methods/method.h
//   MethodInfo, Role                                        methods/registry.h
//   ParamInfo, Params, Budget                               methods/spec.h
//   LayerPlan: Score, Budget, Protect, Keep, Drop, Renumber cache/plan.h
//   HeadCache: size, Orders, Positions, Read                cache/head_cache.h
//
// These are the engine's own headers, installed under include/kvasir/internal: they say exactly
// what the engine does, and they may change between versions where include/kvasir/kvasir.h does
// not.
#pragma once

#include "kvasir/kvasir.h"
#include "methods/method.h"
#include "methods/registry.h"
#include "methods/spec.h"
