#!/bin/sh
# shoal-sim live: schedules on real servers. Facts only: who took over, what was left out, that
# nothing is left behind. No test here asserts how long something took.
cd "${SHOAL_ROOT:-$(dirname "$0")/../..}" || exit 1
. tests/sim/tap.sh
server=$build/bin/shoal-server
# Live runs put their folders here, so that what they leave behind can be seen.
mkdir "$folder"/tmp
TMPDIR=$folder/tmp
export TMPDIR

# clean NAME: no folder and no server process of a live run is left.
clean()
{
    left=$(ls "$folder"/tmp)
    running=$(for process in /proc/[0-9]*; do readlink "$process"/cwd; done 2>/dev/null |
        grep "^$folder/tmp/")
    [ -z "$left$running" ]
    result $? "$1"
}

head='schedule v1
cluster nodes 6 masters 3 replicas 1 node_timeout 1s meet star
profiles redis-7
config * repl-diskless-sync-delay 0
0s net * latency 500us jitter 200us
500ms client c1 rate 200/s keys uniform(300) mix set:50,get:50 timeout 90s'

printf '%s\n%s\n' "$head" '2s crash n1 disk torn
2s clock n2 step +1h
2s expect fail n1 by n2 n3 within 90s
2s expect role master on n4 within 90s
2s expect state ok on n2..n6 within 90s
4s expect ops >= 1 since 500ms
3s stop c1
4s expect lost_acks <= 0 cause alive
4s expect copies equal on n5' >"$folder"/kill
for program in "$server" $(command -v redis-server); do
    label=$(basename "$program")
    exits 0 "$label plays a kill" "$sim" live "$folder"/kill --server "$program" --runs 1 \
        --seeds 1..3
    says "^LEFT OUT      $label .*$folder/kill:8: clock n2 .*(all processes share the machine's clocks)"
    says "^LEFT OUT      $label .*$folder/kill:15: expect copies equal on n5 "
    says "^changed       $label .*$folder/kill:7: crash n1 disk torn (the disk is kept"
    says "^runs          $label .*: 1 of 1 held$"
    says '^runs          simulated, redis-7: 3 of 3 held$'
    says "^    $label .*: distance [0-9]* of 1000 to the simulated runs"
    for measure in detection election write 'lost writes'; do
        sed -n "/^$measure  /,/^\$/p" "$folder"/out | grep -q "^  $label .* 1     0 "
        result $? "$label tells of each run: $measure"
    done
    clean "$label leaves nothing behind"
done

printf '%s\n%s\n' "$head" '2s cut n1 | *
2s expect fail n1 by n2 n3 within 90s
2s expect role master on n4 within 90s
2s expect state fail on n1 within 90s
30s heal *
30s expect role replica on n1 within 90s
30s expect converge within 90s' >"$folder"/cut
exits 0 'a cut master is replaced, and follows when it is back' "$sim" live "$folder"/cut \
    --server "$server" --runs 1 --seeds 1..1 --quiet

printf '%s\n%s\n' "$head" '2s pause n1
2s expect role master on n4 within 90s
2s operate n5 SET {06S} x
2s crash n5 power
25s restart n5
25s resume n1
25s expect role replica on n1 within 90s
25s restart n1
25s reset n2 | n3
25s expect converge within 90s
25s expect reply "PING" is "PONG" on n1..n6 within 90s
25s expect info cluster_size == 3 on n2 within 90s' >"$folder"/pause
exits 0 'a stopped master too; and --json says all' "$sim" live "$folder"/pause \
    --server "$server" --runs 1 --seeds 1..1 --json --plot "$folder"/plot.svg
says '"measure": "election", "line": 7, "missing": 0, "us": \[[0-9]'
says '"not_played": \[\]'
says '"verdict": "held"'
grep -q '</svg>' "$folder"/plot.svg
result $? 'the picture is written whole'
clean 'nothing is left of either'

printf '%s\n1s expect known == 7 on n1\n' "$head" >"$folder"/broken
exits 1 'what does not hold ends with 1' "$sim" live "$folder"/broken --server "$server" --runs 1 \
    --seeds 1..1 --quiet
says "BROKEN        $folder/broken:7: expect known == 7 on n1: n1 knows 6 "

exits 2 'a line that is left out is an error with --strict' "$sim" live "$folder"/kill \
    --server "$server" --strict
says "$folder/kill:8: shoal-server .* cannot play this as it is written: all processes share"
exits 2 'a server is wanted' "$sim" live "$folder"/kill
says 'live wants a server: --server PATH'
exits 2 'what is no program is told' "$sim" live "$folder"/kill --server "$folder"/none
says "$folder/none: cannot be run: expected a server program"
exits 2 'what is no server is told' "$sim" live "$folder"/kill --server /bin/echo
says '/bin/echo: says ".*" to --version: expected a Redis'
printf '%s\nconfig * port 0\n' "$head" >"$folder"/odd
printf 'schedule v1\ncluster nodes 65\n' >"$folder"/large
exits 2 'a schedule that is too large is told' "$sim" live "$folder"/large --server "$server"
says '65 nodes and 0 clients: expected at most 64 and 40 for a live run'

"$sim" live "$folder"/cut --server "$server" --runs 2 --jobs 2 >"$folder"/out 2>&1 &
running=$!
until ls "$folder"/tmp/*/n6/log >/dev/null 2>&1 || ! kill -0 $running; do sleep 0.05; done
kill -TERM $running
wait $running
[ $? = 2 ]
result $? 'a signal ends it'
clean 'and everything that it has started'
echo "1..$count"
