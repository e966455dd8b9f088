#!/usr/bin/env perl
# DEBUG SLEEP stops a whole node: its other clients wait, whichever thread they are with, and in a
# cluster its replica takes over, as when people show a failover with it. A signal that ends the
# node ends its sleep too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use System;
use Test::More;
use Time::HiRes qw(sleep time);

sub is_silent { return !IO::Select->new($_[0])->can_read(0.3) }

my @debug = ('--enable-debug-command', 'yes', '--save', '');

# ---- one node with two threads ----

my $server = start_server(arguments => [@debug, '--worker-threads', 2]);
my @clients = map { connect_to($server) } 1 .. 6;
for my $client (@clients) {
    send_bytes($client, "PING\r\n");
    is(read_reply($client, qr/\r\n/, 5), "+PONG\r\n", 'a client is there');
}
my $began = time;
send_bytes($clients[0], "DEBUG SLEEP 1.5\r\nPING\r\n");
ok(is_silent($clients[0]), 'who asks for sleep waits');
send_bytes($_, "PING\r\n") for @clients[1 .. 5];
is(scalar(grep { is_silent($_) } @clients[1 .. 3]), 3, 'so do others');
is(read_reply($_, qr/\r\n/, 20), "+PONG\r\n", 'which are answered') for @clients[1 .. 5];
ok(time - $began >= 1.5, 'behind the sleep');
like(read_reply($clients[0], qr/PONG\r\n/, 20), qr/^\+OK\r\n\+PONG\r\n$/, 'as is who asked for it');

send_bytes($clients[0], "DEBUG SLEEP 3600\r\nDEBUG SLEEP 3600\r\n");
ok(is_silent($clients[0]), 'it sleeps for an hour');
is(stop_server($server), 0, 'SIGTERM wakes it, and it ends') or diag server_log($server);

# ---- one thread that finds several clients at once ----

# While the first sleeps, the second wakes the thread, and the other two are then found together.
$server = start_server(arguments => [@debug, '--worker-threads', 1]);
@clients = map { connect_to($server) } 1 .. 4;
for my $client (@clients) {
    send_bytes($client, "PING\r\n");
    read_reply($client, qr/\r\n/, 5);
}
$began = time;
for my $request ('DEBUG SLEEP 0.8', 'PING', 'DEBUG SLEEP 1', 'PING') {
    my $client = shift @clients;
    send_bytes($client, "$request\r\n");
    push @clients, $client;
    sleep 0.1;
}
is(read_reply($clients[3], qr/\r\n/, 20), "+PONG\r\n", 'who comes behind a sleeper is answered');
ok(time - $began >= 1.8, 'when that has woken');

# ---- a master of a cluster ----

my @servers = map {
    start_server(arguments => ['--cluster-enabled', 'yes', '--cluster-node-timeout', 1500,
        '--repl-diskless-sync-delay', 0, @debug])
} 1 .. 6;
my ($status, $output) = run_program('redis-cli', '--cluster', 'create',
    (map {"127.0.0.1:$_->{port}"} @servers), '--cluster-replicas', 1, '--cluster-yes');
is($status, 0, 'redis-cli makes a cluster with replicas') or diag $output;

sub info {
    my ($node, $section, $name) = @_;
    my ($value) = cli($node, 'info', $section) =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

sub in_step { return info($_[0], 'replication', 'master_link_status') eq 'up' }
ok(wait_for(30, sub { 3 == grep { in_step($_) } @servers }), 'three replicas are in step')
    or diag map { server_log($_) } @servers;
my $master = wait_for(30, sub {
    my ($owner) = grep { cli($_, 'set', '{tag}k', 'v') eq 'OK' } @servers;
    return $owner;
});
my ($ip, $port) = split / /, join ' ', cli($master, 'role') =~ /(127\.0\.0\.1)\s+(\d+)/;
my ($replica) = grep { $_->{port} == ($port // 0) } @servers;
ok($replica, 'the owner of a key has a replica') or diag cli($master, 'role');

my $asked = connect_to($master);
send_bytes($asked, "DEBUG SLEEP 12\r\n");
ok(wait_for(11, sub { info($replica, 'replication', 'role') eq 'master' }),
    'the replica takes over from a master that sleeps') or diag server_log($replica);
is(cli($replica, 'get', '{tag}k'), 'v', 'with its key');
is(read_reply($asked, qr/\r\n/, 30), "+OK\r\n", 'the sleeper wakes');
ok(wait_for(20, sub { info($master, 'replication', 'role') eq 'slave' }), 'and follows')
    or diag server_log($master);

done_testing();
