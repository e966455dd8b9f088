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
use POSIX ();
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

sub field {
    my ($server, $name) = @_;
    my ($value) = cli($server, 'info', 'all') =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

sub is_synced { return field($_[0], 'master_link_status') eq 'up' }
sub becomes { my ($name, $code) = @_; return ok(wait_for($limit, $code), $name) }

# ---- load ----

sub encoded { return '*' . @_ . "\r\n" . join '', map { '$' . length . "\r\n$_\r\n" } @_ }

# Commands about keys of one slot, some of each kind.
sub some_commands {
    my ($round) = @_;
    my ($a, $b) = (int rand 60, int rand 4000);
    my @all = (
        ['set', "{t}s:$b", $round], ['get', "{t}s:" . int rand 4000], ['incr', '{t}n'],
        ['rpush', "{t}l:$a", $round, $a, $b], ['lpop', '{t}l:' . int rand 60],
        ['hset', "{t}h:$a", "f$b", $round, 'g', 'y' x 90], ['hgetall', '{t}h:' . int rand 60],
        ['zadd', "{t}z:$a", $b, "m$b"], ['zrange', "{t}z:$a", 0, 20],
        ['sadd', "{t}e:$a", $b], ['spop', '{t}e:' . int rand 60],
        ['setex', "{t}x:$b", 1 + $a % 2, 'gone'], ['append', "{t}p:$a", 'p' x 300],
        ['del', "{t}p:" . int rand 60], ['setbit', "{t}b:$a", $b, 1], ['unlink', "{t}h:$a"],
    );
    push @all, ['multi'], ['incr', '{t}n'], ['lpush', "{t}l:$a", 'in'], ['exec']
        if $round % 5 == 0;
    push @all, ['set', "{t}large:$a", 'v' x 70_000], ['get', "{t}large:$a"] if $round % 20 == 0;
    return @all;
}

# A process that writes to a server until it is killed, or the server is gone. What is refused while
# roles change is of no interest. It waits for a replica now and then, which is slower than four
# workers here and would fall behind for ever.
sub load {
    my ($server, $seed) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    alarm 4 * $limit;
    srand $seed;
    my $socket = connect_to($server);
    my $replies = 0;
    for my $round (1 .. 1_000_000) {
        my @commands = (some_commands($round), ['wait', 1, 1000]);
        send_bytes($socket, join('', map { encoded(@$_) } @commands) . encoded('echo', "e:$round"))
            or last;
        last unless read_reply($socket, qr/\$\d+\r\ne:$round\r\n\z/, $limit) =~ /e:$round/;
    }
    POSIX::_exit(0);
}

sub stop_load { kill 'KILL', @_; waitpid $_, 0 for @_; return }

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
my @load = map { load($master, $_) } 1 .. 4;
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
push @load, load($replica, 5);
becomes('it takes writes', sub { cli($replica, 'incr', '{t}n') =~ /^\d+$/ });

kill_server($replica);
is(cli($master, 'replicaof', 'no', 'one'), 'OK', 'it is killed, and the former master takes over');
cli($second, 'replicaof', '127.0.0.1', $master->{port});
push @load, load($master, 6);
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
@load = map { load($old, $_) } 7 .. 9;
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
push @load, load($new, 10);
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
