#!/usr/bin/env perl
# Slots go round a cluster of two Shoal masters and a redis-server 7.0, by `redis-cli --cluster
# reshard`, while clients that follow redirects count in their keys: no increment that was answered
# is lost, none is done twice, and nothing is answered by an error.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use System;
use Test::More;

my $WRITERS = 2;
my $SLOTS   = 300;    # go round
my @clustered = ('--cluster-enabled', 'yes', '--save', '');

sub start_redis {
    local $ENV{SHOAL_SERVER} = 'redis-server';
    return start_server(arguments => [@clustered, '--bind', '127.0.0.1']);
}

# Names of keys in slots below $SLOTS, which are those that redis-cli moves first.
sub names {
    my ($node) = @_;
    my $asked = join '', map { "cluster keyslot {$_}\n" } 1 .. 2000;
    my ($status, $output) = run_program({ input => $asked }, 'redis-cli', '-p', $node->{port});
    my @slots = split /\n/, $output;
    my @tags  = grep { $slots[$_ - 1] < $SLOTS } 1 .. 2000;
    return map { my $tag = $_; map { "{$tag}$_" } 'a' .. 'j' } @tags;
}

# Counts in its keys, each once a round, until the file `end` is there. What comes back are the
# rounds, and what was answered that was not expected.
sub count_on {
    my ($port, $end, @keys) = @_;
    my $input  = join '', map { "incr $_\n" } @keys;
    my $rounds = 0;
    my @odd;
    while (!-e $end) {
        my ($status, $output) = run_program({ input => $input }, 'redis-cli', '-c', '-p', $port);
        $rounds++;
        my @answers = grep { !/^-> Redirected/ } split /\n/, $output;
        push @odd, "round $rounds: status $status" if $status != 0;
        push @odd, "round $rounds: " . @answers . ' answers' if @answers != @keys;
        push @odd, map { "round $rounds: $_" } grep { $_ ne $rounds } @answers;
    }
    return ($rounds, @odd);
}

my @nodes = (start_server(arguments => [@clustered]), start_redis(),
    start_server(arguments => [@clustered]));
for my $node (@nodes) {
    wait_for(10, sub { cli($node, 'ping') eq 'PONG' }) or BAIL_OUT("no answer from $node->{port}");
}
my $entry = "127.0.0.1:$nodes[0]{port}";
my ($status, $output) = run_program('redis-cli', '--cluster', 'create',
    (map { "127.0.0.1:$_->{port}" } @nodes), '--cluster-yes');
is($status, 0, 'a cluster of three') or diag $output;
ok(wait_for(20, sub { !grep { cli($_, 'cluster', 'info') !~ /^cluster_state:ok/ } @nodes }),
    'which serves');

my @names = names($nodes[0]);
cmp_ok(scalar @names, '>', 100, 'keys in the slots that go round');
my $directory = temporary();
my @writers;
for my $writer (1 .. $WRITERS) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my @told = count_on($nodes[$writer]{port}, "$directory/end", map { "$_$writer" } @names);
        open my $file, '>', "$directory/$writer" or POSIX::_exit(1);
        print {$file} map { "$_\n" } @told;
        close $file;
        POSIX::_exit(0);
    }
    push @writers, $pid;
}
my @ids = map { cli($_, 'cluster', 'myid') } @nodes;
for my $turn (0 .. 5) {
    my ($from, $to) = @ids[$turn % 3, ($turn + 1) % 3];
    ($status, $output) = run_program('redis-cli', '--cluster', 'reshard', $entry, '--cluster-from',
        $from, '--cluster-to', $to, '--cluster-slots', $SLOTS, '--cluster-yes');
    is($status, 0, "the slots go on, turn $turn") or diag $output;
}
open my $end, '>', "$directory/end" or die $!;
close $end;
waitpid $_, 0 for @writers;

for my $writer (1 .. $WRITERS) {
    open my $file, '<', "$directory/$writer" or die "writer $writer: $!";
    chomp(my ($rounds, @odd) = readline $file);
    close $file;
    cmp_ok($rounds, '>', 1, "writer $writer has counted more than once");
    is("@odd[0 .. ($#odd < 4 ? $#odd : 4)]", '', 'each answer is the next number');
    my $gets = join '', map { "get $_$writer\n" } @names;
    ($status, $output) = run_program({ input => $gets }, 'redis-cli', '-c', '-p', $nodes[0]{port});
    my @lost = grep { !/^-> Redirected/ && !/^"?$rounds"?$/ } split /\n/, $output;
    is(scalar @lost, 0, 'and all are there in the end') or diag "@lost[0 .. 4]";
}
my $keys = 0;
$keys += cli($_, 'dbsize') for @nodes;
is($keys, $WRITERS * @names, 'each key is with one node');
($status, $output) = run_program('redis-cli', '--cluster', 'check', $entry);
is($status, 0, 'redis-cli finds nothing to mend') or diag $output;
is(stop_server($_), 0, 'it stops') for @nodes;
done_testing();
