#!/usr/bin/env perl
# Replication with real processes: Shoal and redis-server as master and replica of each other, chains,
# lost links, killed and restarted nodes, takeovers. After each story the data sets are equal, and the
# counters say whether everything was copied or only what was missing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @common = ('--save', '', '--bind', '127.0.0.1', '--enable-debug-command', 'yes',
    '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1');

sub shoal { return start_server(arguments => [@common, @_]) }

sub redis {
    local $ENV{SHOAL_SERVER} = 'redis-server';
    my $server = start_server(arguments => [@common, @_]);
    wait_for(10, sub { cli($server, 'PING') eq 'PONG' }) or die 'no redis-server';
    return $server;
}

sub make { return $_[0] eq 'redis' ? redis(@_[1 .. $#_]) : shoal(@_[1 .. $#_]) }

# A field of INFO.
sub info {
    my ($server, $section, $name) = @_;
    return (cli($server, 'INFO', $section) =~ /^\Q$name\E:([^\r\n]*)/m)[0];
}

sub follow {
    my ($replica, $master) = @_;
    return cli($replica, 'REPLICAOF', '127.0.0.1', $master->{port});
}

sub in_sync {
    my ($master, @replicas) = @_;
    return wait_for(30, sub {
        my $end = info($master, 'replication', 'master_repl_offset');
        for my $replica (@replicas) {
            return 0 if (info($replica, 'replication', 'master_link_status') // '') ne 'up';
            return 0 if info($replica, 'replication', 'master_repl_offset') < $end;
        }
        return 1;
    });
}

# Equal data sets, when the streams are quiet.
sub equal {
    my ($what, $master, @replicas) = @_;
    ok(in_sync($master, @replicas), "$what: in sync");
    my $digest = cli($master, 'DEBUG', 'DIGEST');
    like($digest, qr/^[0-9a-f]{40}$/, "$what: a digest");
    for my $replica (@replicas) {
        ok(wait_for(10, sub { cli($replica, 'DEBUG', 'DIGEST') eq cli($master, 'DEBUG', 'DIGEST') }),
            "$what: equal data");
    }
    return;
}

sub send_commands {
    my ($server, @commands) = @_;
    my $input = join '', map { "$_\n" } @commands;
    my (undef, $output) = run_program({ input => $input }, 'redis-cli', '-p', $server->{port});
    return $output;
}

# Keys of every type, small and large, in several databases; `mark` makes them different.
sub fill {
    my ($server, $mark) = @_;
    my $output = send_commands($server,
        "SET plain:$mark 1", "APPEND text:$mark hello", "INCRBY number 42", 'INCRBYFLOAT float 0.5',
        "SETEX lives:$mark 10000 x", "SETRANGE big:$mark 100000 end", "SETBIT bits:$mark 1000 1",
        "RPUSH list:$mark a b c d", "LPOP list:$mark", "LMOVE list:$mark other LEFT RIGHT",
        "SADD set:$mark a b c 1 2", "SPOP set:$mark", 'SADD ints 1 2 3',
        "HSET hash:$mark f 1 g 2", "HINCRBYFLOAT hash:$mark f 1.25",
        "ZADD zset:$mark 1 a 2 b 3.5 c", "ZINCRBY zset:$mark 2 a", "PEXPIRE zset:$mark 1000000",
        'MULTI', "SET in:$mark 1", "INCR in:$mark", 'EXEC', 'SELECT 3', "SET there:$mark 1",
        'SELECT 0', map({ "RPUSH long value:$mark:$_" } 1 .. 700),
        map({ "HSET wide f$mark$_ $_" } 1 .. 700), map({ "ZADD scores $_ m$mark$_" } 1 .. 700),
        map({ "SADD members m$mark$_" } 1 .. 700));
    unlike($output, qr/ERR|WRONGTYPE/, "the commands of $mark succeed");
    return;
}

for my $pair (['shoal', 'shoal'], ['shoal', 'redis'], ['redis', 'shoal']) {
    my $name = "$pair->[0] with replica $pair->[1]";
    my ($master, $replica) = map { make($_) } @$pair;
    fill($master, 'before');
    is(follow($replica, $master), 'OK', "$name: REPLICAOF");
    fill($master, 'behind');
    equal($name, $master, $replica);
    like(cli($replica, 'SET', 'x', 1), qr/^READONLY /, "$name: a replica refuses writes");
    is(cli($master, 'SET', 'counted', 1), 'OK', "$name: a write");
    is(send_commands($master, 'SET waited 1', 'WAIT 1 10000'), "OK\n1\n", "$name: WAIT hears of it");

    # The link is lost, and goes on where it was.
    my $full = info($master, 'stats', 'sync_full');
    cli($master, 'CLIENT', 'KILL', 'TYPE', 'replica');
    fill($master, 'lost');
    equal("$name, behind a lost link", $master, $replica);
    is(info($master, 'stats', 'sync_full'), $full, "$name: without another snapshot");
    cmp_ok(info($master, 'stats', 'sync_partial_ok'), '>=', 1, "$name: from the backlog");

    # A key dies at its master's word only.
    cli($master, 'DEBUG', 'SET-ACTIVE-EXPIRE', 0);
    cli($master, 'SET', 'dies', 1, 'PX', 20);
    ok(wait_for(10, sub { cli($replica, 'GET', 'dies') eq '' && in_sync($master, $replica) }),
        "$name: an expired key reads as none");
    cli($master, 'GET', 'dies');
    equal("$name, behind an expiry", $master, $replica);

    # The replica takes over, the former master follows it without a snapshot.
    is(cli($replica, 'REPLICAOF', 'NO', 'ONE'), 'OK', "$name: promotion");
    is(follow($master, $replica), 'OK', "$name: the former master follows");
    fill($replica, 'turned');
    equal("$name, turned round", $replica, $master);
    is(info($replica, 'stats', 'sync_full'), 0, "$name: by the second id, not by a snapshot");
    stop_server($_) for $replica, $master;
}

# A chain through both kinds.
{
    my ($first, $second, $third) = (shoal(), redis(), shoal());
    fill($first, 'chain');
    follow($second, $first);
    follow($third, $second);
    fill($first, 'more');
    equal('a chain', $first, $second, $third);
    stop_server($_) for $third, $second, $first;
}

# FAILOVER gives the role away without a loss.
{
    my ($first, $second) = (shoal(), shoal());
    fill($first, 'failover');
    follow($second, $first);
    is(cli($second, 'CONFIG', 'GET', 'replicaof'), "replicaof\n127.0.0.1 $first->{port}",
        'CONFIG GET says who is followed');
    is(cli($first, 'CONFIG', 'GET', 'slaveof'), "slaveof", 'and that nobody is');
    ok(wait_for(20, sub { cli($first, 'CLIENT', 'LIST', 'TYPE', 'replica') =~ / flags=S / }),
        'CLIENT LIST shows the connection of a replica');
    in_sync($first, $second);
    is(cli($first, 'FAILOVER'), 'OK', 'FAILOVER');
    ok(wait_for(20, sub {
        info($first, 'replication', 'role') eq 'slave'
            && info($second, 'replication', 'role') eq 'master'
            && info($first, 'replication', 'master_failover_state') eq 'no-failover'
    }), 'the roles are changed');
    equal('behind FAILOVER', $second, $first);
    is(info($second, 'stats', 'sync_full'), 0, 'FAILOVER copies nothing');
    stop_server($_) for $second, $first;
}

# MONITOR of a replica shows what its master sends, and CLIENT LIST the link to it.
{
    my ($master, $replica) = (shoal(), shoal());
    follow($replica, $master);
    in_sync($master, $replica);
    my $monitor = connect_to($replica);
    send_bytes($monitor, "MONITOR\r\n");
    read_reply($monitor, qr/\+OK/);
    my $from = qr/127\.0\.0\.1:$master->{port}/;
    cli($master, '-n', '3', 'SET', 'seen', "a\tb");
    cli($master, 'FLUSHALL');
    my $shown = read_reply($monitor, qr/"FLUSHALL"\r\n/i);
    like($shown, qr/^\+\d+\.\d{6} \[3 $from\] "SET" "seen" "a\\tb"\r$/im, 'MONITOR shows a write');
    like($shown, qr/^\+\d+\.\d{6} \[\d+ $from\] "FLUSHALL"\r$/im, 'and what concerns all keys');
    my $link = cli($replica, 'CLIENT', 'LIST', 'TYPE', 'master');
    like($link, qr/^id=\d+ addr=$from .* flags=M .*$/, 'CLIENT LIST shows the link to the master');
    my ($id) = $link =~ /^id=(\d+)/;
    is(cli($replica, 'CLIENT', 'LIST', 'ID', $id) =~ s/ .*//sr, "id=$id", 'under its id too');
    like(cli($replica, 'CLIENT', 'LIST'), qr/ flags=M .*\n.* flags=[^M]|flags=[^M]+ .*\n.* flags=M /s,
        'among the others');
    is(cli($master, 'CLIENT', 'LIST', 'TYPE', 'master'), '', 'a master has none');
    is(cli($replica, 'CLIENT', 'KILL', 'ID', $id), 1, 'CLIENT KILL closes it by its id');
    ok(wait_for(30, sub {
        cli($replica, 'CLIENT', 'LIST', 'TYPE', 'master') =~ /^id=(\d+)/ && $1 != $id
    }), 'and it comes again');
    stop_server($_) for $replica, $master;
}

# CONFIG REWRITE remembers what REPLICAOF has changed: the same role after a restart, and the
# stream goes on where it ended.
{
    my $master    = shoal();
    my $directory = temporary();
    my $file      = write_file("$directory/shoal.conf", "# mine\nhz 20\nsave 3600 1\n");
    my @kept      = ('--save', '3600 1');
    my $replica   = start_server(file => $file, directory => $directory,
        arguments => [@common, @kept]);
    fill($master, 'rewrite');
    follow($replica, $master);
    equal('before the rewrite', $master, $replica);
    is(cli($replica, 'CONFIG', 'REWRITE'), 'OK', 'CONFIG REWRITE');
    stop_server($replica);
    my $full = info($master, 'stats', 'sync_full');
    $replica = start_server(file => $file, directory => $directory,
        arguments => [@common, @kept]);
    equal('behind a restart with the file', $master, $replica);
    is(info($replica, 'replication', 'role'), 'slave', 'it is a replica again');
    is(info($master, 'stats', 'sync_full'), $full, 'and goes on where it was');
    cli($replica, 'REPLICAOF', 'NO', 'ONE');
    is(cli($replica, 'CONFIG', 'REWRITE'), 'OK', 'CONFIG REWRITE of a master');
    open my $handle, '<', $file or die $!;
    my $text = do { local $/; <$handle> };
    unlike($text, qr/replicaof/, 'no line remains');
    like($text, qr/^# mine\nhz 20\nsave 3600 1\n/, 'of others all');
    stop_server($_) for $replica, $master;
}

# Clean restarts of either side, with files of both kinds: only what is missing is sent.
for my $files ('rdb', 'aof') {
    my @kept = $files eq 'aof' ? ('--appendonly', 'yes') : ('--save', '3600 1');
    my $master  = shoal(@kept);
    my $replica = shoal(@kept);
    cli($replica, 'CONFIG', 'SET', 'repl-timeout', 600);
    follow($replica, $master);
    fill($master, 'restart');
    equal("$files: first", $master, $replica);
    # It may still be waiting for its turn.
    ok(wait_for(60, sub {
        my $info = cli($replica, 'INFO', 'persistence');
        return $info =~ /^aof_rewrite_in_progress:0\b/m && $info =~ /^aof_rewrite_scheduled:0\b/m;
    }), "$files: the replica's file is written");
    my @again = ('--replicaof', "127.0.0.1 $master->{port}");
    stop_server($replica);
    cli($master, 'SET', 'meanwhile', $files);
    my $full = info($master, 'stats', 'sync_full');
    $replica = start_server(directory => $replica->{directory}, port => $replica->{port},
        arguments => [@common, @kept, @again]);
    equal("$files: the replica is there again", $master, $replica);
    is(info($master, 'stats', 'sync_full'), $full, "$files: a restarted replica needs no snapshot");
    stop_server($master);
    $master = start_server(directory => $master->{directory}, port => $master->{port},
        arguments => [@common, @kept]);
    cli($master, 'SET', 'again', $files);
    equal("$files: the master is there again", $master, $replica);
    is(info($master, 'stats', 'sync_full'), 0, "$files: behind a restarted master neither");
    stop_server($_) for $replica, $master;
}

# Killed nodes come back with equal data.
{
    my $master = shoal('--appendonly', 'yes', '--appendfsync', 'always');
    my $replica = shoal('--appendonly', 'yes', '--replicaof', "127.0.0.1 $master->{port}");
    fill($master, 'killed');
    equal('before the kill', $master, $replica);
    kill_server($replica);
    fill($master, 'alone');
    $replica = start_server(directory => $replica->{directory}, port => $replica->{port},
        arguments => [@common, '--appendonly', 'yes', '--replicaof', "127.0.0.1 $master->{port}"]);
    equal('a killed replica', $master, $replica);
    kill_server($master);
    $master = start_server(directory => $master->{directory}, port => $master->{port},
        arguments => [@common, '--appendonly', 'yes', '--appendfsync', 'always']);
    fill($master, 'back');
    equal('a killed master', $master, $replica);
    stop_server($_) for $replica, $master;
}

# Settings that refuse.
{
    my ($master, $replica) = (shoal(), shoal());
    cli($master, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
    like(cli($master, 'SET', 'a', 1), qr/^NOREPLICAS /, 'too few replicas');
    follow($replica, $master);
    in_sync($master, $replica);
    ok(wait_for(10, sub { cli($master, 'SET', 'a', 1) eq 'OK' }), 'enough of them');
    is(send_commands($master, 'SET b 1', 'WAIT 2 3000'), "OK\n1\n", 'WAIT gives up in time');
    cli($replica, 'CONFIG', 'SET', 'replica-read-only', 'no');
    is(cli($replica, 'SET', 'local', 1), 'OK', 'a replica that takes writes');
    cli($replica, 'CONFIG', 'SET', 'replica-serve-stale-data', 'no');
    stop_server($master);
    ok(wait_for(10, sub { cli($replica, 'GET', 'a') =~ /^MASTERDOWN / }), 'no stale data');
    stop_server($replica);
}

# A replica that takes nothing is sent away, and comes again.
{
    my ($master, $replica) = (shoal('--client-output-buffer-limit', 'slave 1mb 1mb 1'), shoal());
    follow($replica, $master);
    in_sync($master, $replica);
    kill 'STOP', $replica->{pid};
    my $heavy = 'x' x 1_000_000;
    send_commands($master, map { "SET heavy:$_ $heavy" } 1 .. 24);
    ok(wait_for(20, sub { info($master, 'replication', 'connected_slaves') eq '0' }),
        'one that takes nothing is sent away');
    kill 'CONT', $replica->{pid};
    equal('it comes again', $master, $replica);
    stop_server($_) for $replica, $master;
}

done_testing;
