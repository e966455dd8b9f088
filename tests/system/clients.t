#!/usr/bin/env perl
# Cluster clients that applications use, against six real nodes: ioredis, iovalkey, node-redis,
# and the cache class of a well-known tutorial. Each script prints its own checks.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @nodes = start_cluster(6);
for my $client (qw(ioredis iovalkey node_redis seed_article)) {
    my ($status, $output) = run_program({ limit => 90 }, $ENV{SHOAL_NODE_JS} || 'node',
        "$FindBin::Bin/clients/$client.mjs", map { $_->{port} } @nodes);
    for my $line (split /\n/, $output) {
        if ($line =~ /^(not )?ok - (.*)/) { ok(!$1, $2) }
        else { note $line }
    }
    is($status, 0, "$client ends well") or diag $output;
    like($output, qr/^# done$/m, "$client ran to its end");
}
is(stop_server($_), 0, 'a node ends well') for @nodes;
done_testing;
