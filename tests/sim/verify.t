#!/bin/sh
# Runs do not depend on addresses, fresh memory, environment, locale or time zone; and a build that
# does depend on an address, the canary, is caught with the first event that differs.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

for file in sim/scenarios/*.schedule; do
    said=$("$build"/bin/shoal-sim verify "$file" 2>&1)
    result $? "$file is the same under perturbation"
    echo "$said" | sed 's/^/# /'
done

cmake --build "$build" --target shoal-sim-canary >"$build"/canary.log 2>&1
result $? 'the canary builds'
said=$("$build"/bin/shoal-sim-canary verify sim/scenarios/flagship.schedule 2>&1)
[ $? = 1 ]
result $? 'verify catches the canary'
echo "$said" | grep -q 'NOT DETERMINISTIC: entry [0-9]* is the first that differs'
result $? 'and names the first entry that differs'
[ "$(echo "$said" | grep -c '^   -> event')" = 2 ]
result $? 'in both runs'
echo "$said" | cut -c1-160 | sed 's/^/# /'
echo "1..$count"
