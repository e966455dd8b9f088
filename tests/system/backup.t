#!/usr/bin/env perl
# shoal-backup: a cluster into a folder, and back into one of another size; from Redis too, while it
# is written to. What is restored is what was saved, to the digest; under writes it is what all
# masters had at one moment.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;
use Time::HiRes qw(time);

my $program = ($ENV{SHOAL_BUILD} || root() . '/build/release') . '/bin/shoal-backup';
my @debug   = ('--enable-debug-command', 'yes', '--save', '');

sub backup { return run_program($program, @_) }
sub address { return "127.0.0.1:$_[0]{port}" }

# The digests of all masters as one: of an odd number, each of which holds a key, it is that of the
# keys, wherever they are.
sub digest_of {
    my (@servers) = @_;
    my $sum = "\0" x 20;
    $sum ^= pack 'H40', cli($_, 'debug', 'digest') for @servers;
    return unpack 'H40', $sum;
}

# What INFO-like text of a folder says of its shards: the numbers behind a word.
sub inventory {
    my ($folder, $word) = @_;
    open my $in, '<', "$folder/INVENTORY" or return ();
    local $/;
    return <$in> =~ /\b$word (\d+)/g;
}

sub total { my $sum = 0; $sum += $_ for @_; return $sum }

sub fill {
    my ($server) = @_;
    my $commands = '';
    for my $i (1 .. 60) {
        my $at = 4102444800000 + $i;
        $commands .= "SET string:$i value:$i\nSET integer:$i $i\nSET lives:$i x PXAT $at\n"
            . "RPUSH list:$i a b $i\nHSET hash:$i f $i g 2\nSADD set:$i a b $i\nSADD integers:$i 1 $i\n"
            . "ZADD zset:$i 1.5 a $i b\n";
    }
    $commands .= 'HSET table ' . join(' ', map { "f$_ " . 'x' x 700 } 1 .. 500) . "\n";
    $commands .= 'ZADD tree ' . join(' ', map { "$_ m$_" } 1 .. 500) . "\n";
    $commands .= 'RPUSH chain ' . join(' ', map { 'y' x 60 . $_ } 1 .. 500) . "\n";
    $commands .= "EXPIREAT table 4102444800\nSET binary \"\\x00\\r\\n\\xff\"\n";
    cli($server, { input => $commands }, '-c');
}

# ---- three masters into five ----

my @three = start_cluster(3, @debug);
my @five  = start_cluster(5, @debug);
fill($three[0]);
my $folder = temporary() . '/saved';
my ($status, $said) = backup('save', address($three[1]), $folder);
is($status, 0, 'a cluster of three is saved') or diag($said);
like($said, qr/^saved 484 keys and 0 later commands of 3 masters/m, 'and it is said how much that is');
($status, $said) = backup('verify', $folder);
is($status, 0, 'the backup is whole') or diag($said);
my $stray = "stray";
cli($five[0], '-c', 'set', $stray, 1);
($status, $said) = backup('restore', $folder, address($five[0]));
is($status >> 8, 4, 'a target that holds keys is refused');
like($said, qr/the target holds 1 keys/, 'with words');
cli($five[0], '-c', 'del', $stray);
($status, $said) = backup('restore', $folder, address($five[0]));
is($status, 0, 'and restored into a cluster of five') or diag($said);
is(total(map { cli($_, 'dbsize') } @five), 484, 'which then holds as many keys');
is(digest_of(@five), digest_of(@three), 'and the same values');
is(cli($five[0], '-c', 'pexpiretime', 'lives:7'), '4102444800007', 'and times to live');
is(cli($five[0], '-c', 'expiretime', 'table'), '4102444800', 'of large ones too');
cli($five[0], '-c', 'set', 'string:1', 'other');
($status, $said) = backup('restore', $folder, address($five[4]), '--replace');
is($status, 0, 'once more with --replace') or diag($said);
is(digest_of(@five), digest_of(@three), 'all is as it was');

# ---- what is wrong ----

is((backup('save', address($three[0]), $folder))[0] >> 8, 1, 'a folder that holds a backup is refused');
is((backup('save', '127.0.0.1:1', "$folder.none"))[0] >> 8, 1, 'so is a server that is not there');
is((backup('save', 'nowhere', "$folder.none"))[0] >> 8, 2, 'and an address that is none');
is((backup('verify', temporary()))[0] >> 8, 3, 'a folder without a backup is none');
{
    my ($file) = glob "$folder/shard-0002.aof";
    open my $out, '+<', $file or die $!;
    seek $out, 100, 0;
    print {$out} '#';
    close $out;
    ($status, $said) = backup('verify', $folder);
    is($status >> 8, 3, 'a byte that has changed is found');
    like($said, qr/shard-0002.aof is damaged/, 'and its file named');
    is((backup('restore', $folder, address($five[0]), '--replace'))[0] >> 8, 3,
        'and nothing of it restored');
}
cli($_, 'flushall') for @five;

