#!/usr/bin/env perl
# Six processes as redis-cli makes them with one replica each: a master dies under load and its
# replica takes over with everything that had reached it; the old master comes back as a replica
# of the new one, with its append-only file begun anew; CLUSTER FAILOVER loses nothing at all; and
# slots that others take away are emptied at replicas too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use System;
use Test::More;

my @arguments = ('--cluster-enabled', 'yes', '--cluster-node-timeout', 1500, '--appendonly', 'yes',
    '--repl-diskless-sync-delay', 0, '--enable-debug-command', 'yes');
my @servers = map { start_server(arguments => [@arguments]) } 1 .. 6;
my ($status, $output) = run_program('redis-cli', '--cluster', 'create',
    (map {"127.0.0.1:$_->{port}"} @servers), '--cluster-replicas', 1, '--cluster-yes');
is($status, 0, 'redis-cli makes a cluster with replicas') or diag $output;

sub field {
    my ($server, $section, $name) = @_;
    my ($value) = cli($server, 'info', $section) =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

sub role { return field($_[0], 'replication', 'role') }
sub is_synced { return field($_[0], 'replication', 'master_link_status') eq 'up' }
sub is_healthy { return cli($_[0], 'cluster', 'info') =~ /^cluster_state:ok\r?$/m }

sub show {
    diag "port $_->{port}:\n" . cli($_, 'cluster', 'nodes') . "\n" . server_log($_) for @_;
}

# The replica of a master.
sub replica_of {
    my ($master) = @_;
    my $id = cli($master, 'cluster', 'myid');
    for my $line (split /\n/, cli($master, 'cluster', 'nodes')) {
        my ($port) = $line =~ /^\w+ \S*?:(\d+)@\S* slave $id /;
        next unless $port;
        my ($found) = grep { $_->{port} == $port } @servers;
        return $found;
    }
    return undef;
}

# Sends requests to one node and returns how many were answered with OK or a number.
sub accepted {
    my ($socket, @requests) = @_;
    my $good = 0;
    for my $request (@requests) {
        send_bytes($socket, "$request\r\n") or last;
        my $reply = read_reply($socket, qr/\r\n/, 5);
        last unless $reply =~ /^(\+OK|:[1-9])/;
        $good++;
    }
    return $good;
}

ok(wait_for(30, sub { !grep { !is_healthy($_) } @servers }), 'it is healthy') or show(@servers);
ok(wait_for(30, sub { 3 == grep { role($_) eq 'slave' && is_synced($_) } @servers }),
    'with three replicas that are in step')
    or show(@servers);

my @masters = grep { role($_) eq 'master' } @servers;
is(scalar @masters, 3, 'and three masters');

# ---- kill -9 under load ----

my $load_file = temporary() . '/acknowledged';
my ($master) = grep { cli($_, 'set', '{tag}first', 1) eq 'OK' } @masters;
my $replica = wait_for(20, sub { replica_of($master) });
ok(defined $replica, 'the master has a replica') or show($master);

# The numbers that the load has been told are written.
sub acknowledged {
    open my $file, '<', $load_file or die;
    return map { /^(\d+)\n/ ? $1 : () } <$file>;
}

my $child = fork // die "fork: $!";
if ($child == 0) {
    my $socket = connect_to($master);
    open my $file, '>', $load_file or POSIX::_exit(1);
    $file->autoflush(1);
    for my $number (1 .. 1_000_000) {
        accepted($socket, "SET {tag}$number $number") == 1 or last;
        print $file "$number\n";
    }
    POSIX::_exit(0);
}
wait_for(20, sub { (-s $load_file // 0) > 1000 });
# What is acknowledged now has a place in the stream, up to which the replica gets before the end.
my @confirmed = acknowledged();
my $offset    = field($master, 'replication', 'master_repl_offset');
ok(wait_for(20, sub { field($replica, 'replication', 'slave_repl_offset') >= $offset }),
    'the replica follows under load');
kill_server($master);
waitpid $child, 0;
ok(wait_for(20, sub { role($replica) eq 'master' && is_healthy($replica) }),
    'the replica takes over from a master that was killed')
    or show($replica);
cmp_ok(scalar @confirmed, '>', 100, 'the load was on its way');
my $socket = connect_to($replica);
my @missing;
for my $number (@confirmed) {
    send_bytes($socket, "GET {tag}$number\r\n");
    my $reply = read_reply($socket, qr/\r\n.*\r\n|^\$-1\r\n|^-/s, 5);
    push @missing, $number unless $reply =~ /\r\n$number\r\n/;
}
is("@missing", '', 'and has every write from before its place in the stream');
like(cli($replica, 'set', '{tag}after', 1), qr/OK/, 'and takes writes');

# ---- the old master comes back ----

my $back = start_server(port => $master->{port}, directory => $master->{directory},
    arguments => [@arguments]);
@servers = ((grep { $_ != $master } @servers), $back);
ok(wait_for(20, sub { role($back) eq 'slave' && is_synced($back) }), 'the old master is a replica')
    or show($back, $replica);
ok(wait_for(20, sub { cli($back, 'debug', 'digest') eq cli($replica, 'debug', 'digest') }),
    'with the same data');
is(cli($replica, 'set', '{tag}more', 1), 'OK', 'the new master takes more');
ok(wait_for(20, sub { field($back, 'persistence', 'aof_rewrite_in_progress') eq '0' }),
    'and the replica begins its append-only file anew');
my $digest = cli($replica, 'debug', 'digest');
ok(wait_for(20, sub { cli($back, 'debug', 'digest') eq $digest }), 'and follows');
wait_for(2, sub { 0 }); # appendfsync everysec has its second
kill_server($back);
my $alone = start_server(directory => $back->{directory},
    arguments => ['--appendonly', 'yes', '--enable-debug-command', 'yes']);
is(cli($alone, 'debug', 'digest'), $digest, 'a start from that file finds the same data');
stop_server($alone);
$back = start_server(port => $back->{port}, directory => $back->{directory},
    arguments => [@arguments]);
$servers[-1] = $back;
ok(wait_for(20, sub { role($back) eq 'slave' && is_synced($back) }), 'it follows again')
    or show($back);

# ---- by hand ----

my $count_file = temporary() . '/count';
$child = fork // die "fork: $!";
if ($child == 0) {
    my $socket = connect_to($replica);
    my $count  = 0;
    $count++ while accepted($socket, 'INCR {tag}count') == 1;
    write_file($count_file, $count);
    POSIX::_exit(0);
}
wait_for(10, sub { (cli($replica, 'get', '{tag}count') || 0) > 100 });
sub exchanged { return role($back) eq 'master' && role($replica) eq 'slave' }

# Masters do not vote twice about one master within two node timeouts: then it is asked again.
my $answer = '';
for (1 .. 4) {
    $answer = cli($back, 'cluster', 'failover');
    last if $answer ne 'OK' || wait_for(7, \&exchanged);
}
is($answer, 'OK', 'CLUSTER FAILOVER is accepted');
ok(exchanged(), 'roles are exchanged') or show($back, $replica);
waitpid $child, 0;
open my $file, '<', $count_file or die;
my $acknowledged = <$file>;
is(cli($back, 'get', '{tag}count'), $acknowledged, 'and no acknowledged write is lost');

# ---- a slot is taken away ----

my ($other) = grep { role($_) eq 'master' && $_ != $back } @servers;
my $slot = cli($back, 'cluster', 'keyslot', '{tag}');
ok(wait_for(20, sub { is_synced($replica) }), 'the replica is in step');
cli($other, 'cluster', 'setslot', $slot, 'importing', cli($back, 'cluster', 'myid'));
cli($other, 'cluster', 'setslot', $slot, 'node', cli($other, 'cluster', 'myid'));
ok(wait_for(20, sub { cli($back, 'cluster', 'countkeysinslot', $slot) eq '0' }),
    'a master empties a slot that another has taken')
    or show($back);
ok(wait_for(20, sub { cli($replica, 'cluster', 'countkeysinslot', $slot) eq '0' }),
    'and so does its replica')
    or show($replica);

# ---- a key's time is over while the replica is down ----

cli($back, 'debug', 'set-active-expire', 0);
my ($late) = grep { cli($back, 'set', $_, 1, 'px', 4000) eq 'OK' } map {"late:$_"} 1 .. 100;
ok(defined $late, 'a key that lives for a moment');
my $keys = cli($back, 'dbsize');
ok(wait_for(20, sub { cli($replica, 'dbsize') eq $keys }), 'the replica has it') or show($replica);
wait_for(2, sub { 0 }); # appendfsync everysec has its second
kill_server($replica);
wait_for(4, sub { 0 });
my $restarted = start_server(port => $replica->{port}, directory => $replica->{directory},
    arguments => [@arguments]);
@servers = ((grep { $_ != $replica } @servers), $restarted);
ok(wait_for(20, sub { is_synced($restarted) }), 'it comes back') or show($restarted);
is(cli($restarted, 'dbsize'), $keys, 'and keeps the key until its master says that it is gone');
is(cli($back, 'get', $late), '', 'which it does when somebody asks for it');
$keys = cli($back, 'dbsize');
ok(wait_for(20, sub { cli($restarted, 'dbsize') eq $keys }), 'then it goes') or show($restarted);

stop_server($_) for @servers;
done_testing();
