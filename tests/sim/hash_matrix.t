#!/bin/sh
# The same schedules have the same trace hashes whatever compiler built the simulator and however
# it optimised: gcc and clang, -O0 and -O2.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

for compiler in gcc clang; do
    for level in O0 O2; do
        build=build/matrix-$compiler-$level
        mkdir -p "$build"
        {
            cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=$compiler \
                -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-$level &&
                cmake --build "$build" --target shoal-sim
        } >"$build"/build.log 2>&1
        built=$?
        result $built "$compiler -$level builds the simulator"
        [ $built = 0 ] || tail -20 "$build"/build.log | sed 's/^/# /'
        "$build"/bin/shoal-sim golden tests/sim/golden.tsv >"$build"/golden.log 2>&1
        result $? "$compiler -$level has every golden hash"
        grep -v '^ok' "$build"/golden.log | sed 's/^/# /'
    done
done
echo "1..$count"
