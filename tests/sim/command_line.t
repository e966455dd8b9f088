#!/bin/sh
# The program shoal-sim: exit codes, reports, trace files, and what it says about wrong schedules.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

head='schedule v1
cluster nodes 3 node_timeout 2s meet star'
printf '%s\n4s expect converge\n' "$head" >"$folder"/good
printf '%s\n4s expect known == 4 on n1\n' "$head" >"$folder"/broken
printf '%s\n4s expcet converge\n' "$head" >"$folder"/wrong

exits 0 'a run that holds ends with 0' "$sim" run "$folder"/good --seed 9
for line in '^seed          9$' '^schedule      [0-9a-f]\{16\}  ' '^events        [0-9]' \
    '^simulated     4.000 s$' '^wall          [0-9.]* s$' '^speed         [0-9.]* times real time$' \
    '^trace hash    [0-9a-f]\{16\}  ' '^verdict       held$' \
    "^again         $sim run $folder/good --seed 9\$"; do
    says "$line"
done
hash=$(grep '^trace hash' "$folder"/out)
eval "$(sed -n 's/^again *//p' "$folder"/out)" >"$folder"/again
[ "$(grep '^trace hash' "$folder"/again)" = "$hash" ]
result $? 'the last line runs the same again'

printf '%s\nprofiles shoal redis-7\n4s expect known == 3 on n1 under shoal\n4s expect known == 4 on n1 under redis-7\n' \
    "$head" >"$folder"/profiles
exits 0 'the first profile that a schedule names is run' "$sim" run "$folder"/profiles
says '^profile       shoal$'
eval "$(sed -n 's/^again *//p' "$folder"/out)" >"$folder"/again
cmp -s "$folder"/out "$folder"/again || grep -q '^profile       shoal$' "$folder"/again
result $? 'the last line runs the same profile again'
exits 1 'or the one that is asked for' "$sim" run "$folder"/profiles --profile redis-7
says "BROKEN        $folder/profiles:5: .* under redis-7: n1 knows 3"
exits 2 'an unknown profile ends with 2' "$sim" run "$folder"/profiles --profile redis-8
exits 0 'each profile has a golden row' "$sim" bless "$folder"/table "$folder"/profiles "$folder"/good
[ "$(cut -f 2,7 "$folder"/table | tail -3)" = "$(printf 'shoal\theld\nredis-7\tviolated\n-\theld')" ]
result $? 'with its verdict'
exits 0 'that a run is held to' "$sim" golden "$folder"/table
says 'ok 2 - .*/profiles has its golden hash (redis-7)'

printf '%s\n%s\n%s\n%s\n%s\n%s\n%s\n' "$head" '4s operate n1 SET {06S} b' \
    '4s operate n1 APPEND {06S} bytes(300)' '5s expect reply "STRLEN {06S}" is "301" on n1' \
    '5s expect reply "GETRANGE {06S} 0 1" is "bx" on n1' '5s expect info cluster_size == 3 on *' \
    '5s expect info total_commands_processed >= 3 on n1' >"$folder"/asks
exits 0 'nodes are asked what they know' "$sim" run "$folder"/asks
printf '%s\n5s expect reply "GET {06S}" has "b" on n1\n5s expect info no_field == 0 on n2\n6s pause n3\n%s\n%s\n' \
    "$head" '7s expect reply "PING" is "PONG" on n3 within 2s' \
    '7s expect info cluster_size >= 4 on n2 within 1s' >"$folder"/asks
exits 1 'answers that are not as expected break a run' "$sim" run "$folder"/asks
says 'on n1: n1 says (nil)$'
says 'on n2: n2 tells no number no_field$'
says 'on n3 within 2s: no answer in time$'
says 'on n2 within 1s: n2 says 3$'

sed '/broken I5/d' sim/scenarios/11-slot-maps-differ.schedule >"$folder"/unstated
exits 1 'a check that is violated breaks a run' "$sim" run "$folder"/unstated
says '^VIOLATED      I5, '
exits 0 'but not where the schedule states it' "$sim" run sim/scenarios/11-slot-maps-differ.schedule
says '^stated        I5, .*violated [1-9][0-9]* times; first at '
sed '/broken I1/d' sim/scenarios/09-two-owners.schedule >"$folder"/by-word
exits 0 'what an operator has said breaks none' "$sim" run "$folder"/by-word
exits 0 'and is told to a schedule that asks' "$sim" run sim/scenarios/09-two-owners.schedule
says '^stated        I1, .*violated 1 times; first at '

exits 1 'a run that does not hold ends with 1' "$sim" run "$folder"/broken
says "BROKEN        $folder/broken:3: expect known == 4 on n1: n1 knows 3"
says '^verdict       violated$'
exits 2 'a wrong schedule ends with 2' "$sim" run "$folder"/wrong
says "$folder/wrong:3:4: found \"expcet\", expected .* did you mean expect?"
exits 2 'a missing file ends with 2' "$sim" run "$folder"/nothing
exits 2 'an unknown option ends with 2' "$sim" run "$folder"/good --sede 5
exits 2 'an unknown command ends with 2' "$sim" rnu "$folder"/good
exits 2 'a seed that is no number ends with 2' "$sim" run "$folder"/good --seed x
exits 0 'help is no error' "$sim" --help
exits 0 'the grammar can be asked for' "$sim" words
says 'T crash SEL'
exits 0 'scenarios are listed with what they tell' "$sim" list
says 'flagship.schedule .*The flagship'

exits 0 'a trace is written' "$sim" run "$folder"/good --trace "$folder"/trace
[ "$(head -c 8 "$folder"/trace)" = SHOALTRC ]
result $? 'in the format of trace files'
exits 2 'a trace that cannot be written is an error' "$sim" run "$folder"/good --trace "$folder"/no/trace
exits 0 'a report can be JSON' "$sim" run "$folder"/good --json
python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); assert r["verdict"] == "held"' \
    "$folder"/out
result $? 'that a parser takes'
exits 0 'a story can be told' "$sim" run sim/scenarios/flagship.schedule --narrate
says 'n1 suspects n3'
says '>> .*loses its power'

mkdir "$folder"/records
exits 0 'nodes can be recorded' "$sim" run sim/scenarios/flagship.schedule --record "$folder"/records
exits 0 'and run again' "$sim" replay "$folder"/records/n1-1.rec
says 'all as recorded'
exits 0 'up to a time' "$sim" replay "$folder"/records/n1-1.rec --until 2.5s
says 'stopped as asked'
exits 0 'or a step' "$sim" replay "$folder"/records/n1-1.rec --until 20
says '20 steps'
exits 2 'but not to anything else' "$sim" replay "$folder"/records/n1-1.rec --until soon
exits 2 'a trace is no recording' "$sim" replay "$folder"/trace

exits 0 'the canonical form is printed' "$sim" fmt "$folder"/good
cp "$folder"/out "$folder"/canonical
exits 0 'and taken again' "$sim" fmt "$folder"/canonical
cmp -s "$folder"/out "$folder"/canonical
result $? 'unchanged'
for file in sim/scenarios/*.schedule; do
    "$sim" fmt "$file" | cmp -s - "$file"
    result $? "$file is in canonical form"
done
echo "1..$count"
