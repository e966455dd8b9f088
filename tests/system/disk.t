#!/usr/bin/env perl
# A program that keeps a cache on a directory (shoal/disk.h), killed at any moment under each policy:
# what it had called safe is found again. And the directory is a server's: each serves what the other
# has left there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;
use Time::HiRes qw(sleep);

my $cycles  = $ENV{SHOAL_CRASH_CYCLES} || 25;    # of each policy
my $threads = 4;
my $program = ($ENV{SHOAL_BUILD} || root() . '/build/release') . '/tests/system/disk_writer';

# A small generator, so that every run kills at moments of the same kinds.
my $state = 1789;
sub below { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }

# Lets the program write for a while after its first word, and kills it. The last number that each
# thread has called safe is in @$safe. Returns what it complained about.
sub write_and_kill {
    my ($directory, $policy, $seconds, $safe) = @_;
    my $complaints = temporary() . '/complaints';
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>', $complaints;
        exec $program, 'write', $directory, $policy, $threads or POSIX::_exit(127);
    }
    my $line = <$pipe> // '';
    $safe->[$1] = $2 if $line =~ /^(\d+) (\d+)$/;
    my $killer = fork // die "fork: $!";
    if ($killer == 0) {
        sleep $seconds;
        kill 'KILL', $pid;
        POSIX::_exit(0);
    }
    while ($line = <$pipe>) {
        $safe->[$1] = $2 if $line =~ /^(\d+) (\d+)\n/;
    }
    waitpid $killer, 0;
    close $pipe;
    open my $in, '<', $complaints or return '';
    local $/;
    return scalar(<$in>) // '';
}

for my $policy (qw(always everysec no)) {
    my $directory = temporary();
    my @safe = (0) x $threads;
    my ($cycle, $wrong, $written) = (0, '', 0);
    for ($cycle = 1; $cycle <= $cycles && $wrong eq ''; $cycle++) {
        $wrong = write_and_kill($directory, $policy, 0.001 * (1 + below(60)), \@safe);
        my ($status, $found) = run_program($program, 'read', $directory, $policy, $threads);
        $wrong .= "it does not open: $found" if $status != 0;
        while ($found =~ /^(\d+) (\d+) (\d+) (\d+)$/mg) {
            my ($thread, $client, $count, $list) = ($1, $2, $3, $4);
            $wrong .= "cycle $cycle, thread $thread: called safe $safe[$thread], found $client, "
                . "$count and $list\n"
                if $list < $safe[$thread] || $client > $safe[$thread] + 1
                || $client < $count || $count < $list || $client - $list > 1;
            $safe[$thread] = $client;
            $written += $client;
        }
    }
    is($wrong, '', "$policy: after each of $cycles kills everything that was called safe is there");
    cmp_ok($written, '>', $cycles, "$policy: and there was something");
}

my $directory = temporary();
my ($status, $said) = run_program($program, 'run', $directory, 'HSET hash field 1');
is($said, ":1\r\n", 'a program writes to a directory');
run_program($program, 'run', $directory, 'SET lives long PXAT 4102444800000');
my $server = start_server(directory => $directory, arguments => ['--appendonly', 'yes']);
is(cli($server, 'hget', 'hash', 'field'), '1', 'a server that is started there serves it');
is(cli($server, 'pexpiretime', 'lives'), '4102444800000', 'with its time to live');
($status, $said) = run_program($program, 'run', $directory, 'PING');
isnt($status, 0, 'and keeps programs out as long as it runs');
like($said, qr/Somebody else uses the directory/, 'with words');
cli($server, 'zadd', 'zset', '1.5', 'member');
cli($server, 'bgrewriteaof');
wait_for(20, sub { cli($server, 'info', 'persistence') =~ /aof_rewrites:[1-9]/ });
cli($server, 'rpush', 'list', 'a', 'b');
stop_server($server);
($status, $said) = run_program($program, 'run', $directory, 'ZSCORE zset member');
is($said, "\$3\r\n1.5\r\n", 'and a program finds what the server has left in its base');
($status, $said) = run_program($program, 'run', $directory, 'LRANGE list 0 -1');
is($said, "*2\r\n\$1\r\na\r\n\$1\r\nb\r\n", 'and behind it');

{
    my $redis = free_port();
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', "$directory/redis.log";
        exec 'timeout', 60, 'redis-server', '--port', $redis, '--dir', $directory, '--appendonly',
            'yes', '--save', '' or POSIX::_exit(127);
    }
    my $peer = { port => $redis };
    wait_for(20, sub { cli($peer, 'ping') eq 'PONG' });
    is(cli($peer, 'zscore', 'zset', 'member'), '1.5', 'so does a redis-server');
    cli($peer, 'set', 'from', 'redis');
    cli($peer, 'shutdown');
    waitpid $pid, 0;
    ($status, $said) = run_program($program, 'run', $directory, 'GET from');
    is($said, "\$5\r\nredis\r\n", 'whose writes a program finds');
}
# ---- both at once ----

$directory = temporary();
my $writer = open(my $pipe, '-|') // die "fork: $!";
if ($writer == 0) {
    exec $program, 'write', $directory, 'no', 1 or POSIX::_exit(127);
}
my $line = <$pipe>;
$server = start_server(directory => $directory, arguments => ['--appendonly', 'yes'], ready => 0);
ok(defined wait_for(20, sub { System::gone($server) }), 'a server does not start where a program is at work');
like(server_log($server), qr/A program keeps a cache in the directory/, 'and says why');
kill 'KILL', $writer;
close $pipe;
done_testing();
