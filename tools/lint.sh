#!/bin/sh
# clang-tidy and the format check on the files that differ from a commit (default: HEAD, that is,
# what is not committed yet). Usage: tools/lint.sh [--all | COMMIT]
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = --all ]; then
  files=$(git ls-files -- '*.cc' '*.h')
else
  files=$({ git diff --name-only --diff-filter=d "${1:-HEAD}" -- '*.cc' '*.h'
            git ls-files --others --exclude-standard -- '*.cc' '*.h'; } | sort -u)
fi
[ -n "$files" ] || { echo "nothing changed since ${1:-HEAD}"; exit 0; }

# shellcheck disable=SC2086
clang-format --dry-run -Werror $files
# With commands of clang's (preset `lint`): it knows neither GCC's precompiled headers nor all its
# flags. Headers are checked through the sources that include them.
sources=$(echo "$files" | grep '\.cc$' | grep -v -e '^examples/' -e '^tests/fuzz/' || true)
[ -z "$sources" ] || echo "$sources" | xargs -P "${JOBS:-$(nproc)}" -n 1 \
  clang-tidy -p build/lint --quiet --warnings-as-errors='*'
