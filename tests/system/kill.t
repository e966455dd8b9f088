#!/usr/bin/env perl
# Killed at any moment of a full synchronisation, and of an election, nodes find together again what
# was promised: a master with `appendfsync always` has every write that it has acknowledged, its
# replica has its data in the end, and whoever is elected has every write that both replicas of a
# shard had confirmed. Times are drawn; tests/sim/crash_steps.c has the steps one by one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use System;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{SHOAL_KILL_ROUNDS} || 6;    # of each story
my $limit  = 120;
my $seed   = $ENV{SHOAL_KILL_SEED} || 4711;
srand $seed;
diag "SHOAL_KILL_SEED=$seed" if $ENV{SHOAL_KILL_SEED};

my @common = ('--appendonly', 'yes', '--appendfsync', 'always', '--save', '',
    '--enable-debug-command', 'yes', '--repl-diskless-sync-delay', 0);
my $notes = temporary();

sub field {
    my ($server, $name) = @_;
    my ($value) = cli($server, 'info', 'all') =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

sub is_synced { return field($_[0], 'master_link_status') eq 'up' }

# Starts a node again from what it has on its disk.
sub again {
    my ($server, @more) = @_;
    my $new = start_server(directory => $server->{directory}, port => $server->{port},
        arguments => [@common, @more]);
    %$server = %$new;
    return;
}

sub agree {
    my (@servers) = @_;
    return wait_for($limit, sub {
        my $digest = cli($servers[0], 'debug', 'digest');
        return $digest =~ /^[0-9a-f]{40}$/ && !grep { cli($_, 'debug', 'digest') ne $digest } @servers;
    });
}

# A process that writes numbers with `request`, until the server is gone or refuses; the numbers for
# whose replies `good` holds are in a file that confirmed() reads.
sub load {
    my ($server, $first, $request, $good) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    alarm 2 * $limit;
    my $socket = connect_to($server);
    open my $file, '>>', "$notes/numbers" or POSIX::_exit(1);
    $file->autoflush(1);
    for my $number ($first .. $first + 999_999) {
        my ($text, $replies) = $request->($number);
        send_bytes($socket, $text) or last;
        my $reply = read_reply($socket, $replies, $limit);
        print $file "$number\n" if $reply =~ $good;
        last if $reply !~ $replies || $reply =~ /^-/m;
    }
    POSIX::_exit(0);
}

sub confirmed {
    open my $file, '<', "$notes/numbers" or return ();
    return map { /^(\d+)\n/ ? $1 : () } <$file>;
}

# Numbers of confirmed() that a server does not have.
sub missing {
    my ($server) = @_;
    my @numbers = confirmed();
    my @lost;
    while (my @some = splice @numbers, 0, 500) {
        my @got = split /\n/, cli($server, 'mget', map {"{t}$_"} @some), -1;
        push @lost, grep { ($got[$_] // '') ne $some[$_] } 0 .. $#some;
    }
    return scalar @lost;
}

sub rest { sleep rand $_[0]; return }

# ---- full synchronisations ----

my $master  = start_server(arguments => [@common]);
my $replica = start_server(arguments => [@common]);
cli($master, 'debug', 'populate', 60_000, 'k', 60);
my ($agreed, $kept, $next) = (0, 0, 1);
for my $round (1 .. $rounds) {
    my $set = sub { return ("SET {t}$_[0] $_[0]\r\n", qr/\r\n/) };
    my $child = load($master, $next, $set, qr/^\+OK/);
    $next += 1_000_000;
    # Nothing of the replica's history is left, so that it gets everything.
    cli($replica, 'replicaof', 'no', 'one');
    cli($replica, 'flushall');
    cli($replica, 'set', 'own', $round);
    cli($replica, 'replicaof', '127.0.0.1', $master->{port});
    rest(0.5);
    my @dies = $round % 3 == 0 ? ($master, $replica) : $round % 3 == 1 ? ($replica) : ($master);
    kill 'KILL', map { $_->{pid} } @dies;
    kill_server($_) for @dies;
    rest(0.2);
    kill 'KILL', $child if !grep { $_ == $master } @dies;
    waitpid $child, 0;
    again($_) for @dies;
    cli($replica, 'replicaof', '127.0.0.1', $master->{port});
    $agreed++ if wait_for($limit, sub { is_synced($replica) }) && agree($master, $replica);
    my $missing = missing($master) + missing($replica);
    $kept++ if $missing == 0;
    diag "round $round: $missing are missing" if $missing;
}
is($agreed, $rounds, 'a replica has the data of its master in the end, whoever dies meanwhile');
is($kept, $rounds, 'and no write that was acknowledged is lost');
cmp_ok(scalar confirmed(), '>', 50 * $rounds, 'of which there were some');
kill_server($_) for $master, $replica;
unlink "$notes/numbers";

# ---- elections ----

my @cluster = ('--cluster-enabled', 'yes', '--cluster-node-timeout', 1000);
my @nodes = map { start_server(arguments => [@common, @cluster]) } 1 .. 5;
cli($nodes[1], 'cluster', 'addslotsrange', 0, 4);
cli($nodes[2], 'cluster', 'addslotsrange', 5, 9);
cli($nodes[0], 'cluster', 'addslotsrange', 10, 16383);
cli($_, 'cluster', 'meet', '127.0.0.1', $nodes[0]{port}) for @nodes[1 .. 4];
my $id = cli($nodes[0], 'cluster', 'myid');
for my $node (@nodes[3, 4]) {
    wait_for($limit, sub { cli($node, 'cluster', 'replicate', $id) eq 'OK' }) or die 'no replica';
}

# The node that serves the slot of {t}, in the opinion of all, with two replicas in step; undef.
sub served {
    my @shard = @nodes[0, 3, 4];
    my @masters = grep { field($_, 'role') eq 'master' } @shard;
    return undef if @masters != 1 || grep { cli($_, 'cluster', 'info') !~ /state:ok/ } @nodes;
    return undef if field($masters[0], 'connected_slaves') ne '2';
    return undef if grep { $_ != $masters[0] && !is_synced($_) } @shard;
    return undef if cli($masters[0], 'set', '{t}serves', 1) ne 'OK';
    return $masters[0];
}

($agreed, $kept, $next) = (0, 0, 1);
for my $round (1 .. $rounds) {
    my $first = wait_for($limit, \&served);
    if (!$first) {
        diag map { cli($_, 'cluster', 'nodes') . "\n" . cli($_, 'cluster', 'why') . "\n" } @nodes;
        last;
    }
    my $set = sub { return ("SET {t}$_[0] $_[0]\r\nWAIT 2 1000\r\n", qr/^(?:[^\r]*\r\n){2}/) };
    my $child = load($first, $next, $set, qr/^\+OK\r\n:2\r\n/);
    $next += 1_000_000;
    rest(0.5);
    kill_server($first);
    waitpid $child, 0;
    # The election is under way: a replica dies, or a voter.
    rest(2.5);
    my @others = grep { $_ != $first } $round % 3 == 2 ? @nodes[1, 2] : @nodes[0, 3, 4];
    my $second = $others[rand @others];
    kill_server($second);
    rest(0.5);
    again($second, @cluster);
    rest(0.5);
    again($first, @cluster);
    my $now = wait_for($limit, \&served);
    $agreed++ if $now && agree(@nodes[0, 3, 4]);
    my $missing = $now ? missing($now) : -1;
    $kept++ if $missing == 0;
    diag "round $round: $missing are missing" if $missing;
}
is($agreed, $rounds, 'a shard has one master and equal copies in the end, whoever dies meanwhile');
is($kept, $rounds, 'and no write that both replicas had confirmed is lost');
cmp_ok(scalar confirmed(), '>', 5 * $rounds, 'of which there were some');

done_testing();
