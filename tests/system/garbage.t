#!/usr/bin/env perl
# Bytes that are no commands: the server answers or closes, survives, and serves others meanwhile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $seed = $ENV{SHOAL_SEED} || time;
srand $seed;
note "seed $seed: SHOAL_SEED=$seed repeats this run";

my $server = start_server(arguments => ['--cluster-enabled', 'yes']);
my $witness = connect_to($server);

sub still_served {
    send_bytes($witness, "PING\r\n");
    return read_for($witness, 7, 10) eq "+PONG\r\n";
}

# What protocol errors say is read by clients.
my @errors = (
    "*1\r\n*1\r\n"              => qr/^-ERR Protocol error: expected '\$', got '\*'/,
    "*1\r\n\$-5\r\n"            => qr/^-ERR Protocol error: invalid bulk length/,
    "*1\r\n\$abc\r\n"           => qr/^-ERR Protocol error: invalid bulk length/,
    "*99999999999\r\n"          => qr/^-ERR Protocol error: invalid multibulk length/,
    "*abc\r\n"                  => qr/^-ERR Protocol error: invalid multibulk length/,
    "get \"unbalanced\r\n"      => qr/^-ERR Protocol error: unbalanced quotes in request/,
    'x' x 70_000                => qr/^-ERR Protocol error: too big inline request/,
    '*' . '1' x 70_000          => qr/^-ERR Protocol error: too big mbulk count string/,
    "*1\r\n\$" . '1' x 70_000   => qr/^-ERR Protocol error: too big bulk count string/,
);
while (my ($bytes, $wanted) = splice @errors, 0, 2) {
    my $socket = connect_to($server);
    send_bytes($socket, $bytes);
    like(read_reply($socket, qr/\n/, 5), $wanted, "refused: " . substr($bytes, 0, 20) =~ s/[^ -~]/./gr);
    is(read_for($socket, 1, 5), '', 'and closed');
}
my $fine = connect_to($server);
send_bytes($fine, "\r\n*0\r\n*-1\r\n   \r\nPING\r\n");
is(read_reply($fine, qr/\n/, 5), "+PONG\r\n", 'empty requests are no requests');
ok(still_served(), 'others are served');

# Random changes to things that make sense, on the client port and on the bus port.
my @words = ('GET', 'SET', 'CLUSTER', 'NODES', 'CONFIG', 'SET', 'a', '', "\0", "\xff" x 9, '-1', '9' x 20,
    'x' x 300, 'HELLO', '3', 'CLIENT', 'LIST', 'COMMAND', 'DOCS', 'SCAN', '0', 'MATCH', '[a-', 'COUNT', 'EX');

sub random_request {
    my @arguments = map { $words[rand @words] } 1 .. 1 + rand 6;
    return join(' ', @arguments) . "\r\n" if rand() < 0.2;
    return '*' . @arguments . "\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" } @arguments;
}

sub damaged {
    my ($bytes) = @_;
    for (1 .. 1 + rand 4) {
        my $at = rand length $bytes;
        my $how = rand 4;
        if    ($how < 1) { substr($bytes, $at, 1) = chr rand 256 }
        elsif ($how < 2) { substr($bytes, $at, rand 10) = '' }
        elsif ($how < 3) { substr($bytes, $at, 0) = join '', map { chr rand 256 } 1 .. rand 20 }
        else             { $bytes = substr $bytes, 0, $at }
        $bytes .= 'x' if $bytes eq '';
    }
    return $bytes;
}

my $frame = "RCmb" . pack('N n n n n', 2304, 1, $server->{port}, 0, 0) . "\0" x 2240;
for my $round (1 .. 10) {
    my @sockets;
    for (1 .. 40) {
        my $socket = connect_to($server);
        send_bytes($socket, damaged(join '', map { random_request() } 1 .. 1 + rand 20));
        push @sockets, $socket;
        my $bus = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->{port} + 10000) or next;
        send_bytes($bus, damaged($frame));
        send_bytes($bus, join '', map { chr rand 256 } 1 .. rand 3000) if rand() < 0.3;
        push @sockets, $bus;
    }
    ok(still_served(), "others are served in round $round") or last;
    close $_ for @sockets;
}
ok(wait_for(10, sub { cli($server, 'info', 'clients') =~ /connected_clients:[23]\r/ }), 'all of it is forgotten');
is(cli($server, 'cluster', 'info') =~ /cluster_known_nodes:(\d+)/ && $1, 1, 'the cluster believed none of it');
is(stop_server($server), 0, 'it ends well');
done_testing;
