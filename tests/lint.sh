#!/usr/bin/env bash
# Each rule of script/lint is broken once, in a copy of the tree, and must say so. A rule that is not broken here fails the test as well.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$root"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree" 2>/dev/null || true
cd "$tree"
git init -q
git add -A
git -c user.name=lint -c user.email=lint@localhost commit -qm "As it is"
failed=0
broken=()

# breaks SENTENCE COMMAND…: after the command lint must say a rule whose sentence begins so.
breaks() {
    local sentence=$1
    shift
    "$@"
    git add -A
    broken+=("$sentence")
    if ! grep -qF "lint: $sentence" <<<"$(script/lint "$sentence" 2>&1 || true)"; then
        echo "nothing was said about: $sentence"
        failed=1
    fi
    git reset -q --hard
}
add() { # add FILE TEXT: as its last line
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >>"$1"
}
circle() {
    printf '#include "model/error.h"\nvoid sk_one(void);\nvoid sk_two(void);\nvoid sk_three(void);\n' >src/model/circle.h
    printf '#include "model/circle.h"\nvoid sk_one(void) {\n    sk_two();\n}\n' >src/model/one.c
    printf '#include "model/circle.h"\nvoid sk_two(void) {\n    sk_three();\n}\n' >src/model/two.c
    printf '#include "model/circle.h"\nvoid sk_three(void) {\n    sk_one();\n}\n' >src/model/three.c
}
long_function() {
    { printf 'void sk_long(void) {\n' && for _ in $(seq 70); do printf '    (void)0;\n'; done && printf '}\n'; } >src/model/long.c
}

script/lint >/dev/null || { script/lint; echo "the tree itself is not clean"; exit 1; }
breaks "only src/io asks the operating system" add src/hub/answer.c '    sleep(1);'
breaks "layers point one way" add src/base/span.c '#include "model/model.h"'
breaks "functions of at most 70 lines" long_function
breaks "no circle of files" circle
breaks "sources look as script/format leaves them" add src/hub/answer.c 'int  x;'
breaks "clang-tidy finds nothing" add src/hub/answer.c 'static int f(int n) { return n == 1 ? 2 : 2; }
int sk_g(int n) { if (n = 1) return f(n); else; return 0; }'
breaks "documents become text" add src/hub/answer.c 'static char *f(json_t *j) { return json_dumps(j, 0); }'
breaks "stores and the directory" add src/hub/answer.c '#include "store/registry/ops.h"'
breaks "stores and the directory" add src/hub/answer.c 'int sk_g(struct sk_hub *h) { return (int)h->backend.directory.devices; }'
breaks "assertions are SK_ASSERT" add src/hub/answer.c 'static void f(int i) { assert(i); }'
breaks "assertions are SK_ASSERT" add CMakeLists.txt 'add_compile_definitions(NDEBUG)'
breaks "no leftovers" add src/hub/answer.c '/* TO''DO */'
breaks "a header's guard is its path" git mv src/net/dial.h src/net/dialling.h
breaks "a name says who may use it" add src/hub/parts.h 'void sk_hub_everybody(void);'
breaks "a name says who may use it" add src/hub/hub.h 'void hub_nobody(void);'
breaks "a name says who may use it" add src/edge/hub/role.c '#include "hub/parts.h"'
breaks "files of at most 800 lines" eval "seq 801 | sed 's|.*|/* & */|' >src/model/many.c"
breaks "lines of at most" add src/hub/answer.c "/* $(printf '%0100d' 0) */"
breaks "a test registers itself" add tests/unit/base/time.c 'int main(void) { return 0; }'
breaks "every test that tests/traps.md names exists" add tests/traps.md '| x | `a_test_that_nobody_has_written` |'
breaks "systemd understands" add packaging/systemd/skerry-hub.service 'Nonsense=yes'
breaks "documents and comments lead" add docs/architecture.md '`gateway/methods.c: sk_nowhere`'
breaks "documents and comments lead" add docs/glossary.md '| x | x | `io/nothing.c` |'
breaks "documents and comments lead" add src/hub/answer.c '/* docs/protocols/service-api.md, section 99 */'
breaks "documents and comments lead" add docs/decisions/0099-nowhere.md '# 99. Nobody leads here'
breaks "the portal's types fit" add portal/src/route.ts "const none: number = 'none';"
breaks "shell scripts parse" add script/demo 'if'
extra=$(grep -oP '^rule "\K[^"]+' script/lint | while IFS= read -r sentence; do
    for known in "${broken[@]}"; do [[ $sentence == "$known"* ]] && continue 2; done
    echo "no test breaks: $sentence"
done)
[ -z "$extra" ] || { echo "$extra"; failed=1; }
[ $failed = 0 ] && echo "${#broken[@]} rules were broken, and said so"
exit $failed
