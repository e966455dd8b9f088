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

done_testing();
