#!/usr/bin/env perl
# Values travel between redis-server and Shoal as DUMP payloads in both directions, in every type and
# encoding; files that redis-server writes are read, and what is written of them is accepted by
# redis-check-rdb and loaded by redis-server with the same content.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $redis = do {
    local $ENV{SHOAL_SERVER} = 'redis-server';
    start_server(arguments => ['--save', '', '--bind', '127.0.0.1', '--enable-debug-command', 'yes']);
};
my $shoal = start_server(arguments => ['--enable-debug-command', 'yes']);
my %socket = map { $_->{port} => connect_to($_) } $redis, $shoal;

sub encoded {
    return sprintf("*%d\r\n", scalar @_) . join '', map { sprintf("\$%d\r\n%s\r\n", length, $_) } @_;
}

# One command; its reply as bytes.
sub ask {
    my ($server, @words) = @_;
    my $socket = $socket{ $server->{port} };
    send_bytes($socket, encoded(@words));
    return whole_reply($socket);
}

# A reply with all that is in it, as it came.
sub whole_reply {
    my ($socket) = @_;
    local $/ = "\r\n";
    my $text = <$socket> // die 'the server is gone';
    if ($text =~ /^\$(\d+)/) {
        read $socket, my $rest, $1 + 2;
        $text .= $rest;
    } elsif ($text =~ /^\*(\d+)/) {
        $text .= whole_reply($socket) for 1 .. $1;
    }
    return $text;
}

