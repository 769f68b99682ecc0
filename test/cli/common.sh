# What the tests of the program share; read by each with `. "$(dirname "$0")/common.sh"`.
#
#     run CODE word...      run the program; its exit code must be CODE; see $out and $err
#     says FILE text        the file must hold the text
#     is_json FILE          the file must be one JSON value
#     tiny.ini              a configuration that trains in a second, in the current folder
set -eu
program=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
out=$place/stdout err=$place/stderr
export OMP_WAIT_POLICY=passive

fail() {
    echo "FAILED: $*"
    echo "--- stdout"
    cat "$out"
    echo "--- stderr"
    cat "$err"
    exit 1
}

run() {
    wanted=$1
    shift
    code=0
    "$program" "$@" >"$out" 2>"$err" || code=$?
    [ "$code" = "$wanted" ] || fail "imgen $*: exit code $code, not $wanted"
}

says() {
    grep -qF -e "$2" "$1" || fail "$(basename "$1") does not say '$2'"
}

empty() {
    [ ! -s "$1" ] || fail "$(basename "$1") is not empty"
}

# Texts become s, numbers and words v, and then every array and object of those becomes v.
is_json() {
    rest=$(tr '\n' ' ' <"$1" | sed -E \
        -e 's/"([^"\\[:cntrl:]]|\\["\\\/bfnrt]|\\u[0-9a-f]{4})*"/s/g' \
        -e 's/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/v/g' \
        -e 's/true|false|null/v/g' -e 's/ //g' -e ':r' \
        -e 's/\[([sv](,[sv])*)?\]/v/' -e 'tr' \
        -e 's/\{(s:[sv](,s:[sv])*)?\}/v/' -e 'tr')
    [ "$rest" = v ] || fail "$(basename "$1") is no JSON: $rest"
}

same() {
    cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

cat >tiny.ini <<'END'
[data]
format = shapes
size = 16
[model]
network = unet
[unet]
width = 8
mult = 1,2
blocks = 1
attention = 2
groups = 4
[train]
steps = 4
batch = 4
warmup = 0
learning_rate = 0.003
sample_every = 0
out = run
[sample]
steps = 3
cfg_scale = 2
END
