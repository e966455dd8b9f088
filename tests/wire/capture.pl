#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Captures frames of the cluster bus between real redis-server processes, for tests/wire/corpus.
# Three masters and a replica are started on loopback; each announces a bus port on which this
# program listens, so that every frame passes through it. The cluster is then led through what
# makes nodes say each kind of message: meeting, publishing, a manual failover, and a master
# that is stopped until it is replaced and wakes up with an old opinion.
#
# Usage: capture.pl DIRECTORY     keeps at most three frames of each type there, as TYPE-N.bin
use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

my @NAMES = qw(ping pong meet fail publish auth-req auth-ack update mfstart module publishshard);
my $out = shift or die "usage: capture.pl DIRECTORY\n";
my $home = tempdir(CLEANUP => 1);
my $base = 28100;
my (@pids, %kept, %peer, %pending);
my $select = IO::Select->new;

# Node $n: clients at $base+$n, the bus at +100, announced to others at +200.
sub start {
    my ($n, @more) = @_;
    mkdir "$home/$n";
    my $pid = fork // die;
    if (!$pid) {
        chdir "$home/$n";
        open STDOUT, '>', 'log';
        exec 'redis-server', '--bind', '127.0.0.1', '--port', $base + $n, '--save', '',
            '--appendonly', 'no', '--cluster-enabled', 'yes', '--cluster-node-timeout', 2000,
            '--cluster-port', $base + $n + 100, '--cluster-announce-bus-port', $base + $n + 200,
            '--cluster-announce-ip', '127.0.0.1', @more;
        die;
    }
    push @pids, $pid;
    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $base + $n + 200, Listen => 64, ReuseAddr => 1)
        or die "cannot listen: $!";
    $peer{$listener} = $base + $n + 100;
    $select->add($listener);
}

# Keeps the frame when it is one of the first of its type that differ in size.
sub keep {
    my ($frame) = @_;
    my $type = $NAMES[unpack 'n', substr $frame, 12, 2] // return;
    my $sizes = $kept{$type} //= {};
    return if $sizes->{length $frame} || keys %$sizes >= 3;
    $sizes->{length $frame} = 1;
    open my $file, '>:raw', sprintf('%s/%s-%d.bin', $out, $type, scalar keys %$sizes) or die $!;
    print $file $frame;
}

# Passes bytes on, and cuts frames out of them.
sub pass {
    my ($from) = @_;
    my $size = sysread $from, my $bytes, 65536;
    if (!$size) {
        my $to = $peer{$from};
        for ($from, $to) { $select->remove($_); delete $peer{$_}; delete $pending{$_}; close $_ }
        return;
    }
    my $to = $peer{$from};
    syswrite $to, $bytes;
    $pending{$from} .= $bytes;
    while (length $pending{$from} >= 8) {
        my $total = unpack 'N', substr $pending{$from}, 4, 4;
        last if length $pending{$from} < $total;
        keep(substr $pending{$from}, 0, $total, '');
    }
}

# Lets traffic flow for $seconds, or until $until holds.
sub run {
    my ($seconds, $until) = @_;
    my $end = time + $seconds;
    while (time < $end) {
        for my $socket ($select->can_read(0.05)) {
            if (ref $peer{$socket}) { pass($socket); next }
            next if !defined $peer{$socket};
            my $near = $socket->accept or next;
            my $far = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $peer{$socket});
            if (!$far) { close $near; next }
            @peer{$near, $far} = ($far, $near);
            @pending{$near, $far} = ('', '');
            $select->add($near, $far);
        }
        return 1 if $until && $until->();
    }
    return !$until;
}

sub ask {
    my ($n, @words) = @_;
    my $pid = open my $reply, '-|', 'redis-cli', '-p', $base + $n, @words or die;
    my $text = join '', <$reply>;
    return $text;
}

# The answer may need bus traffic meanwhile, so the waiting is done by run.
sub until_says {
    my ($n, $what, @words) = @_;
    my $next = 0;
    run(30, sub {
        return 0 if time < $next;
        $next = time + 0.3;
        ask($n, @words) =~ $what;
    }) or die "node $n never said $what to @words\n";
}

local $SIG{PIPE} = 'IGNORE';
eval {
    start(0, '--cluster-announce-hostname', 'first.example');
    start($_) for 1 .. 3;
    sleep 1;
    ask($_, 'cluster', 'set-config-epoch', $_ + 1) for 0 .. 3;
    ask(0, 'cluster', 'addslotsrange', 0, 5460);
    ask(1, 'cluster', 'addslotsrange', 5461, 10922);
    ask(2, 'cluster', 'addslotsrange', 10923, 16383);
    ask(0, 'cluster', 'meet', '127.0.0.1', $base + $_, $base + $_ + 200) for 1 .. 3;
    until_says($_, qr/cluster_state:ok/, 'cluster', 'info') for 0 .. 3;
    until_says($_, qr/cluster_known_nodes:4/, 'cluster', 'info') for 0 .. 3;
    my ($id) = ask(0, 'cluster', 'myid') =~ /(\w+)/;
    ask(3, 'cluster', 'replicate', $id);
    until_says(3, qr/master_link_status:up/, 'info', 'replication');
    ask(0, 'publish', 'news', 'some words') ;
    ask(0, 'publish', '', '');
    ask(0, 'spublish', 'a{06S}', "\0\1\r\n");
    run(3);
    ask(3, 'cluster', 'failover');
    until_says(3, qr/role:master/, 'info', 'replication');
    until_says(0, qr/master_link_status:up/, 'info', 'replication');
    run(3);
    kill STOP => $pids[3];
    until_says(0, qr/role:master/, 'info', 'replication');
    run(1);
    kill CONT => $pids[3];
    until_says(3, qr/role:slave/, 'info', 'replication');
    run(3);
};
my $failure = $@;
kill KILL => @pids;
waitpid $_, 0 for @pids;
die $failure if $failure;
printf "%-14s %s\n", $_, join ' ', sort { $a <=> $b } keys %{$kept{$_} // {}} for @NAMES;
