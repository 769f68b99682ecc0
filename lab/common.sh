# What the checks of the assignments share; each is run in its own folder:
#
#     ./check            your answers
#     ./check solution   a set that passes
#
#     IMGEN=...          the program; otherwise build/imgen of this tree, or the one that is installed
#     QUICK=1            smaller budgets and wider bounds, for those who wait
#
# A task passes or fails with one line; the exit code is 0 when all passed.
set -u
folder=${1:-.}
here=$(pwd)
if [ -z "${IMGEN:-}" ]; then
    IMGEN=$here/../../build/imgen
    [ -x "$IMGEN" ] || IMGEN=imgen
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
passed=0 failed=0
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

pass() {
    passed=$((passed + 1))
    echo "passed  $1"
}
miss() {
    failed=$((failed + 1))
    echo "FAILED  $1"
}
# verdict TEXT CONDITION: the condition is awk's, over numbers.
verdict() {
    if awk "BEGIN { exit !($2) }"; then pass "$1"; else miss "$1"; fi
}
finish() {
    echo "$passed of $((passed + failed)) tasks passed"
    [ "$failed" = 0 ]
    exit
}

# answer KEY: what answers.ini says, or nothing.
answer() {
    sed -n "s/^ *$1 *= *\([^;]*\).*/\1/p" "$folder/answers.ini" | sed 's/ *$//' | head -n 1
}
# is_number TEXT
is_number() {
    echo "$1" | grep -Eq '^-?[0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?$'
}

# study FILE NAME flags...: run a study and keep its JSON.
study() {
    file=$1
    shift
    "$IMGEN" lab "$@" -q --json -o "$place/figure.svg" >"$file" 2>"$place/said" || {
        cat "$place/said"
        echo '{}' >"$file"
        return 1
    }
}
# value FILE NAME: one number of "values".
value() {
    sed -n "s/^    \"$2\": \([-0-9.e+]*\),*$/\1/p" "$1" | head -n 1
}
# column FILE TABLE COLUMN [KEY WANTED]: the column of all rows, or of those whose KEY is WANTED.
column() {
    awk -v table="$2" -v column="$3" -v key="${4:-}" -v wanted="${5:-}" '
    { line = $0; gsub(/[ ",]/, "", line); n = split(line, part, ":") }
    $0 ~ "^    \"" table "\": \\[" { inside = 1 }
    /^    \]/ { inside = 0 }
    inside && /\{/ { found = ""; right = key == "" }
    inside && n == 2 && part[1] == column { found = part[2] }
    inside && n == 2 && part[1] == key && part[2] == wanted { right = 1 }
    inside && /\}/ && right { print found }' "$1"
}

# compile PROGRAM SOURCE...: against the library, as pkg-config or the built tree says.
compile() {
    out=$1
    shift
    if [ -n "${IMGEN_LIB:-}" ]; then
        flags="-I${IMGEN_INCLUDE:-$here/../../include} -L$IMGEN_LIB -Wl,-rpath,$IMGEN_LIB -limgen"
    elif [ -e "$here/../../build/libimgen.so" ]; then
        flags="-I$here/../../include -L$here/../../build -Wl,-rpath,$here/../../build -limgen"
    else
        flags=$(pkg-config --cflags --libs imgen)
    fi
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 -O1 -Wall "-I$here" -o "$out" "$@" $flags -lm
}
