#!/usr/bin/env perl
# What replicas pass on is what their master wrote, byte for byte: three servers with several
# workers under load, the last of them now behind the first and now behind the second, links that
# are cut on either side, and keys that expire meanwhile. Then the streams of all three are read
# from their backlogs and compared, as are data and reasons of full copies. Equal offsets are not
# enough: two streams of one length with different bytes are two histories under one name.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Load;
use System;
use Test::More;

my $limit = 90;    # seconds that anything may take; it takes one or two
my $rounds = 40;    # changes of links
srand 7;

my @servers = map {
    start_server(arguments => ['--worker-threads', 4, '--appendonly', 'yes', '--save', '',
        '--enable-debug-command', 'yes', '--repl-diskless-sync-delay', 0,
        '--repl-backlog-size', '256mb', '--client-output-buffer-limit', 'replica 0 0 0'])
} 1 .. 3;
my ($master, @replicas) = @servers;

sub is_up { return field($_[0], 'master_link_status') eq 'up' }
sub follow { return cli($_[0], 'replicaof', '127.0.0.1', $_[1]{port}) }

cli($master, 'debug', 'populate', 5000, '{t}k', 100);
my @load = map { load($master, $_, $limit) } 1 .. 4;
follow($replicas[0], $master);
ok(wait_for($limit, sub { is_up($replicas[0]) }), 'a replica gets everything while keys change');
follow($replicas[1], $replicas[0]);
ok(wait_for($limit, sub { is_up($replicas[1]) }), 'and one from that replica');

my @whom = @servers[0, 1];    # the last one's master, in turn
my $seen = 0;
for my $round (1 .. $rounds) {
    my $what = int rand 4;
    cli($master, 'client', 'kill', 'type', 'replica') if $what == 0;
    cli($replicas[0], 'client', 'kill', 'type', 'replica') if $what == 1;
    cli($replicas[0], 'client', 'kill', 'type', 'master') if $what == 2;
    follow($replicas[1], $whom[$round % 2]) if $what == 3 || $round % 3 == 0;
    # Links heal now and then, as long as that takes; between that they are cut while they do.
    if ($round % 10 == 0) {
        wait_for($limit, sub { is_up($replicas[0]) && is_up($replicas[1]) }) or last;
        $seen++;
    }
    # Something is written between two changes.
    my $before = field($master, 'master_repl_offset');
    wait_for($limit, sub { field($master, 'master_repl_offset') > $before + 20_000 }) or last;
}
is($seen, $rounds / 10, 'links that are cut and moved come up again');
stop_load(@load);

# Keys that were to live for a second or two go meanwhile, which is written as well.
ok(wait_for($limit, sub {
    return 0 if !is_up($replicas[0]) || !is_up($replicas[1]);
    my @ends = map { field($_, 'master_repl_offset') } @servers;
    my @digests = map { cli($_, 'debug', 'digest') } @servers;
    return $digests[0] =~ /^[0-9a-f]{40}$/
        && !grep { $ends[$_] != $ends[0] || $digests[$_] ne $digests[0] } 1, 2;
}), 'all come to the same offset with the same data') or diag map { server_log($_) } @servers;

my ($first) = sort { $b <=> $a } map { field($_, 'repl_backlog_first_byte_offset') } @servers;
my $last = field($master, 'master_repl_offset');
cmp_ok($last - $first, '>', 500_000, 'much was written');
# How many bytes are the same at the beginning.
sub difference {
    my ($one, $two) = @_;
    (($one ^ $two) =~ /^\0*/) && return $+[0];
}

