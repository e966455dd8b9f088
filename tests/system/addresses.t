#!/usr/bin/env perl
# A cluster all of whose addresses change at once comes together again: by seeds when nobody is
# where anybody was, by itself when the nodes have changed places. Nodes on several addresses of
# the loopback interface.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @nodes = map { { port => free_port(), directory => temporary() } } 1 .. 4;

# Starts node `which` as it was, but at another address.
sub start_at {
    my ($which, $ip, @more) = @_;
    my $node = $nodes[$which];
    my $server = start_server(port => $node->{port}, directory => $node->{directory},
        arguments => ['--cluster-enabled', 'yes', '--cluster-node-timeout', 1000, '--bind', $ip,
            '--bind-source-addr', $ip, @more]);
    @$node{qw(server ip)} = ($server, $ip);
}

sub ask {
    my ($node, @words) = @_;
    return cli($node->{server}, '-h', $node->{ip}, @words);
}

# Whether every node knows every node where it is.
sub all_known {
    my %wanted = map { $_->{id} => "$_->{ip}:$_->{port}" } @nodes;
    for my $node (@nodes) {
        my %seen = map { /^(\w+) (\S+?)@/ ? ($1 => $2) : () } split /\n/, ask($node, 'cluster', 'nodes');
        return 0 if grep { ($seen{$_} // '') ne $wanted{$_} } keys %wanted;
        return 0 if keys %seen != @nodes;
    }
    return 1;
}

sub healthy {
    return !grep { ask($_, 'cluster', 'info') !~ /^cluster_state:ok\r?$/m } @nodes;
}

sub report { return join "\n\n", map { ask($_, 'cluster', 'nodes') } @nodes }

# ---- the first life ----

start_at($_, '127.0.0.' . (11 + $_)) for 0 .. 3;
my ($status, $output) = run_program('redis-cli', '--cluster', 'create',
    (map {"$_->{ip}:$_->{port}"} @nodes), '--cluster-replicas', 0, '--cluster-yes');
is($status, 0, 'four masters make a cluster') or diag $output;
$_->{id} = ask($_, 'cluster', 'myid') for @nodes;
ok(wait_for(20, sub { healthy() && all_known() }), 'that is healthy') or diag report();
is(ask($nodes[0], '-c', 'set', 'foo', 'bar'), 'OK', 'and takes data');

# ---- other addresses, and one name ----

stop_server($_->{server}) for @nodes;
my @seeds = ('--cluster-seeds', "localhost:$nodes[0]{port}");
start_at(0, '127.0.0.1', @seeds);
start_at($_, '127.0.0.' . (21 + $_), @seeds) for 1 .. 3;
ok(wait_for(40, \&all_known), 'all are found at other addresses through one name') or diag report();
ok(wait_for(20, \&healthy), 'the cluster is up again') or diag report();
like(ask($nodes[2], 'cluster', 'slots'), qr/127\.0\.0\.23/, 'a node tells clients its own new address');

# ---- changed places ----

stop_server($_->{server}) for @nodes;
my @ports = map { $_->{port} } @nodes;
my @ips   = map { $_->{ip} } @nodes;
$nodes[$_]{port} = $ports[($_ + 1) % 4] for 0 .. 3;
start_at($_, $ips[($_ + 1) % 4]) for 0 .. 3;
ok(wait_for(40, \&all_known), 'nodes that changed places find each other without seeds') or diag report();
ok(wait_for(20, \&healthy), 'and the cluster is up') or diag report();

done_testing;
