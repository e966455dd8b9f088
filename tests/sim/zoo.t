#!/bin/sh
# Every entry of the failure zoo says where it comes from, tells its story, states what happens under
# both profiles, and stands in docs/ZOO.md; every entry of that table is there.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

for file in sim/scenarios/[0-9][0-9]-*.schedule; do
    name=$(basename "$file" .schedule)
    number=$(echo "$name" | sed 's/-.*//; s/^0//')
    missing=
    grep -q "^# Zoo $number: " "$file" || missing="$missing number"
    grep -q 'Sources\{0,1\}:' "$file" || missing="$missing source"
    grep -q '^profiles redis-7 shoal$' "$file" || missing="$missing profiles"
    grep -q ' say "' "$file" || missing="$missing captions"
    [ "$(grep -c ' expect ' "$file")" -ge 3 ] || missing="$missing expectations"
    [ "$(grep -c "^| \`$name\` |" docs/ZOO.md)" = 1 ] || missing="$missing row-in-docs/ZOO.md"
    [ "$(grep -c "^$file	\(redis-7\|shoal\)	.*	held$" tests/sim/golden.tsv)" = 2 ] ||
        missing="$missing golden-rows"
    [ -z "$missing" ]
    result $? "$name is complete"
    [ -z "$missing" ] || echo "# it lacks:$missing"
done
[ "$count" -ge 30 ]
result $? 'there are at least thirty entries'
for name in $(sed -n 's/^| `\([0-9][0-9]-[^`]*\)` |.*/\1/p' docs/ZOO.md); do
    [ -f "sim/scenarios/$name.schedule" ]
    result $? "$name of docs/ZOO.md is there"
done
echo "1..$count"
