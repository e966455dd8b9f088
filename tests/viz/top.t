#!/bin/sh
# The program shoal-top: its frames against golden ones, the same picture from a trace file as from
# the simulation, its arguments, and the keys in a real terminal (tmux).
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
export LC_ALL=C.UTF-8
bin=${SHOAL_BUILD:-build/release}/bin
top=$bin/shoal-top
folder=$(mktemp -d) || exit 1
session=shoal-top-$$
trap 'tmux kill-session -t $session 2>/dev/null; rm -rf "$folder"' EXIT
. tests/viz/frames.sh
flagship=sim/scenarios/flagship.schedule
count=0

result()
{
    count=$((count + 1))
    if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# ---- golden frames ----

echo "$frames" >"$folder/list"
while read -r name arguments; do
    [ -n "$name" ] || continue
    draw $arguments >"$folder/$name" 2>"$folder/err"
    diff -u "tests/viz/golden/$name.txt" "$folder/$name" >"$folder/diff"
    result $? "the frame '$name' is the golden one"
    sed 's/^/# /' "$folder/diff" "$folder/err"
done <"$folder/list"

grep -q 'C n3  FAIL ' tests/viz/golden/failed.txt && grep -q 'ccccc' tests/viz/golden/failed.txt
result $? 'the golden frame of the failure shows the failed node and its slots'

cmp tests/viz/golden/failed.txt docs/flagship.txt
result $? 'the frame that the documents show is the golden one'

# ---- one picture from both sources ----

"$bin/shoal-sim" run $flagship --trace "$folder/trace" --quiet >/dev/null
sed 1d tests/viz/golden/failed.txt >"$folder/wanted"
"$top" --trace "$folder/trace" --headless --at 19.1456s --size 110x36 | sed 1d >"$folder/got"
cmp "$folder/wanted" "$folder/got"
result $? 'a trace file gives the same picture as the simulation'

"$top" --sim $flagship --headless --at 30s,19.1456s --size 110x36 | tail -n 36 >"$folder/got"
cmp tests/viz/golden/failed.txt "$folder/got"
result $? 'going back in time gives the same picture as going forward'

rolling=sim/generators/rolling-restart.lua
"$bin/shoal-sim" generate $rolling masters=4 >"$folder/rolling" 2>"$folder/err"
"$top" --sim "$folder/rolling" --headless --at 12s | sed 1d >"$folder/wanted"
"$top" --sim $rolling masters=4 --headless --at 12s | sed 1d >"$folder/got"
cmp "$folder/wanted" "$folder/got" && grep -q 'n4' "$folder/got"
result $? 'a generator gives the same picture as the schedule that it writes'

# ---- what a node has recorded ----

mkdir "$folder/records"
"$bin/shoal-sim" run $flagship --record "$folder/records" --quiet >/dev/null
"$bin/shoal-sim" replay "$folder/records/n1-1.rec" --trace "$folder/n1" --quiet
result $? 'what a node has recorded is what this program does'
"$top" "$folder/records/n1-1.rec" --headless --at 19.1456s --size 110x36 --view n1 | sed 1d >"$folder/got"
"$top" --trace "$folder/n1" --headless --at 19.1456s --size 110x36 --view n1 | sed 1d >"$folder/wanted"
cmp "$folder/wanted" "$folder/got" && grep -q FAIL "$folder/got"
result $? 'a recording gives the same picture as the trace that it is made to'

"$bin/shoal-sim" replay "$folder"/records/*.rec --trace "$folder/all" --quiet
"$top" --trace "$folder/all" --headless --at 44s --size 110x36 | sed -n 2,18p >"$folder/got"
sed -n 2,18p tests/viz/golden/mended.txt >"$folder/wanted"
cmp "$folder/wanted" "$folder/got"
result $? 'the recordings of all nodes are the golden picture of the cluster'

# ---- wrong arguments and files ----

# refuses WORDS ARGUMENTS...: exit code 2, and the words on standard error.
refuses()
{
    words=$1
    shift
    "$top" "$@" >"$folder/out" 2>"$folder/err"
    [ $? = 2 ] && grep -q -e "$words" "$folder/err" && [ ! -s "$folder/out" ]
    result $? "refused: $*: $words"
}

refuses 'either --sim FILE or --trace FILE'
refuses 'only a generator has parameters' --sim $flagship masters=5
refuses 'nonsense' --sim sim/generators/third-dies.lua nonsense=1 --headless
refuses 'an option that --help lists' --colour red
refuses 'times such as' --sim $flagship --headless --at soon
refuses '80x24 to' --sim $flagship --headless --size 10x10
refuses 'No such file' --trace "$folder/none"
refuses 'expected "SHOALTRC" at byte 0' --trace $flagship
refuses 'expected the label of a node' --sim $flagship --headless --at 5s --view n9
head -c 5000 "$folder/trace" >"$folder/cut"
refuses 'the file ends inside an entry' --trace "$folder/cut" --headless
printf 'schedule v1\ncluster nodes 3\n1s expcet converge\n' >"$folder/wrong"
refuses 'wrong:3:' --sim "$folder/wrong" --headless
head -c 3000 "$folder/records/n1-1.rec" >"$folder/spoilt"
printf 'x' | dd of="$folder/spoilt" bs=1 seek=300 conv=notrunc 2>/dev/null
refuses 'frame at byte' --trace "$folder/spoilt" --headless

# ---- keys, in a terminal ----

# shows WORDS NAME: the terminal shows the words within ten seconds.
shows()
{
    for _ in $(seq 100); do
        tmux capture-pane -p -t $session >"$folder/pane" 2>/dev/null
        grep -q -e "$1" "$folder/pane" && break
        sleep 0.1
    done
    grep -q -e "$1" "$folder/pane"
    shown=$?
    result $shown "$2"
    [ $shown = 0 ] || sed 's/^/# /' "$folder/pane"
}

tmux new-session -d -s $session -x 110 -y 36 "$top --sim $flagship"
shows 'view truth  running x1' 'it runs at real time in a terminal'
tmux send-keys -t $session ' '
shows 'paused' 'the blank pauses'
tmux send-keys -t $session g; tmux send-keys -t $session 19.1456s Enter
shows 't=19.1456' 'g goes to a time'
tmux send-keys -t $session '{'
shows 't=19.1447' 'a brace goes to the news before'
tmux send-keys -t $session v
shows 'view n1' 'v shows the cluster through the eyes of n1'
tmux send-keys -t $session '?'
shows 'whose view of the slots' 'a question mark shows the keys'
tmux send-keys -t $session q
for _ in $(seq 100); do tmux has-session -t $session 2>/dev/null || break; sleep 0.1; done
tmux has-session -t $session 2>/dev/null
[ $? != 0 ]
result $? 'q leaves'

echo "1..$count"
