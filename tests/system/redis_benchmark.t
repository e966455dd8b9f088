#!/usr/bin/env perl
# redis-benchmark finishes without an error, alone and threaded, with and without pipelines.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $server = start_server(arguments => ['--worker-threads', '3']);

sub bench {
    my ($name, @arguments) = @_;
    my ($status, $output) = run_program({ limit => 120 }, 'redis-benchmark', '-p', $server->{port},
        '--csv', '-c', 50, '-r', 10000, @arguments);
    is($status, 0, "$name finishes");
    unlike($output, qr/error|failed|WRONG|ERR/i, "$name meets no error") or diag $output;
    return $output;
}

my $output = bench('every test', '-n', 20000, '-t', 'ping,set,get,incr,mset');
like($output, qr/^"$_"/m, "$_ was measured") for 'PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR';
like($output, qr/^"MSET \(10 keys\)"/m, 'MSET was measured');
bench('a pipeline of 16', '-n', 100000, '-P', 16, '-t', 'set,get');
bench('a pipeline of 500', '-n', 200000, '-P', 500, '-t', 'set,get,incr');
bench('two threads', '-n', 100000, '--threads', 2, '-t', 'set,get,mset');
bench('values of 4 KB', '-n', 20000, '-d', 4096, '-P', 8, '-t', 'set,get');
bench('RESP3', '-n', 20000, '-3', '-t', 'set,get');
bench('a connection per request', '-n', 5000, '-k', 0, '-t', 'ping,get');
like(cli($server, 'info', 'stats'), qr/^total_error_replies:[01]\r?$/m, 'no error was replied');
like(cli($server, 'info', 'clients'), qr/^connected_clients:1\r?$/m, 'every connection was closed');
is(stop_server($server), 0, 'it ends well');
done_testing;
