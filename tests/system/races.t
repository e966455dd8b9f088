#!/usr/bin/env perl
# No data race: servers built with ThreadSanitizer, each with several workers, a replica that gets
# everything and one that gets it from that replica, all while four connections write values of
# every type and read; links that are cut and go on; append-only files and dumps on the way; roles
# handed over, a master killed, its replica at its place; and a cluster whose replica is elected.
# Whatever ThreadSanitizer has to say goes to files, and there must be none.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Basename qw(dirname);
use Load;
use System;
use Test::More;

my $build = dirname($ENV{SHOAL_BUILD} || root() . '/build/release') . '/tsan';
$ENV{SHOAL_SERVER} = "$build/bin/shoal-server";
-x $ENV{SHOAL_SERVER} or die "no $ENV{SHOAL_SERVER}: ./dev build tsan\n";

my $reports = temporary();
$ENV{TSAN_OPTIONS} = "halt_on_error=0:exitcode=66:log_path=$reports/race";
my $limit = 240;    # seconds that anything may take; it takes one or two

my @common = ('--worker-threads', 4, '--appendonly', 'yes', '--enable-debug-command', 'yes',
    '--repl-diskless-sync-delay', 0, '--save', '', '--repl-backlog-size', '16mb');

sub start { return start_server(arguments => [@common, @_]) }

sub is_synced { return field($_[0], 'master_link_status') eq 'up' }
sub becomes { my ($name, $code) = @_; return ok(wait_for($limit, $code), $name) }

# All have the same data, once nothing is written any more.
sub agree {
    my ($name, $first, @rest) = @_;
    return becomes($name, sub {
        my $digest = cli($first, 'debug', 'digest');
        return $digest =~ /^[0-9a-f]{40}$/ && !grep { cli($_, 'debug', 'digest') ne $digest } @rest;
    }) || diag map { server_log($_) } $first, @rest;
}

# ---- replicas of replicas ----

my ($master, $replica, $second) = map { start() } 1 .. 3;
cli($master, 'debug', 'populate', 20_000, '{t}k', 100);
my @load = map { load($master, $_, $limit) } 1 .. 4;
becomes('there is load', sub { field($master, 'total_commands_processed') > 500 });
cli($replica, 'replicaof', '127.0.0.1', $master->{port});
becomes('a replica gets everything while keys are written', sub { is_synced($replica) });
cli($second, 'replicaof', '127.0.0.1', $replica->{port});
becomes('and one from that replica', sub { is_synced($second) });
is(field($master, 'sync_full'), 1, 'the first one asked once');

for my $round (1 .. 3) {
    my $before = field($master, 'sync_partial_ok');
    cli($master, 'client', 'kill', 'type', 'replica');
    becomes("a link that is cut goes on, round $round",
        sub { field($master, 'sync_partial_ok') > $before && is_synced($replica) });
    cli($master, 'bgrewriteaof') if $round == 1;
    cli($replica, 'bgsave')      if $round == 2;
    cli($master, 'wait', 1, 1000);
}
becomes('a file is written meanwhile', sub { field($master, 'aof_rewrite_in_progress') eq '0' });

cli($second, 'replicaof', '127.0.0.1', $master->{port});
becomes('the second moves to the master', sub { is_synced($second) });
is(cli($master, 'failover', 'to', '127.0.0.1', $replica->{port}), 'OK', 'the role goes to a replica');
becomes('which has it then', sub { field($replica, 'role') eq 'master' });
becomes('and gets the others as replicas', sub { is_synced($master) && is_synced($second) });
push @load, load($replica, 5, $limit);
becomes('it takes writes', sub { cli($replica, 'incr', '{t}n') =~ /^\d+$/ });

kill_server($replica);
is(cli($master, 'replicaof', 'no', 'one'), 'OK', 'it is killed, and the former master takes over');
cli($second, 'replicaof', '127.0.0.1', $master->{port});
push @load, load($master, 6, $limit);
becomes('with a replica', sub { is_synced($second) });
stop_load(@load);
agree('both have the same', $master, $second);
my @ended = ($master, $second);
is(stop_server($_, 'TERM'), 0, 'ends well') for @ended;

# ---- a cluster ----

my @nodes = map {
    start('--cluster-enabled', 'yes', '--cluster-node-timeout', 3000, '--appendfsync', 'always')
} 1 .. 4;
my ($old, $new, @others) = @nodes;
cli($others[0], 'cluster', 'addslotsrange', 0, 4);
cli($others[1], 'cluster', 'addslotsrange', 5, 9);
cli($old, 'cluster', 'addslotsrange', 10, 16383);
cli($_, 'cluster', 'meet', '127.0.0.1', $old->{port}) for $new, @others;
for my $node (@nodes) {
    wait_for($limit, sub {
        my $info = cli($node, 'cluster', 'info');
        return $info =~ /state:ok/ && $info =~ /known_nodes:4\r/ && $info =~ /cluster_size:3\r/;
    }) or diag cli($node, 'cluster', 'nodes');
}
@load = map { load($old, $_, $limit) } 7 .. 9;
my $id = cli($old, 'cluster', 'myid');
becomes('a node becomes a replica of a master under load',
    sub { cli($new, 'cluster', 'replicate', $id) eq 'OK' });
becomes('it is in step', sub { is_synced($new) });
becomes('and everybody knows it',
    sub { !grep { cli($_, 'cluster', 'nodes') !~ /slave $id / } @nodes });
kill_server($old);
becomes('it is elected when that master is killed',
    sub { field($new, 'role') eq 'master' && cli($new, 'cluster', 'info') =~ /state:ok/ });
stop_load(@load);
push @load, load($new, 10, $limit);
my $again = start_server(directory => $old->{directory}, port => $old->{port},
    arguments => [@common, '--cluster-enabled', 'yes', '--cluster-node-timeout', 3000,
        '--appendfsync', 'always']);
becomes('who comes back follows', sub { field($again, 'role') eq 'slave' && is_synced($again) });
stop_load($load[-1]);
agree('and has the same', $new, $again);
is(stop_server($_, 'TERM'), 0, 'ends well') for $again, $new, @others;

# ---- what was seen ----

my @seen = glob "$reports/race*";
is(scalar @seen, 0, 'ThreadSanitizer has nothing to say')
    or diag map { open my $in, '<', $_; local $/; substr(<$in>, 0, 8000) } @seen[0 .. ($#seen > 2 ? 2 : $#seen)];

done_testing();