sub bulk { my ($reply) = @_; $reply =~ s/^\$\d+\r\n//; $reply =~ s/\r\n\z//; return $reply }

# ---- the same keys on both ----

# A small generator, so that every run has the same values.
my $state = 12345;
sub below { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }

sub text {
    my $kind = below(6);
    return below(400) - 200 if $kind == 0;
    return (below(2) ? '-' : '') . (1 + below(9)) . join '', map { below(10) } 1 .. below(18) if $kind == 1;
    return 'x' x below(400) if $kind == 2;
    return join '', map { chr below(256) } 1 .. below(100) if $kind == 3;
    return below(32768) - 70000 if $kind == 4;
    return substr 'abcdef' x 900, 0, 1 + below(5000);
}

my %add = (list => 'RPUSH', set => 'SADD', hash => 'HSET', zset => 'ZADD');
my @scores = qw(0 1 -1 1.5 -0 inf -inf 1e300 3.141592653589793 9007199254740993 -12345678901234567890);
my %element = (
    list => sub { $_[0]->() },
    set  => sub { $_[0]->() },
    hash => sub { ($_[0]->(), $_[0]->()) },
    zset => sub { ($scores[ below(scalar @scores) ], $_[0]->()) },
);
my %flavour = (
    integers => sub { (below(2) ? '' : '-') . (1 + below(32768)) . join '', map { below(10) } 1 .. below(14) },
    short    => sub { substr text(), 0, 20 },
    mixed    => \&text,
);

my @keys;
for my $count (1, 2, 60, 127, 128, 129, 513, 1500) {
    for my $flavour (sort keys %flavour) {
        for my $type (sort keys %add) {
            my $key = "$type:$flavour:$count";
            push @keys, [$type, $key];
            my @words = map { $element{$type}->($flavour{$flavour}) } 1 .. $count;
            ask($_, $add{$type}, $key, @words) for $redis, $shoal;
        }
    }
}
for my $i (0 .. 200) {
    my $value = text();
    push @keys, ['string', "string:$i"];
    ask($_, 'SET', "string:$i", $value) for $redis, $shoal;
}

my %read = (
    string => sub { ('GET', $_[0]) },
    list   => sub { ('LRANGE', $_[0], 0, -1) },
    zset   => sub { ('ZRANGE', $_[0], 0, -1, 'WITHSCORES') },
);

# What a key holds, in an order of its own.
sub content {
    my ($server, $type, $key) = @_;
    return ask($server, $read{$type}->($key)) if $read{$type};
    return join "\0", sort(bulks(ask($server, 'SMEMBERS', $key))) if $type eq 'set';
    my %hash = bulks(ask($server, 'HGETALL', $key));
    return join "\0", map { ($_, $hash{$_}) } sort keys %hash;
}

sub bulks {
    my ($reply) = @_;
    my ($at, @parts) = (index($reply, "\n") + 1);
    while ($at < length $reply) {
        my $end  = index $reply, "\r\n", $at;
        my $size = substr $reply, $at + 1, $end - $at - 1;
        push @parts, substr $reply, $end + 2, $size;
        $at = $end + 4 + $size;
    }
    return @parts;
}

# ---- payloads ----

# Restores the payload of `from` at `to` under another name: what differs, or nothing.
sub travel {
    my ($from, $to, $type, $key) = @_;
    my $answer = ask($to, 'RESTORE', 'copy', 0, bulk(ask($from, 'DUMP', $key)), 'REPLACE');
    return "$key: $answer" if $answer ne "+OK\r\n";
    return "$key: other content" if content($to, $type, 'copy') ne content($redis, $type, $key);
    my ($here, $there) = map { ask(@$_) } [$to, 'OBJECT', 'ENCODING', 'copy'],
        [$redis, 'OBJECT', 'ENCODING', $key];
    return $here eq $there ? () : "$key: $here for $there";
}

for my $way ([$redis, $shoal, 'what Redis dumps is restored by Shoal'],
    [$shoal, $redis, 'what Shoal dumps is restored by Redis'],
    [$shoal, $shoal, 'what Shoal dumps is restored by Shoal']) {
    my ($from, $to, $name) = @$way;
    my @wrong = map { travel($from, $to, @$_) } @keys;
    is_deeply(\@wrong, [], $name) or diag(@wrong > 5 ? @wrong[0 .. 4] : @wrong);
}

ask($_, 'DEL', 'copy') for $redis, $shoal;
my @before = (ask($shoal, 'DEBUG', 'DIGEST'), map { ask($shoal, 'OBJECT', 'ENCODING', $_->[1]) } @keys);
is(ask($shoal, 'DEBUG', 'RELOAD'), "+OK\r\n", 'everything is reloaded');
my @after = (ask($shoal, 'DEBUG', 'DIGEST'), map { ask($shoal, 'OBJECT', 'ENCODING', $_->[1]) } @keys);
is_deeply(\@after, \@before, 'and is what it was');

# A hash with a field that will expire is beyond what Redis 7.0 can keep.
ask($shoal, 'HSET', 'fields', 'a', 1, 'b', 2);
ask($shoal, 'HEXPIRE', 'fields', 1000, 'FIELDS', 1, 'a');
my $fields = bulk(ask($shoal, 'DUMP', 'fields'));
like(ask($redis, 'RESTORE', 'copy', 0, $fields), qr/version or checksum/, 'Redis 7.0 refuses deadlines of fields');
is(ask($shoal, 'RESTORE', 'copy', 0, $fields), "+OK\r\n", 'Shoal keeps them');
like(ask($shoal, 'HTTL', 'copy', 'FIELDS', 2, 'a', 'b'), qr/\A\*2\r\n:(1000|99\d)\r\n:-1\r\n\z/, 'as they were');

# ---- files ----

my $build = $ENV{SHOAL_BUILD} || root() . '/build/release';
my $copy  = "$build/tests/system/rdb_copy";
ask($redis, 'PEXPIREAT', $_->[1], 4102444800123) for @keys[0 .. 20];
ask($redis, 'SELECT', 9);
ask($redis, 'SET', 'elsewhere', 'value');
ask($redis, 'SELECT', 0);
is(ask($redis, 'SAVE'), "+OK\r\n", 'Redis writes a file');
my $file = "$redis->{directory}/dump.rdb";

sub copied {
    my ($chunk) = @_;
    my $to = temporary() . '/dump.rdb';
    my $status = system("'$copy' $chunk < '$file' > '$to'");
    return $status == 0 ? $to : undef;
}

for my $chunk (1, 7, 4096, 1 << 20) {
    my $written = copied($chunk);
    ok($written, "it is read in chunks of $chunk bytes") or next;
    my $report = `redis-check-rdb '$written' 2>&1`;
    like($report, qr/RDB looks OK/, 'redis-check-rdb accepts what is written of it') or diag($report);
    next if $chunk != 4096;
    (my $directory = $written) =~ s{/dump\.rdb$}{};
    local $ENV{SHOAL_SERVER} = 'redis-server';
    my $other = start_server(directory => $directory, arguments => ['--save', '', '--bind', '127.0.0.1',
        '--enable-debug-command', 'yes']);
    $socket{ $other->{port} } = connect_to($other);
    is(ask($other, 'DEBUG', 'DIGEST'), ask($redis, 'DEBUG', 'DIGEST'), 'Redis loads it with the same content');
    stop_server($other);
}

open my $in, '<:raw', $file or die "$file: $!";
my $whole = do { local $/; <$in> };
close $in;
my $damaged = temporary() . '/damaged.rdb';
my @accepted;
for my $at (map { int(length($whole) * $_ / 40) } 0 .. 39) {
    my $bytes = $whole;
    substr($bytes, $at, 1) ^= "\x10";
    write_file($damaged, $bytes);
    push @accepted, $at if system("'$copy' 65536 < '$damaged' > /dev/null 2>&1") == 0;
}
is_deeply(\@accepted, [], 'a file with a changed byte is refused');
write_file($damaged, substr $whole, 0, length($whole) - 9);
isnt(system("'$copy' 65536 < '$damaged' > /dev/null 2>&1"), 0, 'as is one without its end');

done_testing();
