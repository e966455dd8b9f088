#!/usr/bin/env perl
# Why not: what a cluster did not do, with its reason, in CLUSTER WHY and in the log. Three masters
# and a replica: why the synchronisation was a full one, at both ends, and the next one was none; why
# writes are refused, for want of replicas, of memory, and of a place to save to; why a replica
# does not take over, and why clients are refused then.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @arguments = ('--cluster-enabled', 'yes', '--cluster-node-timeout', 1000, '--save', '',
    '--repl-diskless-sync-delay', 0, '--cluster-replica-no-failover', 'yes',
    '--dbfilename', 'taken.rdb');
my ($master, $replica, @others) = map { start_server(arguments => [@arguments]) } 1 .. 4;

sub field {
    my ($server, $section, $name) = @_;
    my ($value) = cli($server, 'info', $section) =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

sub is_synced { return field($replica, 'replication', 'master_link_status') eq 'up' }

# Waits until a server tells of something in CLUSTER WHY; shows what it tells instead.
sub tells {
    my ($server, $pattern, $name) = @_;
    my $limit = $ENV{SHOAL_BUILD} && $ENV{SHOAL_BUILD} =~ /[at]san/ ? 120 : 60;
    return ok(wait_for($limit, sub { cli($server, 'cluster', 'why') =~ $pattern }), $name)
        || diag cli($server, 'cluster', 'why');
}

cli($others[0], 'cluster', 'addslotsrange', 0, 4);
cli($others[1], 'cluster', 'addslotsrange', 5, 9);
is(cli($master, 'cluster', 'addslotsrange', 10, 16383), 'OK', 'a master has nearly all slots');
cli($_, 'cluster', 'meet', '127.0.0.1', $master->{port}) for $replica, @others;
for my $server ($replica, @others) {
    wait_for(60, sub { cli($server, 'cluster', 'info') =~ /cluster_size:3\r/ })
        or diag cli($server, 'cluster', 'nodes');
}
my $id = cli($master, 'cluster', 'myid');
ok(wait_for(60, sub { cli($replica, 'cluster', 'nodes') =~ /^$id \S+ master/m }), 'and is known');
ok(wait_for(60, sub { cli($replica, 'cluster', 'replicate', $id) eq 'OK' }), 'by its replica');
ok(wait_for(60, \&is_synced), 'which is in step');

# ---- synchronisations ----

tells($master, qr/^\d+ 1 master \d+ full sync: the replica \S+ \S+ .*: 127\.0\.0\.1:$replica->{port} /m,
    'the master tells why it gave everything, when and to whom');
tells($replica, qr/^\d+ 1 replica \d+ full sync: the master gives .* all data: 127\.0\.0\.1:$master->{port} /m,
    'the replica tells that it got everything, and from whom');
like(server_log($master), qr/Full resync of replica 127\.0\.0\.1:$replica->{port}: /,
    'as does the log');
my $count = () = cli($master, 'cluster', 'why') =~ /full sync/g;
cli($master, 'client', 'kill', 'type', 'replica');
ok(wait_for(60, sub { is_synced() && field($master, 'stats', 'sync_partial_ok') >= 1 }),
    'a replica that was cut off goes on');
is(scalar(() = cli($master, 'cluster', 'why') =~ /full sync/g), $count, 'which nobody tells of');

# ---- writes ----

ok(wait_for(60, sub { cli($master, 'set', 'a', 1) eq 'OK' }), 'the master takes writes');
cli($master, 'config', 'set', 'min-replicas-to-write', 3);
like(cli($master, 'set', 'a', 2), qr/^NOREPLICAS/, 'but not with too few replicas');
tells($master, qr/writes are refused: too few replicas .*: 3 wanted, .* 1 of 1 /,
    'and tells how many there are, and how many there shall be');
like(server_log($master), qr/writes are refused: too few replicas/, 'in the log too');
cli($master, 'config', 'set', 'min-replicas-to-write', 0);

cli($master, 'config', 'set', 'maxmemory', 1, 'maxmemory-policy', 'noeviction');
like(cli($master, 'set', 'a', 2), qr/^OOM/, 'it takes no writes without memory');
tells($master, qr/writes are refused: maxmemory is used up .*: \d+ commands .* 1$/m,
    'and tells that it is maxmemory');
cli($master, 'config', 'set', 'maxmemory', 0);

mkdir "$master->{directory}/taken.rdb" or die;
cli($master, 'config', 'set', 'save', '9000 1');
cli($master, 'bgsave');
ok(wait_for(60, sub { cli($master, 'set', 'a', 3) =~ /^MISCONF/ }),
    'it takes no writes when a snapshot failed');
tells($master, qr/writes are refused: the last snapshot failed/, 'and tells that');

# ---- elections ----

kill_server($master);
tells($replica, qr/no election: cluster-replica-no-failover: for $id/,
    'a replica that may not take over tells so');
like(server_log($replica), qr/Currently unable to failover: no election: cluster-replica-no-f/,
    'in the log too');
tells($replica, qr/clients are refused: /, 'and why clients are refused');
like(server_log($replica), qr/clients are refused: \S+ \S+/, 'in the log too');

done_testing();
