#!/usr/bin/env perl
# A cluster of two redis-server 7.0 masters and two Shoal masters: they meet in both directions,
# agree on the slot map, redirect clients to each other, see each other fail and come back; and
# when a Redis master dies, its Redis replica is elected with the votes of the Shoal nodes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $timeout_ms = 1500;
my @clustered  = ('--cluster-enabled', 'yes', '--cluster-node-timeout', $timeout_ms);

# The log of a server that is started again has its old lines, so the answer to PING counts.
sub answering {
    my ($server) = @_;
    wait_for(10, sub { cli($server, 'ping') eq 'PONG' }) or die "no answer from $server->{port}";
    return $server;
}

sub start_redis {
    my (%how) = @_;
    local $ENV{SHOAL_SERVER} = 'redis-server';
    my @arguments = (@clustered, '--save', '', '--bind', '127.0.0.1');
    return answering(start_server(%how, arguments => \@arguments));
}

sub start_shoal {
    my (%how) = @_;
    return answering(start_server(%how, arguments => [@clustered]));
}

sub node_id { return cli($_[0], 'cluster', 'myid') }

# Slot ranges with the port and name of their master, sorted, as a node's CLUSTER SLOTS has them.
sub slot_map {
    my ($server) = @_;
    my $text = cli($server, 'cluster', 'nodes');
    my @owned;
    for my $line (split /\n/, $text) {
        my ($id, $address, $flags, $master, $ping, $pong, $epoch, $link, @slots) = split / /, $line;
        my ($port) = $address =~ /:(\d+)@/;
        push @owned, "$id $port $epoch @slots" if @slots;
    }
    return join "\n", sort @owned;
}

# The ranges and the first node of CLUSTER SLOTS, as JSON-like text without the order of ranges.
sub slot_ranges {
    my ($server) = @_;
    my @lines = split /\n/, cli($server, '--csv', 'cluster', 'slots');
    return join "\n", sort $lines[0] =~ /(\d+,\d+,"[^"]*",\d+,"[0-9a-f]{40}")/g;
}

sub state_ok { return cli($_[0], 'cluster', 'info') =~ /^cluster_state:ok\r?$/m }

sub all_agree {
    my (@servers) = @_;
    my $first = slot_map($servers[0]);
    for my $server (@servers) {
        return 0 unless state_ok($server) && slot_map($server) eq $first;
    }
    return 1;
}

# What all nodes think, for a failed test.
sub show {
    for my $server (@_) {
        diag "port $server->{port}: " . cli($server, 'cluster', 'info');
        diag cli($server, 'cluster', 'nodes');
        diag server_log($server);
    }
}

sub line_of {
    my ($server, $id) = @_;
    my ($line) = grep { /^$id / } split /\n/, cli($server, 'cluster', 'nodes');
    return $line // '';
}

# ---- they meet, and agree ----

my ($redis_a, $redis_b) = (start_redis(), start_redis());
my ($shoal_a, $shoal_b) = (start_shoal(), start_shoal());
my @masters = ($redis_a, $redis_b, $shoal_a, $shoal_b);
my $quarter = 0;
for my $server (@masters) {
    my $first = 4096 * $quarter++;
    is(cli($server, 'cluster', 'addslotsrange', $first, $first + 4095), 'OK', 'ADDSLOTSRANGE');
}
is(cli($redis_a, 'cluster', 'meet', '127.0.0.1', $shoal_a->{port}), 'OK', 'Redis meets Shoal');
is(cli($shoal_b, 'cluster', 'meet', '127.0.0.1', $redis_b->{port}), 'OK', 'Shoal meets Redis');
is(cli($shoal_a, 'cluster', 'meet', '127.0.0.1', $shoal_b->{port}), 'OK', 'Shoal meets Shoal');
ok(wait_for(15, sub { all_agree(@masters) }), 'all agree on the slot map and are up')
    or do { show(@masters); die 'nothing more can be tested' };
for my $server (@masters) {
    like(cli($server, 'cluster', 'info'), qr/cluster_known_nodes:4\r?\ncluster_size:4/,
        'four masters are known');
    is(slot_ranges($server), slot_ranges($redis_a), 'CLUSTER SLOTS says the same');
}
for my $entry ($redis_a, $shoal_a) {
    my ($status, $output) = run_program('redis-cli', '--cluster', 'check',
        "127.0.0.1:$entry->{port}");
    is($status, 0, 'redis-cli --cluster check is content') or diag $output;
}

# ---- clients are sent to the right one ----

