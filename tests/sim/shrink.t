#!/bin/sh
# shoal-sim shrink on real runs: a promise that one of twenty faults breaks comes down to the few
# lines that matter.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh

# has WHAT PATTERN: the small schedule has such a line.
has()
{
    grep -q -e "$2" "$folder"/small
    code=$?
    result $code "$1"
    [ $code = 0 ] || sed 's/^/# /' "$folder"/small
}

# Twenty faults; only the long pause of n2 brings an election about.
cat >"$folder"/planted <<'END'
schedule v1
seed 3
cluster nodes 8 masters 4 replicas 1 node_timeout 2s meet all
config * cluster-require-full-coverage no
config * repl-diskless-sync-delay 0

0s    net * latency 500us jitter 200us dist lognormal split 5%
3s    expect converge within 5s
6s    client c1 rate 50/s keys zipf(500,1.1)
6s    client c2 rate 20/s keys uniform(100) mix set:100
9s    reset n1 | n2
9500ms stall n3 | n4 for 400ms
10s   cut n5 | n6
10200ms pause n7
10500ms resume n7
10700ms clock n3 step +1h
10900ms disk n4 slow 5ms
11s   reset n1 n3 | *
11400ms pause n1
11800ms heal n5 | n6
11900ms resume n1
12s   operate n4 CLUSTER SAVECONFIG
12123ms pause n2
13s   clock n5 drift +100ppm
14s   stall n6 -> n7 for 700ms
15s   operate n1 BGSAVE
16s   reset n8 | n2
17s   disk n4 ok
18s   net n6 latency 100ms
19s   net n6 latency 500us jitter 200us dist lognormal split 5%
20s   clock n7 freeze
21s   clock n7 run
24s   resume n2
25s   stop *
26s   expect failovers == 0
30s   expect converge within 20s
END
exits 1 'the planted schedule breaks a promise' "$sim" run "$folder"/planted
exits 0 'it is made small' "$sim" shrink "$folder"/planted --out "$folder"/small
grep -q '^promise  *expect failovers == 0$' "$folder"/err &&
    grep -q '^lines  *[0-9]*, before 35$' "$folder"/err
result $? 'and told by how much'
exits 1 'the small one breaks it too' "$sim" run "$folder"/small
grep -q 'BROKEN .*expect failovers == 0: found' "$folder"/out
result $? 'the same promise'
"$sim" fmt "$folder"/small | cmp -s - "$folder"/small
result $? 'it is in canonical form'
has 'the fault that matters is left' ' pause n[0-9]$'
[ "$(grep -c -v -e '^#' -e '^$' "$folder"/small)" -le 7 ]
result $? 'and at most seven lines are'
exits 0 'the same again gives the same' "$sim" shrink "$folder"/planted --out "$folder"/again
cmp -s "$folder"/small "$folder"/again
result $? 'to the last byte'

# A promise about a state, which a fault that is not ended would break too.
sed '/failovers/d; s/expect converge within 20s/expect role master on n2/' \
    "$folder"/planted >"$folder"/state
exits 0 'a state is made small' "$sim" shrink "$folder"/state --out "$folder"/small --budget 150
has 'the process that slept goes on in it' ' resume '
has 'and is judged' ' expect role master on n[0-9]$'

exits 2 'what breaks nothing cannot be made small' \
    "$sim" shrink sim/scenarios/stall.schedule
exits 2 'nor can what another promise is asked for' "$sim" shrink "$folder"/planted --check I1
grep -q 'expect failovers == 0' "$folder"/err
result $? 'the promises that are broken are told'
exits 0 'a budget is kept' "$sim" shrink "$folder"/planted --budget 10 --out "$folder"/small
grep -q '^runs  *10, all that were allowed$' "$folder"/err
result $? 'to the run'
echo "1..$count"
