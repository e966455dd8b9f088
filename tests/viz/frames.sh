# The golden frames of shoal-top: name, schedule, moments, size, further options. Read by top.t, which
# compares them, and by bless, which renews them. A frame is a function of the schedule alone.
# shellcheck shell=sh

frames='
agreed    flagship  5s         110x36
suspected flagship  18.1779s   110x36  --view n1
failed    flagship  19.1456s   110x36
mended    flagship  44s        110x36
small     flagship  22s        80x24
large     flagship  22s        160x76
minority  minority-partition  14s  110x36  --view n1
forgotten 27-forgotten-node-returns  9s  110x36  --view n1
'

# draw SCHEDULE MOMENT SIZE OPTIONS...: prints the frame.
draw()
{
    schedule=$1 moment=$2 size=$3
    shift 3
    "$top" --sim "sim/scenarios/$schedule.schedule" --headless --at "$moment" --size "$size" "$@"
}
