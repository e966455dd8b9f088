#!/usr/bin/perl
# What COMMAND INFO says of each of our commands is what redis-server 7.0.15 says: arity, flags, key
# positions, categories, tips and key specifications. Commands that Redis 7.0 does not have are
# listed here by name. Needs redis-server; SHOAL_BUILD names our build (build/release if unset).
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep);

# Newer than 7.0.
my %newer = map { $_ => 1 } qw(
    cluster|why
    client|setinfo delex delifeq digest msetex
    hexpire hpexpire hexpireat hpexpireat httl hpttl hexpiretime hpexpiretime hpersist
    hgetdel hgetex hsetex
);

my $build = $ENV{SHOAL_BUILD} // "$FindBin::Bin/../../build/release";
my @pids;

# A port that nobody listens on at this moment, whose bus port is one too.
sub free_port
{
    for (1 .. 50) {
        my $port = 20000 + int rand 20000;
        my @held = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_,
            Listen => 1) } $port, $port + 10000;
        return $port if $held[0] && $held[1];
    }
    die "no free port\n";
}

# Starts a server with a directory of its own and waits until it takes connections.
sub start
{
    my (@command) = @_;
    my $port = free_port();
    my $dir  = tempdir(CLEANUP => 1);
    my $pid  = fork() // die "fork: $!\n";
    if ($pid == 0) {
        open STDOUT, '>', "$dir/log";
        open STDERR, '>&', \*STDOUT;
        exec(@command, '--port', $port, '--bind', '127.0.0.1', '--dir', $dir, '--save', '',
            '--appendonly', 'no') or die "$command[0]: $!\n";
    }
    push @pids, $pid;
    for (1 .. 100) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
        return $socket if $socket;
        sleep 0.05;
    }
    die "$command[0] does not listen on $port\n";
}

END {
    my $result = $?;
    kill 'TERM', $_ for @pids;
    waitpid $_, 0 for @pids;
    $? = $result;
}

# Reads one reply: text, numbers as text, undef, or a reference to an array.
sub reply
{
    my ($socket) = @_;
    local $/ = "\r\n";
    my $line = <$socket> // die "the connection ended\n";
    chomp $line;
    my ($type, $rest) = $line =~ /^(.)(.*)/s or die "not a reply: $line\n";
    return $rest if $type =~ /[+:]/;
    die "error: $rest\n" if $type eq '-';
    return undef if $rest < 0;
    return [map { reply($socket) } 1 .. $rest] if $type eq '*';
    die "unexpected $line\n" if $type ne '$';
    read($socket, my $bytes, $rest + 2) == $rest + 2 or die "the connection ended\n";
    return substr $bytes, 0, $rest;
}

sub ask
{
    my ($socket, @words) = @_;
    print $socket '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    return reply($socket);
}

# One key specification as text, without the notes that Redis writes for people.
sub spec
{
    my %map = @{ $_[0] };
    delete $map{notes};
    my %begin = @{ $map{begin_search} };
    my %find  = @{ $map{find_keys} };
    return join ' ', sort(@{ $map{flags} }), $begin{type}, @{ $begin{spec} }, $find{type},
        @{ $find{spec} };
}

# Adds the facts of a command, and of its subcommands, to %$into by full name.
sub gather
{
    my ($into, $info) = @_;
    my ($name, $arity, $flags, $first, $last, $step, $categories, $tips, $specs, $subs) = @$info;
    $into->{$name} = {
        arity      => $arity,
        flags      => join(' ', sort @$flags),
        keys       => "$first $last $step",
        categories => join(' ', sort @$categories),
        tips       => join(' ', sort @$tips),
        specs      => [map { spec($_) } @$specs],
    };
    gather($into, $_) for @{ $subs // [] };
}

# Every command of a server.
sub facts
{
    my ($socket) = @_;
    my %facts;
    gather(\%facts, $_) for @{ ask($socket, 'COMMAND') };
    return \%facts;
}

plan skip_all => "no $build/bin/shoal-server" unless -x "$build/bin/shoal-server";
plan skip_all => 'no redis-server' if system('redis-server --version >/dev/null 2>&1') != 0;

my $redis = start('redis-server');
my ($version) = ask($redis, 'INFO', 'server') =~ /redis_version:(\S+)/;
plan skip_all => "redis-server is $version, not 7.0.15" unless $version eq '7.0.15';
my $shoal  = start("$build/bin/shoal-server");
my $theirs = facts($redis);
my $ours   = facts($shoal);

cmp_ok(scalar keys %$ours, '>=', 100, 'there are a hundred commands');
for my $name (sort keys %$ours) {
    if ($newer{$name}) {
        ok(!$theirs->{$name}, "$name is newer than Redis 7.0");
        next;
    }
    is_deeply($ours->{$name}, $theirs->{$name}, "$name has the facts of Redis");
}
is_deeply(ask($shoal, 'COMMAND', 'COUNT'), scalar @{ ask($shoal, 'COMMAND') },
    'COMMAND COUNT counts what COMMAND lists');
done_testing();