my $stream = stream_of($master, $first, $last, $limit);
is(length($stream // ''), $last - $first + 1, "the master's backlog has it");
for my $replica (@replicas) {
    my $other = stream_of($replica, $first, $last, $limit) // '';
    ok(defined $stream && $other eq $stream, 'a replica passes on the same bytes')
        or diag "of offsets $first to $last, the first that differs is "
            . ($first + difference($stream // '', $other));
}

# Who moves to a replica that has not got so far yet is ahead of it, and gets a copy.
my @full = map { grep { /Full resync of/ } split /^/, server_log($_) } @servers;
is(scalar(grep { /: it has no history/ } @full), 2, 'each replica begins with a copy');
is(join('', grep { !/: it has no history|: it is ahead of us/ } @full), '',
    'and gets no other that it need not have');
unlike(server_log($_), qr/CRITICAL/, 'no command of a stream fails') for @servers;
is(stop_server($_, 'TERM'), 0, 'ends well') for @servers;

# ---- single stories ----

sub start {
    return start_server(arguments => ['--worker-threads', 4, '--save', '', '--appendonly', 'yes',
        '--repl-diskless-sync-delay', 0, '--enable-debug-command', 'yes'])
}

# Two servers have the same, once nothing is under way between them.
sub agree {
    my ($name, $one, $two) = @_;
    return ok(wait_for($limit, sub {
        my ($replica) = grep { field($_, 'role') eq 'slave' } $one, $two;
        return 0 if !$replica || !is_up($replica);
        return cli($one, 'debug', 'digest') eq cli($two, 'debug', 'digest')
            && field($one, 'master_repl_offset') == field($two, 'master_repl_offset');
    }), $name) || diag map { server_log($_) } $one, $two;
}

# A write that began while a node was a master is part of its history, though it ends when the node
# has been told to follow another one.
{
    my ($one, $two) = (start(), start());
    my $socket = connect_to($one);
    my $fill = '';
    for my $part (0 .. 59) {
        $fill .= encoded('sadd', '{t}a', map { "member:" . (1000 * $part + $_) } 1 .. 1000);
    }
    send_bytes($socket, $fill);
    read_reply($socket, qr/(?::1000\r\n){60}/, $limit);
    follow($two, $one);
    agree('a replica is in step', $one, $two);
    send_bytes($socket, join '', encoded('multi'),
        map({ encoded('sunionstore', '{t}b', '{t}a') } 1 .. 30), encoded('exec'),
        encoded('echo', 'it is over'));
    is(cli($two, 'replicaof', 'no', 'one'), 'OK', 'the replica becomes a master');
    is(follow($one, $two), 'OK', 'and its master a replica, in the middle of a transaction');
    like(read_reply($socket, qr/over\r\n\z/, $limit), qr/it is over/, 'which ends');
    agree('what it wrote is not kept by one of the two', $one, $two);
    is(cli($two, 'set', 'key', 'last'), 'OK', 'the new master writes');
    agree('and the other follows', $one, $two);
    stop_server($_, 'TERM') for $one, $two;
}

# Databases are not exchanged while a replica hands them out, but later; and not left as they are.
{
    my ($one, $two) = (start(), start());
    cli($one, 'debug', 'populate', 1000);
    cli($one, '-n', 1, 'set', 'key', 'of one');
    follow($two, $one);
    agree('a replica is in step', $one, $two);
    wait_for($limit, sub { field($two, 'aof_rewrite_in_progress') eq '0' });
    cli($two, 'config', 'set', 'rdb-key-save-delay', 50_000);
    ok(wait_for($limit, sub {
        cli($two, 'bgsave');
        return field($two, 'rdb_bgsave_in_progress') eq '1';
    }), 'it takes a snapshot');
    is(cli($one, 'swapdb', 0, 1), 'OK', 'its master exchanges databases');
    is(cli($one, 'set', 'key', 'behind'), 'OK', 'and goes on');
    is(field($two, 'rdb_bgsave_in_progress'), '1', 'the snapshot is still taken');
    cli($two, 'config', 'set', 'rdb-key-save-delay', 0);
    agree('it exchanges them as well', $one, $two);
    is(cli($two, 'get', 'key'), 'behind', 'and has what came behind that');
    unlike(server_log($two), qr/CRITICAL/, 'without an error');
    stop_server($_, 'TERM') for $one, $two;
}

# An append-only file that a replica begins anew begins in the middle of its master's stream: of a
# database that the stream has named before.
{
    my ($one, $two) = (start(), start());
    follow($two, $one);
    agree('a replica is in step', $one, $two);
    cli($one, '-n', 3, 'set', 'key', 'before');
    agree('also in another database', $one, $two);
    ok(wait_for($limit, sub { field($two, 'aof_rewrite_in_progress') eq '0' }), 'it has a file');
    my $rewrites = field($two, 'aof_rewrites');
    cli($two, 'bgrewriteaof');
    ok(wait_for($limit, sub {
        field($two, 'aof_rewrites') > $rewrites && field($two, 'aof_rewrite_in_progress') eq '0'
    }), 'and writes it anew');
    cli($one, '-n', 3, 'set', 'key', 'behind');
    agree('the master goes on in that database', $one, $two);
    is(stop_server($two, 'TERM'), 0, 'the replica ends');
    my $again = start_server(directory => $two->{directory}, port => $two->{port},
        arguments => ['--appendonly', 'yes', '--save', '']);
    is(cli($again, '-n', 3, 'get', 'key'), 'behind', 'and finds in its files what came behind');
    is(cli($again, 'exists', 'key'), '0', 'where it belongs');
    stop_server($_, 'TERM') for $one, $again;
}

# Who has its copy from a replica is told of which database the stream is that follows.
{
    my ($one, $two, $three) = (start(), start(), start());
    follow($two, $one);
    agree('a replica is in step', $one, $two);
    cli($one, '-n', 3, 'set', 'key', 'before');
    agree('also in another database', $one, $two);
    follow($three, $two);
    agree('and one of that replica', $two, $three);
    cli($one, '-n', 3, 'set', 'key', 'behind');
    agree('the master goes on in that database', $one, $two);
    agree('and both of them', $two, $three);
    is(cli($three, '-n', 3, 'get', 'key'), 'behind', 'with what came behind');
    stop_server($_, 'TERM') for $one, $two, $three;
}

done_testing();
