#!/usr/bin/env perl
# Six real nodes, joined by redis-cli: what operators see, what clients are told, what a restart
# keeps.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @nodes = start_cluster(6);
my ($one, $two) = @nodes;
pass('redis-cli --cluster create joins six masters');

# ---- what operators see ----

my ($status, $output) = run_program('redis-cli', '--cluster', 'check', "127.0.0.1:$one->{port}");
is($status, 0, '--cluster check finds no fault') or diag $output;
like($output, qr/All nodes agree about slots configuration/, 'all agree');
like($output, qr/All 16384 slots covered/, 'all slots are covered');
($status, $output) = run_program('redis-cli', '--cluster', 'info', "127.0.0.1:$two->{port}");
is($status, 0, '--cluster info works');
is(scalar(() = $output =~ /\| 27\d\d slots \|/g), 6, 'and shows six shares');

my @lines = split /\n/, cli($one, 'cluster', 'nodes');
is(scalar(@lines), 6, 'CLUSTER NODES lists six');
like($_, qr/^[0-9a-f]{40} 127\.0\.0\.1:\d+@\d+ (myself,)?master - \d+ \d+ \d+ connected \d+-\d+$/,
    'in the known shape') for @lines;
my $info = cli($two, 'cluster', 'info');
like($info, qr/^$_\r?$/m, "CLUSTER INFO has $_") for qw(cluster_state:ok cluster_slots_assigned:16384
    cluster_slots_ok:16384 cluster_known_nodes:6 cluster_size:6);

# ---- what clients are told ----

is(cli($one, 'cluster', 'keyslot', 'foo{}{bar}'), '8363', 'a key with an empty tag');
is(cli($one, 'cluster', 'keyslot', $_), '1800', "the seed's key $_")
    for 'session:{user:12345}:data', 'prefs:{user:12345}:settings';
my %owner = map { (split)[8] =~ /^(\d+)-(\d+)$/ ? ("$1 $2" => (split)[1]) : () } @lines;

sub owner_of {
    my ($slot) = @_;
    for my $range (keys %owner) {
        my ($first, $last) = split / /, $range;
        next if $slot < $first || $slot > $last;
        return $owner{$range} =~ /^(.*?)@/ ? $1 : undef;
    }
}
my $home = owner_of(12182);    # of `foo`
my ($elsewhere) = grep { "127.0.0.1:$_->{port}" ne $home } @nodes;
is(cli($elsewhere, 'set', 'foo', 'bar'), "MOVED 12182 $home", 'a wrong node says where to go');
is(cli($elsewhere, '-c', 'set', 'foo', 'bar'), 'OK', 'redis-cli -c goes there');
is(cli($_, '-c', 'get', 'foo'), 'bar', 'from any node') for @nodes;
is(cli($one, 'mget', 'foo', 'baz'), "CROSSSLOT Keys in request don't hash to the same slot",
    'keys of two slots');
is(cli($one, '-c', 'mset', '{t}a', '1', '{t}b', '2'), 'OK', 'keys of one slot');
is(cli($one, '-c', 'mget', '{t}a', '{t}b'), "1\n2", 'can be read together');

my ($code, $bench) = run_program({ limit => 120 }, 'redis-benchmark', '--cluster', '-p', $one->{port},
    '-q', '-n', 60000, '-P', 8, '-r', 100000, '-t', 'set,get');
is($code, 0, 'redis-benchmark --cluster finishes');
unlike($bench, qr/error|ERR/i, 'without an error');
my ($keys) = (run_program('redis-cli', '--cluster', 'info', "127.0.0.1:$two->{port}"))[1]
    =~ /\[OK\] (\d+) keys in 6 masters/;
cmp_ok($keys, '>', 30000, 'and its keys are spread over six masters');

# ---- what a restart keeps ----

my $name = cli($two, 'cluster', 'myid');
is(stop_server($two), 0, 'a node ends');
my $text = do { local (@ARGV, $/) = "$two->{directory}/nodes.conf"; <> };
like($text, qr/^$name .* myself,master/m, 'its file knows its name');
my $back = start_server(port => $two->{port}, directory => $two->{directory},
    arguments => ['--cluster-enabled', 'yes']);
is(cli($back, 'cluster', 'myid'), $name, 'it comes back under its name');
for my $node (grep { $_ != $two } @nodes, $back) {
    ok(wait_for(20, sub {
        my $map = cli($node, 'cluster', 'nodes');
        return cli($node, 'cluster', 'info') =~ /cluster_state:ok/
            && (() = $map =~ / connected \d+-\d+$/mg) == 6 && $map !~ /fail|handshake/;
    }), 'and all agree again') or diag cli($node, 'cluster', 'nodes');
}

# ---- one that dies ----

my $short = 1500;
cli($_, 'config', 'set', 'cluster-node-timeout', $short) for grep { $_ != $two } @nodes, $back;
my ($victim) = grep { $_ != $one && $_ != $two } @nodes;
my $victim_name = cli($victim, 'cluster', 'myid');
kill_server($victim);
ok(wait_for(30, sub { cli($one, 'cluster', 'nodes') =~ /^$victim_name \S+ master,fail /m }),
    'a killed master is agreed to have failed');
like(cli($one, 'cluster', 'info'), qr/cluster_state:fail/, 'and the cluster is down without its slots');
like(cli($one, 'get', 'foo'), qr/^CLUSTERDOWN /, 'which clients are told') ;
$victim = start_server(port => $victim->{port}, directory => $victim->{directory},
    arguments => ['--cluster-enabled', 'yes']);
ok(wait_for(30, sub { cli($one, 'cluster', 'info') =~ /cluster_state:ok/ }), 'until it is back');

is(stop_server($_), 0, 'a node ends well') for (grep { $_ != $two && $_->{port} != $victim->{port} } @nodes), $back, $victim;
done_testing;
