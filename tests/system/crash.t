#!/usr/bin/env perl
# Killed at any moment, a node finds again what it has acknowledged: short cycles of writing, kill -9
# and a new start, under each policy, with rewrites on the way. Each client numbers its writes, so
# what is found tells which write was the last: it must not be older than the last acknowledged one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use System;
use Test::More;
use Time::HiRes qw(sleep time);

my $cycles = $ENV{SHOAL_CRASH_CYCLES} || 70;    # of each policy
my $clients = 4;

sub encoded {
    return sprintf("*%d\r\n", scalar @_) . join '', map { sprintf("\$%d\r\n%s\r\n", length, $_) } @_;
}

# A small generator, so that every run kills at moments of the same kinds.
my $state = 4711;
sub below { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }

# Writes until `until`; each client has a number of requests on their way. Returns when time is up;
# the acknowledged number of each client is in @$acknowledged, the last one that was sent in @$sent.
sub write_for {
    my ($server, $seconds, $acknowledged, $sent) = @_;
    my @sockets = map { connect_to($server) } 1 .. $clients;
    my @buffers = ('') x $clients;
    my $end = time + $seconds;
    my $select = IO::Select->new(@sockets);
    my %index = map { $sockets[$_] => $_ } 0 .. $#sockets;
    my $send = sub {
        my ($i, $count) = @_;
        my $text = '';
        for (1 .. $count) {
            my $n = ++$sent->[$i];
            $text .= encoded('SET', "client:$i", $n) . encoded('INCR', "count:$i")
                . encoded('RPUSH', "list:$i", $n);
        }
        send_bytes($sockets[$i], $text);
    };
    $send->($_, 1 + below(8)) for 0 .. $#sockets;
    send_bytes($sockets[0], encoded('BGREWRITEAOF')) if (my $rewrites = below(3) == 0);
    my $replies_left = $rewrites ? 1 : 0;
    my @replies = map { 3 * $acknowledged->[$_] } 0 .. $#sockets;
    while (time < $end) {
        for my $socket ($select->can_read(0.002)) {
            my $i = $index{$socket};
            sysread $socket, $buffers[$i], 65536, length $buffers[$i] or return;
            my $lines = 0;
            while ($buffers[$i] =~ s/^([^\r\n]*)\r\n//) {
                my $line = $1;
                next if $line =~ /^\+Background/ || $line =~ /^-ERR Background/;
                die "an error: $line" if $line =~ /^-/;
                $replies[$i]++;
            }
            $acknowledged->[$i] = int($replies[$i] / 3);
            $send->($i, 1 + below(8)) if $acknowledged->[$i] == $sent->[$i];
        }
    }
}

# Commands in one go; their replies, integers and bulks, as text.
sub ask_all {
    my ($server, @commands) = @_;
    my $socket = connect_to($server);
    my @replies;
    send_bytes($socket, join '', map { encoded(@$_) } @commands);
    local $/ = "\r\n";
    for (@commands) {
        my $line = <$socket> // die 'the server is gone';
        if ($line =~ /^\$(-?\d+)/) {
            my $text = '';
            read $socket, $text, $1 + 2 if $1 >= 0;
            push @replies, substr $text, 0, $1 < 0 ? 0 : $1;
        } else {
            push @replies, substr $line, 1, -2;
        }
    }
    return @replies;
}

# What the server has of each client; the three keys of one must tell the same story.
sub found_numbers {
    my ($server) = @_;
    my (@found, @commands);
    push @commands, ['GET', "client:$_"], ['GET', "count:$_"], ['LLEN', "list:$_"],
        ['LINDEX', "list:$_", -1]
        for 0 .. $clients - 1;
    my @replies = map { $_ eq '' ? 0 : $_ } ask_all($server, @commands);
    for my $i (0 .. $clients - 1) {
        my ($number, $count, $length, $last) = splice @replies, 0, 4;
        my $whole = $number >= $count && $count >= $length && $number - $length <= 1
            && $last == $length;
        die "client $i: $number, $count, $length, $last" if !$whole;
        push @found, { number => $length, sent => $number };
    }
    return @found;
}

for my $policy (qw(always everysec no)) {
    my $directory = temporary();
    my @arguments = ('--appendonly', 'yes', '--appendfsync', $policy, '--save', '',
        '--aof-use-rdb-preamble', 'yes', '--bind', '127.0.0.1');
    my (@acknowledged, @sent) = ();
    @acknowledged = @sent = (0) x $clients;
    my ($lost, $written, $done) = (0, 0, 0);
    for my $cycle (1 .. $cycles) {
        my $server = start_server(directory => $directory, arguments => \@arguments);
        if ($cycle > 1) {
            my @found = eval { found_numbers($server) };
            if (!@found) { diag("cycle $cycle: $@"); last }
            for my $i (0 .. $clients - 1) {
                $lost++ if $found[$i]{number} < $acknowledged[$i];
                diag("cycle $cycle: client $i has $found[$i]{number}, not $acknowledged[$i]")
                    if $found[$i]{number} < $acknowledged[$i];
                # A write that is there in part is finished by hand: the next begins behind it.
                if ($found[$i]{sent} > $found[$i]{number}) {
                    ask_all($server, ['SET', "count:$i", $found[$i]{sent}],
                        ['RPUSH', "list:$i", $found[$i]{sent}]);
                }
                $acknowledged[$i] = $sent[$i] = $found[$i]{sent};
            }
        }
        write_for($server, 0.02 + below(100) / 1000, \@acknowledged, \@sent);
        kill_server($server);
        $done++;
    }
    $written += $_ for @acknowledged;
    is($done, $cycles, "a node with appendfsync $policy starts again after each of $cycles kills");
    is($lost, 0, "appendfsync $policy: no acknowledged write is lost by a killed process");
    cmp_ok($written, '>', $cycles, "appendfsync $policy: $written rounds of writes were compared");
    my ($status, $said) =
        run_program('redis-check-aof', "$directory/appendonlydir/appendonly.aof.manifest");
    # What a kill has torn, the next start would cut.
    ok($status == 0 || $said =~ /incr.aof is not valid/, "appendfsync $policy: redis-check-aof can read it")
        or diag($said);
}

done_testing();
