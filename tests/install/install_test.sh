#!/bin/sh
# Installs a build into an empty folder and builds the examples against that alone: with
# find_package(kvasir), and with pkg-config. Then runs them. Usage: install_test.sh BUILD CXX
set -eu
build=$1 cxx=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
model=$source/tests/golden/models/llama.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
text=$(head -c 1000 "$source/LICENSE")

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

cmake --install "$build" --prefix "$prefix" >"$work/install.log" || {
  cat "$work/install.log"
  fail "cmake --install"
}
[ -x "$prefix/bin/kvasir" ] || fail "no bin/kvasir"
"$prefix/bin/kvasir" --version >/dev/null || fail "the installed kvasir does not run"
grep -q '^\.TH' "$prefix/share/man/man1/kvasir.1" || fail "no manual page"
for file in bash-completion/completions/kvasir zsh/site-functions/_kvasir \
    fish/vendor_completions.d/kvasir.fish; do
  grep -q snapkv "$prefix/share/$file" || grep -q -- '--kv\|kv-type' "$prefix/share/$file" ||
    fail "share/$file does not know --kv"
done
# Nothing installed may point back into the source or build folder.
if grep -rIl -e "$source/" -e "$build/" "$prefix" --include='*.cmake' --include='*.pc' \
    --include='*.h'; then
  fail "the files above name the source or build folder"
fi

# Runs both examples of a folder.
run_examples() {
  printf 'Hello.\nAnd now?\n' | "$1/chat" "$model" full >"$work/chat.txt" ||
    fail "$1/chat: exit $?"
  grep -q '^[1-9][0-9]* entries, [1-9][0-9]* bytes of KV cache$' "$work/chat.txt" ||
    fail "$1/chat printed: $(cat "$work/chat.txt")"
  [ "$(grep -c '^> ' "$work/chat.txt")" = 3 ] || fail "$1/chat did not take two turns"
  "$1/my_method" "$model" "comb:step=8,window=32" "$text" >"$work/method.txt" || fail "$1/my_method: $?"
  kept=$(sed -n 's/^\([0-9]*\) of \([0-9]*\) entries kept$/\1/p' "$work/method.txt")
  all=$(sed -n 's/^\([0-9]*\) of \([0-9]*\) entries kept$/\2/p' "$work/method.txt")
  [ -n "$kept" ] && [ "$kept" -gt 0 ] && [ "$kept" -lt $((all / 2)) ] ||
    fail "$1/my_method printed: $(cat "$work/method.txt")"
  ! "$1/my_method" "$model" "comb:stp=8" "$text" 2>"$work/error.txt" || fail "a wrong parameter passed"
  grep -q "step" "$work/error.txt" || fail "the error names no parameter: $(cat "$work/error.txt")"
}

cmake -S "$source/examples" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Debug >"$work/configure.log" 2>&1 &&
  cmake --build "$work/cmake" >>"$work/configure.log" 2>&1 || {
  cat "$work/configure.log"
  fail "examples with find_package"
}
run_examples "$work/cmake"

config=$(find "$prefix" -name pkgconfig -type d)
mkdir "$work/pkg-config"
for example in chat my_method; do
  # shellcheck disable=SC2046
  "$cxx" -std=c++20 -Wall -Wextra "$source/examples/$example.cc" -o "$work/pkg-config/$example" \
    $(PKG_CONFIG_PATH="$config" pkg-config --cflags --libs kvasir) || fail "$example with pkg-config"
done
run_examples "$work/pkg-config"
echo "installed, built twice, run"
