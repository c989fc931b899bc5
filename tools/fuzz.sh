#!/bin/sh
# Builds the fuzz targets (tests/fuzz/*_fuzz.cc) and runs each for SECONDS, from the small corpus in
# tests/fuzz/corpus/<target> (new inputs go to build/<preset>/corpus). Stops at the first crash, with the
# input's path. Usage: tools/fuzz.sh SECONDS [target...]
set -eu
cd "$(dirname "$0")/.."
preset=fuzz
build=build/$preset
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-$(for file in tests/fuzz/*_fuzz.cc; do [ -e "$file" ] && basename "$file" .cc; done)}
[ -n "$targets" ] || { echo "no fuzz targets in tests/fuzz"; exit 0; }

[ -e "$build/build.ninja" ] || cmake --preset "$preset"
# shellcheck disable=SC2086
ninja -C "$build" -j "${JOBS:-$(nproc)}" $targets

for target in $targets; do
  found=$build/corpus/$target
  seeds=tests/fuzz/corpus/$target
  [ -d "$seeds" ] || seeds=tests/fuzz/corpus/${target%_fuzz}
  mkdir -p "$found"
  [ -d "$seeds" ] || seeds=
  log=$build/$target.log
  printf '%-24s %ss  ' "$target" "$seconds"
  # shellcheck disable=SC2086
  if "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
      -print_final_stats=1 -artifact_prefix="$build/$target-" "$found" $seeds >"$log" 2>&1; then
    echo "$(awk '/number_of_executed_units/ { print $2 }' "$log") inputs, no failure"
  else
    echo FAILED
    tail -40 "$log"
    echo "the whole log: $log"
    exit 1
  fi
done
