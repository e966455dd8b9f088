# What the tests of shoal-sim's program share; they read it with `.` from the root of the tree.
# Prints lines for a test harness (TAP); whoever reads it prints the plan at the end: 1..$count.
build=${SHOAL_BUILD:-build/release}
sim=$build/bin/shoal-sim
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
count=0

# result CODE NAME: one test, which holds when the code is 0.
result()
{
    count=$((count + 1))
    if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# exits CODE NAME COMMAND...: the command ends with this code.
exits()
{
    wanted=$1 name=$2
    shift 2
    "$@" >"$folder"/out 2>"$folder"/err
    code=$?
    [ $code = "$wanted" ]
    result $? "$name"
    [ $code = "$wanted" ] || sed 's/^/# /' "$folder"/out "$folder"/err
}

# says PATTERN: the last of those commands has printed it.
says()
{
    grep -q -e "$1" "$folder"/out "$folder"/err
    result $? "it says: $1"
}
