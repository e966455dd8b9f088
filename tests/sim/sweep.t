#!/bin/sh
# shoal-sim sweep: what it draws holds, its report does not depend on how many processes ran it nor
# on how the seeds were divided, and what it finds can be run again from the file alone.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

exits 0 'twenty drawn schedules hold' "$sim" sweep --seeds 1..20 --jobs 3
cp "$folder"/out "$folder"/three
exits 0 'and hold in one process at a time' "$sim" sweep --seeds 1..20 --jobs 1
cmp -s "$folder"/out "$folder"/three
result $? 'the report does not depend on the number of processes'
for line in '^marks  *[0-9]* of [0-9]* reached' '^  election-won' '^NEVER ' '^seeds  *1\.\.20$' \
    '^runs  *20, of which 0 broke a promise$' '^verdict  *held$'; do
    says "$line"
done

"$sim" sweep --seeds 1..20 --json >"$folder"/whole 2>/dev/null
"$sim" sweep --seeds 1..7 --json >"$folder"/first 2>/dev/null
"$sim" sweep --seeds 8..20 --json >"$folder"/second 2>/dev/null
exits 0 'two sweeps are added up' "$sim" sweep --merge "$folder"/second "$folder"/first --json
cmp -s "$folder"/out "$folder"/whole
result $? 'to what one sweep over all seeds says'
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["runs"] == 20' "$folder"/out
result $? 'in JSON that a parser takes'
exits 2 'the same seeds are not added up twice' "$sim" sweep --merge "$folder"/whole "$folder"/first
exits 2 'another file is not added up' "$sim" sweep --merge "$folder"/whole sim/lines.def
exits 2 'a sweep needs seeds' "$sim" sweep
exits 2 'in their order' "$sim" sweep --seeds 5..4

# What a template says stays, all else is drawn.
cat >"$folder"/template <<'END'
schedule v1
cluster nodes 3 node_timeout 1s meet star
config * cluster-require-full-coverage no

6s        crash n2
6s        expect known == 4 on n1 within 1s
END
exits 1 'a template whose promise does not hold is found out' \
    "$sim" sweep "$folder"/template --seeds 4..6 --keep-going --out "$folder"/found
says '^BROKEN  *expect known == 4$'
says '^  *seeds 4 5 6$'
says 'seed-4.schedule$'
for seed in 4 5 6; do
    file=$folder/found/seed-$seed.schedule
    "$sim" fmt "$file" | cmp -s - "$file"
    result $? "the file of seed $seed is in canonical form"
    exits 1 "and breaks the promise by itself" "$sim" run "$file"
    says 'expect known == 4 on n1 within 1s: n1 knows 3'
    grep -q '^6s  *crash n2$' "$file" && grep -q ' net \* ' "$file"
    result $? 'it has what was given and what was drawn'
done

# A sweep ends with the first seed that breaks a promise, whatever else was under way.
for jobs in 1 4; do
    rm -rf "$folder"/found
    exits 1 "a sweep of $jobs at once stops at the first violation" \
        "$sim" sweep "$folder"/template --seeds 4..90 --jobs $jobs --out "$folder"/found
    says '^  *seeds 4$'
    says '^seeds  *4\.\.4$'
    says '^runs  *1, of which 1 broke a promise$'
    says '^stopped .* 5\.\.90 were not run'
    [ "$(ls "$folder"/found)" = seed-4.schedule ]
    result $? 'its schedule is kept, and no other'
done
echo "1..$count"
