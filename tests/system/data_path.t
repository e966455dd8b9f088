#!/usr/bin/env perl
# The way of a client's bytes as the kernel sees it: no lock is ever waited for, and a batch of
# requests costs one wait, one read and one write.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $probe = temporary() . '/probe';
my ($status, $output) = run_program('strace', '-f', '-o', $probe, 'true');
plan skip_all => "strace cannot trace here: $output" if $status != 0;

# Runs a server under strace, puts load on it, and returns its system calls of that time by name.
sub calls_under {
    my (@load) = @_;
    my $directory = temporary();
    my $server = start_server(directory => $directory, arguments => ['--worker-threads', '2'],
        wrapper => ['strace', '-f', '-qq', '-s', '100', '-o', "$directory/trace"]);
    # What the tracer ran is its child; the server itself is found by asking it.
    my ($pid) = cli($server, 'info', 'server') =~ /process_id:(\d+)/;
    cli($server, 'set', 'mark', 'begin-of-load');
    my ($code, $text) = run_program({ limit => 120 }, @load, '-p', $server->{port});
    is($code, 0, 'the load is served') or diag $text;
    cli($server, 'set', 'mark', 'end-of-load');
    kill 'TERM', $pid;
    wait_for(10, sub { !kill 0, $pid });
    my $trace = do { local (@ARGV, $/) = "$directory/trace"; <> };
    my ($between) = $trace =~ /begin-of-load(.*)end-of-load/s or die 'no marks in the trace';
    my %count;
    $count{$1}++ while $between =~ /^\d+ +(\w+)\(/mg;
    return %count;
}

my %calls = calls_under('redis-benchmark', '-q', '-n', 20000, '-c', 50, '-P', 16, '-r', 1000, '-t',
    'set,get');
diag join ' ', map { "$_=$calls{$_}" } sort keys %calls if !is($calls{futex} // 0, 0,
    'no thread waits for another under load');
my $batches = 2 * 20000 / 16;
my $read  = ($calls{recvfrom} // 0) + ($calls{read} // 0);
my $write = ($calls{sendto} // 0) + ($calls{write} // 0);
cmp_ok($read,  '<', $batches * 1.2 + 500, 'a batch of requests is read at once');
cmp_ok($write, '<', $batches * 1.2 + 500, 'and its replies are written at once');
cmp_ok($calls{epoll_wait} // 0, '<', $batches * 1.5 + 500, 'after one wait at most');
cmp_ok($calls{epoll_ctl} // 0, '<', 1000, 'and epoll is not told what it knows');
done_testing;
