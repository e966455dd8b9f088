#!/usr/bin/env perl
# When keys were last used, and how often they are used, outlive a restart: Shoal and redis-server
# read it in each other's dumps, and a replica hears it of its master with the snapshot. Times are
# so long that what a test takes is nothing beside them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

# What is told of a key: seconds, and the frequency, of those that Shoal tells apart.
my %idle      = (new => 0, month => 2_600_000, week => 604_800, quarter => 7_800_000);
my %frequency = (new => 5, month => 10, week => 180, quarter => 255);

# A dump whose keys say both, which only the policy in force looks at. Without a checksum.
sub dump_file {
    my ($directory, $mark) = @_;
    my $bytes = "REDIS0010\xfe\x00";
    for my $name (sort keys %idle) {
        $bytes .= "\xf8\x80" . pack('N', $idle{$name}) if $mark eq 'idle';
        $bytes .= "\xf9" . chr($frequency{$name}) if $mark eq 'frequency';
        $bytes .= "\x00" . chr(length $name) . $name . "\x05value";
    }
    return write_file("$directory/dump.rdb", $bytes . "\xff" . "\x00" x 8);
}

my %asks = (idle => ['allkeys-lru', 'IDLETIME'], frequency => ['allkeys-lfu', 'FREQ']);

sub serve {
    my ($program, $directory, $mark, @more) = @_;
    local $ENV{SHOAL_SERVER} = $program if $program ne 'shoal';
    my $server = start_server(directory => $directory, arguments => [
        '--save', '', '--bind', '127.0.0.1', '--maxmemory-policy', $asks{$mark}[0],
        '--repl-diskless-sync-delay', '0', '--lfu-decay-time', '0', @more]);
    wait_for(20, sub { cli($server, 'PING') eq 'PONG' }) or die "no $program";
    return $server;
}

# All that a server tells, in hundredths of what it was given: 100 is right.
sub told {
    my ($server, $mark) = @_;
    my %given = $mark eq 'idle' ? %idle : %frequency;
    my %told;
    for my $name (sort keys %given) {
        my $value = cli($server, 'OBJECT', $asks{$mark}[1], $name);
        $told{$name} = $value;
        next if $mark ne 'idle';
        my $off = abs($value - $given{$name});
        $told{$name} = $off <= $given{$name} / 20 + 3600 ? $given{$name} : $value;
    }
    return \%told;
}

for my $mark (sort keys %asks) {
    my $given = $mark eq 'idle' ? \%idle : \%frequency;
    for my $chain (['shoal', 'redis-server'], ['redis-server', 'shoal'], ['shoal', 'shoal']) {
        my $directory = temporary();
        dump_file($directory, $mark);
        for my $program (@$chain) {
            my $server = serve($program, $directory, $mark);
            is_deeply(told($server, $mark), $given, "$mark: @$chain: $program reads it");
            is(cli($server, 'SAVE'), 'OK', "$mark: @$chain: $program saves");
            stop_server($server);
        }
    }
    for my $pair (['shoal', 'redis-server'], ['redis-server', 'shoal']) {
        my $directory = temporary();
        dump_file($directory, $mark);
        my $master  = serve($pair->[0], $directory, $mark);
        my $replica = serve($pair->[1], temporary(), $mark, '--replicaof',
            "127.0.0.1 $master->{port}");
        ok(wait_for(30, sub { cli($replica, 'DBSIZE') eq cli($master, 'DBSIZE')
                && cli($replica, 'INFO', 'replication') =~ /master_link_status:up/ }),
            "$mark: $pair->[1] has copied $pair->[0]");
        is_deeply(told($replica, $mark), $given, "$mark: $pair->[1] hears it of $pair->[0]");
        stop_server($_) for $replica, $master;
    }
}

done_testing();
