#!/usr/bin/env perl
# redis-cli against a real server: plain commands, both protocols, its scan, pipe and stat modes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $server = start_server();

# ---- plain commands ----

is(cli($server, 'set', 'greeting', 'hello world'), 'OK', 'SET');
is(cli($server, 'get', 'greeting'), 'hello world', 'GET');
is(cli($server, 'get', 'nothing'), '', 'GET of nothing');
is(cli($server, 'setex', 'short', '100', 'v'), 'OK', 'SETEX');
my $ttl = cli($server, 'ttl', 'short');
ok($ttl > 90 && $ttl <= 100, 'TTL') or diag $ttl;
is(cli($server, 'ttl', 'greeting'), '-1', 'TTL of a key without one');
is(cli($server, 'set', 'gone', '1', 'px', '30'), 'OK', 'SET PX');
ok(wait_for(5, sub { cli($server, 'exists', 'gone') eq '0' }), 'a key goes when its time is over');
is(cli($server, 'incrby', 'count', '41'), '41', 'INCRBY');
is(cli($server, 'incr', 'count'), '42', 'INCR');
is(cli($server, 'mset', 'a', '1', 'b', '2'), 'OK', 'MSET');
is(cli($server, 'mget', 'a', 'b', 'c'), "1\n2", 'MGET');
is(cli($server, 'del', 'a', 'b', 'c'), '2', 'DEL');
is(cli($server, 'type', 'greeting'), 'string', 'TYPE');
is(cli($server, 'nosuchcommand', 'x'),
    "ERR unknown command 'nosuchcommand', with args beginning with: 'x' ", 'an unknown command');
is(cli($server, 'get'), "ERR wrong number of arguments for 'get' command", 'a missing argument');
like(cli($server, 'info', 'server'), qr/^redis_version:7\.0\.15\r?$/m, 'INFO');
like(cli($server, 'debug', 'sleep', '0'), qr/^(OK|ERR )/, 'DEBUG answers something');

# ---- both protocols ----

is(cli($server, '-3', 'get', 'greeting'), 'hello world', 'GET by RESP3');
is(cli($server, '-3', '--no-raw', 'get', 'nothing'), '(nil)', 'a RESP3 null');
like(cli($server, '-3', '--no-raw', 'hello', '3'), qr/1# "server" => "redis"/, 'HELLO 3 is a map');
like(cli($server, '--no-raw', 'config', 'get', 'maxclien*'), qr/^1\) "maxclients"\n2\) "10000"$/,
    'CONFIG GET in RESP2 is a list');

# ---- modes ----

my $many = join '', map { "SET scan:$_ $_\r\n" } 1 .. 3000;
like(cli($server, { input => $many }, '--pipe'), qr/errors: 0, replies: 3000/, '--pipe');
my @found = sort split /\n/, cli($server, '--scan', '--pattern', 'scan:*');
is(scalar(@found), 3000, '--scan finds every key once');
is_deeply(\@found, [sort map { "scan:$_" } 1 .. 3000], 'and nothing else');
is(cli($server, { input => "set from stdin\nget from\nping\n" }), "OK\nstdin\nPONG", 'commands from a pipe');
is(cli($server, { input => "a value with\nnewlines" }, '-x', 'set', 'multi'), 'OK', '-x');
is(cli($server, 'get', 'multi'), "a value with\nnewlines", 'and its bytes');
is(cli($server, '-r', '5', 'incr', 'repeated'), "1\n2\n3\n4\n5", '-r');
like(cli($server, '--bigkeys'), qr/Sampled \d+ keys/, '--bigkeys');
my ($status, $stat) = run_program({ limit => 2 }, 'redis-cli', '-p', $server->{port}, '-i', '0.01',
    '--stat');
like($stat, qr{^keys .*\n\d+ +\S+ +1 +0 }m, '--stat');

# An interactive session asks for COMMAND DOCS to show hints; a pseudo terminal makes it one.
my ($code, $screen) = run_program({ input => "set k v\nget k\nquit\n", limit => 20 },
    'env', 'TERM=dumb', 'script', '-qec',
    "redis-cli -p $server->{port}", '/dev/null');
like($screen, qr/"v"/, 'an interactive session');
like(cli($server, 'command', 'docs', 'get'), qr/summary/, 'COMMAND DOCS');
ok(cli($server, 'command', 'count') > 50, 'COMMAND COUNT');

# ---- passwords ----

my $guarded = start_server(arguments => ['--requirepass', 'secret']);
like(cli($guarded, 'get', 'x'), qr/^NOAUTH Authentication required\.$/, 'nothing without the password');
is(cli($guarded, '-a', 'secret', '--no-auth-warning', 'ping'), 'PONG', 'AUTH by redis-cli');
like(cli($guarded, '-a', 'wrong', '--no-auth-warning', 'ping'), qr/WRONGPASS|NOAUTH/, 'a wrong one');

is(stop_server($server), 0, 'it ends well');
done_testing;
