#!/usr/bin/env perl
# Copies across the kinds in one cluster: a redis-server replica takes over from a Shoal master that
# was killed, a Shoal replica from a redis-server master, each with a vote of either kind; the dead
# come back as replicas of what replaced them; and CLUSTER FAILOVER hands over both ways. After each
# of these both have equal data, everything that had reached the replica included.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @arguments = ('--cluster-enabled', 'yes', '--cluster-node-timeout', 2000, '--save', '',
    '--bind', '127.0.0.1', '--repl-diskless-sync-delay', 0, '--enable-debug-command', 'yes');

# A node of a kind, new or where it was.
sub node {
    my ($kind, %how) = @_;
    local $ENV{SHOAL_SERVER} = $kind eq 'redis' ? 'redis-server' : $ENV{SHOAL_SERVER};
    delete $ENV{SHOAL_SERVER} unless defined $ENV{SHOAL_SERVER};
    my $server = start_server(arguments => [@arguments], %how);
    wait_for(30, sub { cli($server, 'ping') eq 'PONG' }) or die "no $kind answers";
    return { %$server, kind => $kind, id => cli($server, 'cluster', 'myid') };
}

sub again {
    my ($server) = @_;
    return node($server->{kind}, port => $server->{port}, directory => $server->{directory});
}

sub info {
    my ($server, $name) = @_;
    return cli($server, 'info', 'replication') =~ /^$name:(.*?)\r?$/m ? $1 : '';
}

sub is_healthy { return cli($_[0], 'cluster', 'info') =~ /^cluster_state:ok\r?$/m }

sub show {
    diag "$_->{kind} $_->{port}:\n" . cli($_, 'cluster', 'nodes') . "\n" . server_log($_) for @_;
}

# The nodes, by the letter that the story gives them: three masters, two of them with a copy.
my %node = (
    a => node('shoal'), b => node('redis'), c => node('shoal'),
    ra => node('redis'), rb => node('shoal'),
);

sub all { return map { $node{$_} } sort keys %node }

my $first = 0;
for my $name (qw(a b c)) {
    my $last = $first + 5460;
    $last = 16383 if $name eq 'c';
    is(cli($node{$name}, 'cluster', 'addslotsrange', $first, $last), 'OK', "slots of $name");
    $first = $last + 1;
}
for my $name (qw(b c ra rb)) {
    is(cli($node{$name}, 'cluster', 'meet', '127.0.0.1', $node{a}{port}), 'OK', "$name meets a");
}
ok(wait_for(60, sub { !grep { cli($_, 'cluster', 'info') !~ /known_nodes:5\r?\n/ } all() }),
    'all know each other') or show(all());
for my $pair (['ra', 'a'], ['rb', 'b']) {
    my ($replica, $master) = map { $node{$_} } @$pair;
    ok(wait_for(60, sub { cli($replica, 'cluster', 'replicate', $master->{id}) eq 'OK' }),
        "$pair->[0] replicates $pair->[1]");
}
ok(wait_for(60, sub { !grep { !is_healthy($_) } all() }), 'it is healthy') or show(all());

# A tag whose slot each of them has.
my %tag = map {
    my $server = $node{$_};
    my ($free) = grep { cli($server, 'set', "{$_}", 1) eq 'OK' } 'a' .. 'z';
    $_ => "{$free}"
} qw(a b);

# Some of every type.
sub fill {
    my ($server, $tag, $mark) = @_;
    my @lines = ("SET $tag:text:$mark hello", "APPEND $tag:text:$mark there", "INCRBY $tag:number 3",
        "SETEX $tag:lives:$mark 10000 x", "RPUSH $tag:list:$mark a b c", "LPOP $tag:list:$mark",
        "SADD $tag:set:$mark a b 1 2", "SPOP $tag:set:$mark", "HSET $tag:hash:$mark f 1 g 2",
        "HINCRBYFLOAT $tag:hash:$mark f 1.25", "ZADD $tag:zset:$mark 1 a 2.5 b",
        map({"RPUSH $tag:long $mark:$_"} 1 .. 300), map({"HSET $tag:wide $mark$_ $_"} 1 .. 300));
    my (undef, $output) = run_program({ input => join '', map {"$_\n"} @lines }, 'redis-cli', '-p',
        $server->{port});
    unlike($output, qr/ERR|WRONGTYPE|MOVED|CLUSTERDOWN|READONLY/, "writes of $mark are taken");
    return;
}

# Everything that the master has so far has reached the replica, and they are equal.
sub equal {
    my ($what, $master, $replica) = @_;
    my $end = info($master, 'master_repl_offset');
    ok(wait_for(60, sub {
        info($replica, 'master_link_status') eq 'up' && info($replica, 'slave_repl_offset') >= $end
    }), "$what: in step") or show($master, $replica);
    my $digest = cli($master, 'debug', 'digest');
    like($digest, qr/^[0-9a-f]{40}$/, "$what: a digest");
    ok(wait_for(30, sub { cli($replica, 'debug', 'digest') eq $digest }), "$what: equal data");
    return $digest;
}

# The master and its replica in turn, and what each of them is.
my %story = (
    a => { copy => 'ra', says => 'redis-server takes over from Shoal' },
    b => { copy => 'rb', says => 'Shoal takes over from redis-server' },
);

for my $name (qw(a b)) {
    my ($says, $copy) = @{ $story{$name} }{qw(says copy)};
    my ($master, $replica) = @node{ $name, $copy };
    fill($master, $tag{$name}, 'before');
    my $digest = equal("$says, before", $master, $replica);
    kill_server($master);
    my @left = grep { $_ != $master } all();
    ok(wait_for(90, sub { info($replica, 'role') eq 'master' && !grep { !is_healthy($_) } @left }),
        $says) or show(@left);
    is(cli($replica, 'debug', 'digest'), $digest, "$says: with the same data");
    # Two of three masters must vote: the dead one does not, so one of each kind has.
    for my $voter (grep { $_ != $replica && info($_, 'role') eq 'master' } @left) {
        my $file = do { local (@ARGV, $/) = "$voter->{directory}/nodes.conf"; <> };
        like($file, qr/^vars currentEpoch \d+ lastVoteEpoch [1-9]/m, "$says: $voter->{kind} voted");
    }
    fill($replica, $tag{$name}, 'after');

    $node{$name} = $master = again($master);
    ok(wait_for(90, sub { info($master, 'role') eq 'slave' }), "$says: the dead one is its replica")
        or show($master, $replica);
    equal("$says, the dead one is back", $replica, $master);

    # Back by hand; a voter votes once for each master in two node timeouts, so it is asked again.
    my $answer = '';
    for (1 .. 5) {
        $answer = cli($master, 'cluster', 'failover');
        last if $answer !~ /^OK/ || wait_for(12, sub { info($master, 'role') eq 'master' });
    }
    is($answer, 'OK', "$says: and back again by CLUSTER FAILOVER");
    ok(wait_for(60, sub { info($master, 'role') eq 'master' && info($replica, 'role') eq 'slave' }),
        "$says: roles are exchanged") or show($master, $replica);
    ok(wait_for(60, sub { !grep { !is_healthy($_) } all() }), "$says: all are content")
        or show(all());
    fill($master, $tag{$name}, 'exchanged');
    equal("$says, and back", $master, $replica);
}

my ($status, $output) = run_program('redis-cli', '--cluster', 'check', "127.0.0.1:$node{c}{port}");
is($status, 0, 'redis-cli --cluster check is content') or diag $output;
stop_server($_, 'KILL') for all();
done_testing();