for my $key (map { "key:$_" } 1 .. 20) {
    is(cli($redis_a, '-c', 'set', $key, $key), 'OK', "SET $key from the side of Redis");
    is(cli($shoal_b, '-c', 'get', $key), $key, "GET $key from the side of Shoal");
}
# foo is in slot 12182 (Shoal), hello in slot 866 (Redis).
like(cli($redis_a, 'get', 'foo'), qr/^MOVED 12182 127.0.0.1:$shoal_a->{port}\n*$/,
    'Redis points to Shoal');
like(cli($shoal_a, 'get', 'hello'), qr/^MOVED 866 127.0.0.1:$redis_a->{port}\n*$/,
    'Shoal points to Redis');

# ---- a Redis replica of a Redis master ----

my $replica = start_redis();
is(cli($replica, 'cluster', 'meet', '127.0.0.1', $shoal_a->{port}), 'OK', 'a replica joins');
my ($master_id, $replica_id) = (node_id($redis_a), node_id($replica));
ok(wait_for(10, sub { cli($replica, 'cluster', 'replicate', $master_id) eq 'OK' }), 'REPLICATE');
for my $server (@masters) {
    ok(wait_for(10, sub { line_of($server, $replica_id) =~ / slave $master_id / }),
        'the replica is known as one') or show($server);
}
ok(wait_for(10, sub { cli($shoal_a, 'cluster', 'slots') =~ /$replica_id/ }),
    'CLUSTER SLOTS of Shoal names it once it has synchronised');
like(cli($shoal_a, 'cluster', 'replicas', $master_id), qr/^$replica_id /, 'CLUSTER REPLICAS');
like(cli($shoal_a, 'cluster', 'shards'), qr/$replica_id/, 'CLUSTER SHARDS');
like(cli($shoal_a, 'cluster', 'info'), qr/cluster_size:4/, 'it is no voter');

# ---- its election needs the votes of Shoal: three of four ----

kill_server($redis_a);
my @left = ($redis_b, $shoal_a, $shoal_b, $replica);
for my $server (@left) {
    ok(wait_for(20, sub { line_of($server, $master_id) =~ /fail / }), 'the dead master is flagged')
        or show(@left);
}
my $takes_over = sub { line_of($shoal_a, $replica_id) =~ / master - .* 0-4095$/ };
ok(wait_for(20, sub { all_agree(@left) && $takes_over->() }),
    'its replica has its slots, for all') or show(@left);
for my $server ($shoal_a, $shoal_b) {
    like(server_log($server), qr/Failover auth granted to $replica_id/, 'Shoal voted');
    my $file = do { local (@ARGV, $/) = "$server->{directory}/nodes.conf"; <> };
    like($file, qr/^vars currentEpoch \d+ lastVoteEpoch [1-9]/m, 'and wrote it down');
}
is(cli($shoal_b, '-c', 'set', 'hello', 'again'), 'OK', 'its slots are writable again');

# ---- the old master comes back as a replica ----

$redis_a = start_redis(directory => $redis_a->{directory}, port => $redis_a->{port});
ok(wait_for(20, sub { line_of($shoal_a, $master_id) =~ / slave $replica_id .* connected$/ }),
    'the old master is a replica now') or show($shoal_a, $redis_a);
unlike(line_of($shoal_a, $master_id), qr/fail/, 'and not flagged any more');

# ---- a Shoal master dies and comes back ----

my $dead_id = node_id($shoal_b);
kill_server($shoal_b);
for my $server ($redis_b, $shoal_a, $replica) {
    ok(wait_for(20, sub { line_of($server, $dead_id) =~ / master,fail / }),
        'the dead Shoal node is flagged') or show($server);
    ok(wait_for(5, sub { !state_ok($server) }), 'a slot without owner brings the cluster down');
}
$shoal_b = start_shoal(directory => $shoal_b->{directory}, port => $shoal_b->{port});
is(node_id($shoal_b), $dead_id, 'it comes back under its name');
ok(wait_for(20, sub { all_agree($redis_b, $shoal_a, $shoal_b, $replica) }), 'all is well again')
    or show($redis_b, $shoal_a, $shoal_b, $replica);

# ---- forgetting ----

for my $server ($redis_b, $shoal_a, $replica, $redis_a) {
    is(cli($server, 'cluster', 'forget', $dead_id), 'OK', 'FORGET');
}
sleep 3;
is(line_of($_, $dead_id), '', 'it stays forgotten') for $redis_b, $shoal_a;

done_testing();
