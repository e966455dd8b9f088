#!/usr/bin/env perl
# A disk that is full: writes are refused with MISCONF, reads go on, and when there is room again
# service goes on by itself. What was acknowledged is found after kill -9, whichever policy, and
# whether appending, a rewrite or a snapshot met the end of the disk. The disk is a small tmpfs in a
# mount namespace of the server's own; where namespaces cannot be had, there is nothing to test.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;
use Time::HiRes qw(sleep time);

my $megabytes = 3;
my @common = ('--bind', '127.0.0.1', '--enable-debug-command', 'yes',
    '--auto-aof-rewrite-percentage', '0', '--rdbcompression', 'no');

# A small disk in a mount namespace, which lives as long as a process that sleeps in it.
sub disk {
    my $directory = temporary();
    mkdir "$directory/disk";
    my $keeper = fork // die "fork: $!";
    if ($keeper == 0) {
        open STDOUT, '>', "$directory/ready" or die;
        open STDERR, '>', '/dev/null';
        exec 'unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
            "mount -t tmpfs -o size=${megabytes}m tmpfs $directory/disk && echo ready "
            . '&& exec sleep 600';
    }
    my $ready = wait_for(5, sub { -s "$directory/ready" });
    return { directory => $directory, keeper => $keeper, ready => $ready };
}

sub inside {
    my ($disk) = @_;
    return ('nsenter', '--preserve-credentials', '--user', '--mount', '--target', $disk->{keeper});
}

sub on_disk { my ($disk, @command) = @_; return run_program(inside($disk), @command) }

# The server's own log is not on that disk: it is opened outside of the namespace.
sub start_on {
    my ($disk, @arguments) = @_;
    return start_server(directory => "$disk->{directory}/disk", wrapper => [inside($disk)],
        arguments => [@common, @arguments]);
}

sub drop { my ($disk) = @_; kill 'KILL', $disk->{keeper}; waitpid $disk->{keeper}, 0; return }

# Takes all room that is left.
sub fill { on_disk($_[0], 'dd', 'if=/dev/zero', "of=$_[0]{directory}/disk/ballast", 'bs=4096'); return }
sub release { on_disk($_[0], 'rm', '-f', "$_[0]{directory}/disk/ballast"); return }

my $probe = disk();
if (!$probe->{ready}) {
    drop($probe);
    pass('namespaces with mounts of their own cannot be had here: there is no disk to fill');
    done_testing();
    exit;
}
drop($probe);

# Sets keys one after the other until one is refused, or so many. The number of acknowledged ones,
# and the refusal.
sub write_until_refused {
    my ($server, $first, $most) = @_;
    my $value = 'v' x 2000;
    my $socket = connect_to($server);
    for my $i ($first .. $first + $most - 1) {
        my $key = "key:$i";
        send_bytes($socket, sprintf("*3\r\n\$3\r\nSET\r\n\$%d\r\n%s\r\n\$%d\r\n%s\r\n",
                length $key, $key, length $value, $value));
        my $reply = read_reply($socket, qr/\r\n/, 5);
        return ($i - $first, $reply) if $reply !~ /^\+OK/;
    }
    return ($most, '');
}

sub count_from {
    my ($server, $acknowledged) = @_;
    my $missing = grep { cli($server, 'EXISTS', "key:$_") !~ /^1/ } @$acknowledged;
    return $missing;
}

for my $policy (qw(always everysec no)) {
    my $disk = disk();
    my $server = start_on($disk, '--appendonly', 'yes', '--appendfsync', $policy, '--save', '');
    my ($before) = write_until_refused($server, 0, 50);
    is($before, 50, "$policy: there is room at first");
    fill($disk);
    my ($more, $refusal) = write_until_refused($server, 50, 3000);
    like($refusal, qr/^-MISCONF Errors writing to the AOF file: No space left on device|^\z/,
        "$policy: then writes are refused, or wait");
    like(cli($server, 'GET', 'key:7'), qr/^v+$/, "$policy: reads go on");
    like(cli($server, 'SET', 'refused', 'x'), qr/MISCONF/, "$policy: and are refused from then on");
    like(cli($server, 'INFO', 'persistence'), qr/aof_last_write_status:err/, "$policy: INFO says so");
    release($disk);
    ok(wait_for(15, sub { cli($server, 'SET', 'after', 'x') =~ /^OK/ }),
        "$policy: with room again service goes on by itself");
    my ($last) = write_until_refused($server, 10000, 20);
    is($last, 20, "$policy: and stays");
    sleep 2.5 if $policy ne 'always';
    kill_server($server);
    my $again = start_on($disk, '--appendonly', 'yes', '--appendfsync', $policy, '--save', '');
    my @acknowledged = (0 .. 49 + $more, 10000 .. 10019);
    is(count_from($again, \@acknowledged), 0, "$policy: nothing that was acknowledged is lost");
    stop_server($again);
    drop($disk);
}

# ---- a rewrite, and a snapshot ----

{
    my $disk = disk();
    my $server = start_on($disk, '--appendonly', 'yes', '--save', '');
    my ($count) = write_until_refused($server, 0, 900);
    is($count, 900, 'more than half of the disk is used');
    cli($server, 'BGREWRITEAOF');
    ok(wait_for(15, sub {
        cli($server, 'INFO', 'persistence') =~ /aof_last_bgrewrite_status:err/
    }), 'a rewrite that finds no room fails');
    ok(wait_for(15, sub { cli($server, 'SET', 'goes', 'on') =~ /^OK/ }), 'and appending goes on');
    kill_server($server);
    my $again = start_on($disk, '--appendonly', 'yes', '--save', '');
    is(count_from($again, [map { $_ * 30 } 0 .. 29]), 0, 'and nothing is lost by it');
    stop_server($again);
    drop($disk);
}

{
    my $disk = disk();
    my $server = start_on($disk, '--save', '3600 1');
    write_until_refused($server, 0, 100);
    like(cli($server, 'SAVE'), qr/^OK/, 'a snapshot has room');
    fill($disk);
    write_until_refused($server, 100, 1000);
    cli($server, 'BGSAVE');
    ok(wait_for(15, sub { cli($server, 'INFO', 'persistence') =~ /rdb_last_bgsave_status:err/ }),
        'a snapshot that finds no room fails');
    like(cli($server, 'SET', 'a', 'b'), qr/MISCONF Redis is configured to save RDB snapshots/,
        'and writes are refused');
    like(cli($server, 'GET', 'key:500'), qr/^v+$/, 'reads go on');
    kill_server($server);
    release($disk);
    my $again = start_on($disk, '--save', '3600 1');
    is(cli($again, 'DBSIZE') + 0, 100, 'the former snapshot is whole');
    cli($again, 'SET', 'a', 'b');
    like(cli($again, 'SAVE'), qr/^OK/, 'and the next one replaces it');
    stop_server($again);
    drop($disk);
}

done_testing();
