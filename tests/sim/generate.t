#!/bin/sh
# shoal-sim generate, and runs of generators: what they write runs the same without them.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

for file in sim/generators/*.lua; do
    name=$(basename "$file" .lua)
    "$sim" run "$file" --out "$folder/$name.schedule" >"$folder/$name.out" 2>&1
    result $? "$file holds what it expects"
    hash=$(grep '^trace hash' "$folder/$name.out")
    [ -n "$hash" ] && [ "$("$sim" run "$folder/$name.schedule" | grep '^trace hash')" = "$hash" ]
    result $? "$file: the recorded schedule is the same run"
    "$sim" fmt "$folder/$name.schedule" | cmp -s - "$folder/$name.schedule"
    result $? "$file: the recorded schedule is canonical"
    "$sim" generate "$file" | cmp -s - "$folder/$name.schedule"
    result $? "$file: generate writes the same"
    "$sim" generate "$file" --params | grep -q '^  [a-z]*=[^ ]*  *[a-z]'
    result $? "$file tells what it takes"
done

eval "$(sed -n 's/^again *//p' "$folder"/storm.out)" | grep -q "$(grep '^trace hash' "$folder"/storm.out)"
result $? 'the last line of a report runs the generator again'
"$sim" generate sim/generators/storm.lua --seed 2 | cmp -s - "$folder"/storm.schedule
[ $? = 1 ]
result $? 'another seed is another storm'
LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo "$sim" generate sim/generators/storm.lua |
    cmp -s - "$folder"/storm.schedule
result $? 'locale and time zone have no part in it'
"$sim" generate sim/generators/storm.lua masters=4 | grep -q '^cluster nodes 8 masters 4 replicas 1'
result $? 'a setting reaches its parameter'

"$sim" generate sim/generators/storm.lua mastres=4 2>"$folder"/err
[ $? = 2 ] && grep -q 'there is no parameter "mastres"; it has masters, length' "$folder"/err
result $? 'an unknown setting ends with 2'
printf 'cluster{nodes=3}\nat("6s", "crahs n2")\n' >"$folder"/wrong.lua
"$sim" run "$folder"/wrong.lua 2>"$folder"/err
[ $? = 2 ] && grep -q "^$folder/wrong.lua:2: found \"crahs\", .* did you mean crash" "$folder"/err
result $? 'a wrong line ends with 2 and its place'
"$sim" generate "$folder"/storm.schedule 2>"$folder"/err
[ $? = 2 ]
result $? 'generate takes generators only'
sed -n '/^## A first generator/,/^## /{/^```lua$/,/^```$/p}' docs/SIMULATOR.md |
    sed '/^```$/q' | grep -v '^```' >"$folder"/first.lua
grep -q '^cluster' "$folder"/first.lua && "$sim" run "$folder"/first.lua nodes=4 >/dev/null
result $? 'the first generator of docs/SIMULATOR.md runs'
echo "1..$count"
