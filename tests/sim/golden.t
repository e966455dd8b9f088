#!/bin/sh
# Every scenario has the trace hash of tests/sim/golden.tsv, and every scenario has a row there.
# A change of behaviour that is meant is blessed by tests/sim/bless, and shows up in a review.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
sim=${SHOAL_BUILD:-build/release}/bin/shoal-sim

for file in sim/scenarios/*.schedule; do
    grep -q "^$file	" tests/sim/golden.tsv || {
        echo "Bail out! $file has no row in tests/sim/golden.tsv; see tests/sim/bless"
        exit 1
    }
done
exec "$sim" golden tests/sim/golden.tsv