# ---- Redis, while it is written to ----

my @redis;
{
    local $ENV{SHOAL_SERVER} = 'redis-server';
    @redis = start_cluster(3, @debug, '--repl-diskless-sync-delay', 0);
}
fill($redis[0]);
# The snapshot of one begins later: the others go on for so long.
cli($redis[0], 'config', 'set', 'repl-diskless-sync-delay', 1);

# One writer goes from master to master, and notes when it began and when it had its answer.
my @names = map {
    my $n = 0;
    my $server = $_;
    $n++ while cli($server, 'set', "n$n", 0) ne 'OK';
    "n$n";
} @redis;
my @sockets = map { connect_to($_) } @redis;
$folder = temporary() . '/saved';
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', "$folder.said";
    open STDERR, '>&', \*STDOUT;
    exec 'timeout', 60, $program, 'save', address($redis[2]), $folder or POSIX::_exit(127);
}
my @log;
my $n = 0;
while (waitpid($pid, POSIX::WNOHANG()) == 0) {
    $n++;
    for my $i (0 .. 2) {
        my ($name, $short) = ($names[$i], "{$names[$i]}short");
        my $began = time;
        # The short-lived one is over before it is restored; what is added to it must not come back.
        send_bytes($sockets[$i], "SET $name $n\r\nRPUSH {$name}list $n\r\nSET $short $n PX 1500\r\n"
            . "APPEND $short x\r\nINCRBY {$name}count 2\r\n");
        read_reply($sockets[$i], qr/\A(?:[+:][^\n]*\n){5}\z/);
        push @{ $log[$i] }, [$n, $began, time];
    }
    select undef, undef, undef, 0.002;
}
is($?, 0, 'a cluster of Redis is saved while it is written to') or diag(`cat $folder.said`);
my @cut = inventory($folder, 'cut');
my ($cut_ended) = do { open my $in, '<', "$folder/INVENTORY"; local $/; <$in> =~ /cut \d+ (\d+)/ };
my @commands = inventory($folder, 'commands');
cmp_ok(total(@commands), '>', 0, 'with commands behind the snapshots');
my ($one) = glob "$folder/shard-0001.aof";
is((run_program('redis-check-aof', $one))[0], 0, 'a file of it is an append-only file of Redis');

select undef, undef, undef, 1.5;
($status, $said) = backup('restore', $folder, address($five[1]));
is($status, 0, 'and restored into five masters of Shoal') or diag($said);
my ($wrong, $list_wrong, $resurrected) = ('', '', 0);
for my $i (0 .. 2) {
    my $name  = $names[$i];
    my $value = cli($five[0], '-c', 'get', $name);
    my ($acknowledged) = reverse map { $_->[0] } grep { $_->[2] * 1e6 < $cut[0] } @{ $log[$i] };
    my ($begun) = reverse map { $_->[0] } grep { $_->[1] * 1e6 <= $cut_ended } @{ $log[$i] };
    $wrong .= "master $i: $value, acknowledged before the cut $acknowledged, begun before its end $begun\n"
        if $value < ($acknowledged // 0) || $value > ($begun // 0);
    my $list = cli($five[0], '-c', 'lrange', "{$name}list", 0, -1);
    my @entries = split /\n/, $list;
    $list_wrong .= "master $i: $#entries\n" if "@entries" ne join ' ', 1 .. scalar @entries
        or abs(@entries - $value) > 1 or abs(cli($five[0], '-c', 'get', "{$name}count") - 2 * $value) > 2;
    $resurrected += cli($five[0], '-c', 'exists', "{$name}short");
}
is($wrong, '', 'each master is restored as it was at the moment of the cut');
is($list_wrong, '', 'and no command is lost or carried out twice');
is($resurrected, 0, 'and what was over is not there again');
is(cli($five[0], '-c', 'pexpiretime', 'lives:9'), '4102444800009', 'times to live are what they were');
my $before = digest_of(@five);
($status, $said) = backup('restore', $folder, address($five[1]), '--replace');
is($status, 0, 'restored once more over itself') or diag($said);
is(digest_of(@five), $before, 'it is the same');
stop_server($_, 'KILL') for @redis, @five, @three;

# ---- servers without a cluster ----

my ($from, $to) = map { start_server(arguments => [@debug]) } 1 .. 2;
cli($from, 'set', 'a', 1);
cli($from, '-n', 3, 'rpush', 'b', 1, 2);
$folder = temporary() . '/saved';
is((backup('save', address($from), $folder))[0], 0, 'a single server is saved');
is((backup('restore', $folder, address($to)))[0], 0, 'and restored');
is(cli($to, 'debug', 'digest'), cli($from, 'debug', 'digest'), 'with all its databases');
done_testing();
