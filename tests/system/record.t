#!/usr/bin/env perl
# The flight recorder of real nodes: six processes of a cluster record themselves through load, the
# death of a master, an election, its return and an orderly end; shoal-sim replay runs each file
# again and everything is as recorded; the files together tell the story. Then what becomes of a
# recording that must not grow, cannot be written, or whose process dies.
use strict;
use warnings;
use File::Basename qw(dirname);
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $bin = dirname(server_program());
my $sim = "$bin/shoal-sim";

sub field {
    my ($server, $section, $name) = @_;
    my ($value) = cli($server, 'info', $section) =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

sub role { return field($_[0], 'replication', 'role') }
sub is_synced { return field($_[0], 'replication', 'master_link_status') eq 'up' }
sub is_healthy { return cli($_[0], 'cluster', 'info') =~ /^cluster_state:ok\r?$/m }

sub show { diag "port $_->{port}:\n" . cli($_, 'cluster', 'nodes') . "\n" . server_log($_) for @_ }

# Replays the files. The output, when all is as recorded.
sub replays {
    my ($name, @files) = @_;
    my ($status, $output) = run_program($sim, 'replay', @files);
    my $good = () = $output =~ /all as recorded/g;
    ok($status == 0 && $good == @files, $name) or diag $output;
    return $output;
}

# ---- a cluster ----

my @arguments = ('--cluster-enabled', 'yes', '--cluster-node-timeout', 1500, '--appendonly', 'yes',
    '--repl-diskless-sync-delay', 0, '--record', 'flight.rec');
my @servers = map { start_server(arguments => [@arguments]) } 1 .. 6;
my ($status, $output) = run_program('redis-cli', '--cluster', 'create',
    (map {"127.0.0.1:$_->{port}"} @servers), '--cluster-replicas', 1, '--cluster-yes');
is($status, 0, 'six nodes that record themselves make a cluster') or diag $output;
ok(wait_for(60, sub { !grep { !is_healthy($_) } @servers }), 'which is healthy') or show(@servers);
ok(wait_for(60, sub { 3 == grep { role($_) eq 'slave' && is_synced($_) } @servers }),
    'with three replicas in step')
    or show(@servers);

# Writes by way of one node; how many were answered well.
sub load {
    my ($server) = @_;
    my $input = join '', map {"SET key:$_ $_\nRPUSH list:$_ a b c\n"} 1 .. 500;
    my ($status, $output) = run_program({ input => $input, limit => 120 },
        'redis-cli', '-c', '-p', $server->{port});
    my $good = () = $output =~ /^(?:OK|[0-9]+)$/mg;
    return $good;
}
is(load($servers[0]), 1000, 'it takes load');
is(cli($servers[0], 'publish', 'news', 'x' x 300), '0', 'and messages');
is(cli($servers[1], 'config', 'set', 'cluster-node-timeout', 1400), 'OK', 'and other settings');

# ---- a death, an election, a return ----

my ($master) = grep { role($_) eq 'master' } @servers;
my $id = cli($master, 'cluster', 'myid');
my @others = grep { $_ != $master } @servers;
kill_server($master);
my $failed_over = sub {
    my $sick = grep { !is_healthy($_) } @others;
    my $masters = grep { role($_) eq 'master' } @others;
    return $sick == 0 && $masters == 3;
};
ok(wait_for(90, $failed_over), 'a replica takes the place of a master that is killed')
    or show(@others);
is(load($others[0]), 1000, 'and the cluster takes load again');

my $again = start_server(
    arguments => [@arguments],
    port      => $master->{port},
    directory => $master->{directory}
);
ok(wait_for(90, sub { role($again) eq 'slave' && is_synced($again) }),
    'the old master comes back as a replica')
    or show($again, @others);
is(cli($again, 'cluster', 'failover'), 'OK', 'and is asked to take its place again');
ok(wait_for(90, sub { role($again) eq 'master' }), 'which it does') or show($again, @others);
stop_server($_) for $again, @others;

# ---- all of it again ----

my @files = ((map {"$_->{directory}/flight.rec"} $again, @others),
    "$master->{directory}/flight.rec.1");
is(scalar(grep { -s $_ } @files), 7, 'there is a file for each life, and the one before is kept');
is((stat $files[0])[2] & 0777, 0600, 'nobody else may read it');
for my $file (@files) {
    my ($server) = grep { $file =~ /^\Q$_->{directory}\E/ } @servers;
    my $told = replays('what the node at port ' . $server->{port} . ' did is what it does again',
        $file);
    note($told);
    my $killed = $file =~ /\.1$/;
    like($told, $killed ? qr/without a last entry/ : qr/ended: the server has ended/,
        'and the end is known');
}
($status, $output) = run_program($sim, 'replay', @files, '--narrate', '--quiet');
is($status, 0, 'all of them are one story');
like($output, qr/ suspects n1$/m, 'of a node that falls silent');
like($output, qr/^.* (n\d) asks for votes to take the place of n1 .*\n(?:.*\n)*.* \1 has won /m,
    'of one that is elected in its place');
like($output, qr/ n1 is dead\n(?:.*\n)*.* n1 starts/, 'and of a return');
like($output, qr/ n1 has won the election/, 'with which it ends');
my $trace = temporary() . '/trace';
($status, $output) = run_program($sim, 'replay', @files, '--trace', $trace, '--quiet');
($status, $output) = run_program("$bin/shoal-top", '--trace', $trace, '--headless', '--size', '110x36');
like($output, qr/NODES.*\n.* n1 .*\n.* n2 /, 'shoal-top draws all of them') or diag $output;
($status, $output) = run_program("$bin/shoal-top", $files[0], '--headless', '--size', '110x36');
like($output, qr/NODES.*\n.* n1 /, 'and each by itself') or diag $output;

# ---- ends ----

my $small = start_server(arguments =>
        ['--cluster-enabled', 'yes', '--record', 'flight.rec', '--record-limit', '8kb']);
ok(wait_for(60, sub { server_log($small) =~ /Recording to flight.rec has ended: .*record-limit/ }),
    'a recording ends at its limit, and says so');
is(cli($small, 'ping'), 'PONG', 'and the server goes on');
stop_server($small);
cmp_ok(-s "$small->{directory}/flight.rec", '<=', 8192, 'the file is not larger');
like(replays('it can be replayed', "$small->{directory}/flight.rec"), qr/ended: .*record-limit/,
    'and says why it ends');

my $full = start_server(arguments => ['--cluster-enabled', 'yes', '--record', '/dev/full']);
ok(wait_for(60, sub { server_log($full) =~ /Recording to \/dev\/full has ended: No space left/ }),
    'a recording ends where the disk is full');
is(cli($full, 'ping'), 'PONG', 'and the server goes on');
stop_server($full);
my $nowhere = start_server(arguments => ['--record', 'no/such/folder/flight.rec']);
like(server_log($nowhere), qr/Can't record to .*No such file.*Going on without/,
    'a file that cannot be made is no reason not to start');
stop_server($nowhere);

my $alone = start_server(arguments => ['--record', 'flight.rec']);
is(cli($alone, 'set', 'a', 1), 'OK', 'a server without a cluster records too');
stop_server($alone);
replays('and there is nothing to differ', "$alone->{directory}/flight.rec");

my $dying = start_server(arguments => ['--cluster-enabled', 'yes', '--record', 'flight.rec']);
is(cli($dying, 'cluster', 'bumpepoch'), 'BUMPED 1', 'a server does something');
stop_server($dying, 'ABRT');
replays('what it did before it dies by a signal is there', "$dying->{directory}/flight.rec");

done_testing();
