#!/usr/bin/env perl
# MIGRATE between Shoal nodes, to and from redis-server 7.0, and to a peer whose answers this test
# writes: what is written while a key is on its way is not lost.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::INET;
use System;
use Test::More;

sub start_redis {
    local $ENV{SHOAL_SERVER} = 'redis-server';
    my $server = start_server(arguments => ['--save', '', '--bind', '127.0.0.1', @_]);
    wait_for(10, sub { cli($server, 'ping') =~ /PONG|NOAUTH/ }) or die 'no redis-server';
    return $server;
}

sub migrate {
    my ($from, $port, $key, @rest) = @_;
    my $said = cli($from, 'migrate', '127.0.0.1', $port, $key, @rest);
    $said =~ s/\s+\z//;
    return $said;
}

my $here  = start_server();
my $there = start_server();
my $redis = start_redis();

for my $pair (['shoal to shoal', $here, $there], ['shoal to redis', $here, $redis],
    ['redis to shoal', $redis, $here]) {
    my ($name, $from, $to) = @$pair;
    my $port = $to->{port};
    cli($_, 'flushall') for $from, $to;
    cli($from, 'set', 'k', 'v', 'px', 100_000);
    cli($from, 'rpush', 'l', 1 .. 2000);
    cli($from, 'hset', 'h', map { ("f$_", $_) } 1 .. 1000);
    cli($from, 'sadd', 's', 1 .. 600);
    cli($from, 'zadd', 'z', map { ($_, "m$_") } 1 .. 300);
    my $digest = cli($from, 'object', 'encoding', 'l');
    is(migrate($from, $port, 'none', 0, 1000), 'NOKEY', "$name: no key");
    is(migrate($from, $port, '', 0, 1000, 'COPY', 'KEYS', qw(k l h s z none)), 'OK', "$name: COPY");
    is(cli($from, 'dbsize'), 5, "$name: a copy leaves the keys");
    like(migrate($from, $port, '', 0, 1000, 'KEYS', qw(k l)),
        qr/^ERR Target instance replied with error: BUSYKEY/, "$name: busy keys");
    is(cli($from, 'exists', 'k', 'l'), 2, "$name: which stay");
    is(migrate($from, $port, '', 0, 1000, 'REPLACE', 'KEYS', qw(k l h s z none)), 'OK',
        "$name: REPLACE");
    is(cli($from, 'dbsize'), 0, "$name: they are gone here");
    is(cli($to,   'dbsize'), 5, "$name: and there");
    ok(cli($to, 'pttl', 'k') > 50_000, "$name: with their time to live");
    is(cli($to, 'llen', 'l'), 2000, "$name: as long as they were");
    is(cli($to, 'hget', 'h', 'f77'), 77, "$name: with what they hold");
    cli($from, 'mset', map { ("many:$_", $_) } 1 .. 1000);
    is(migrate($from, $port, '', 3, 5000, 'KEYS', map { "many:$_" } 1 .. 1000), 'OK',
        "$name: more keys than a part has");
    is(cli($to, '-n', 3, 'dbsize'), 1000, "$name: in the database that was named");
    cli($to, '-n', 3, 'flushdb');
}

# ---- passwords ----

my $locked = start_redis('--requirepass', 'secret');
cli($locked, '-a', 'secret', 'acl', 'setuser', 'ann', 'on', '>pw', '~*', '+@all');
cli($here, 'set', 'p', 'v');
like(migrate($here, $locked->{port}, 'p', 0, 500), qr/error: NOAUTH/, 'without a password');
like(migrate($here, $locked->{port}, 'p', 0, 500, 'AUTH', 'x'), qr/error: WRONGPASS/, 'a wrong one');
is(cli($here, 'exists', 'p'), 1, 'the key stays');
is(migrate($here, $locked->{port}, 'p', 0, 500, 'AUTH', 'secret'), 'OK', 'the right one');
cli($here, 'set', 'q', 'v');
is(migrate($here, $locked->{port}, 'q', 0, 500, 'AUTH2', 'ann', 'pw'), 'OK', 'a user and his');
cli($here, 'config', 'set', 'slowlog-log-slower-than', 0);
migrate($here, $locked->{port}, 'q', 0, 500, 'AUTH2', 'ann', 'pw');
like(cli($here, 'slowlog', 'get'), qr/AUTH2\s+\(redacted\)\s+\(redacted\)/, 'are not shown');

# ---- what the arguments say ----

cli($here, 'set', 'k', 'v');
my @refused = (
    [['k', 0, 10, 'KEYS', 'a'], qr/^ERR When using MIGRATE KEYS option, the key argument must be/],
    [['k', 0, 10, 'BAD'], qr/^ERR syntax error/],
    [['k', 0, 10, 'AUTH'], qr/^ERR syntax error/],
    [['k', 0, 10, 'AUTH2', 'a'], qr/^ERR syntax error/],
    [['k', 0, 'x'], qr/^ERR value is not an integer/],
    [['k', 'x', 1], qr/^ERR value is not an integer/],
    [['k', 77, 100], qr/^ERR Target instance replied with error: ERR DB index/],
);
for my $case (@refused) {
    my ($words, $error) = @$case;
    like(migrate($here, $redis->{port}, @$words), $error, "MIGRATE @$words");
    like(migrate($redis, $here->{port}, @$words), $error, '... as redis-server')
        unless "@$words" =~ /77/;
}
like(migrate($here, free_port(), 'k', 0, 200), qr/^IOERR/, 'nobody is there');
is(migrate($here, $redis->{port}, '', 0, 200, 'KEYS'), 'NOKEY', 'KEYS of none');

# Bytes that leave at once are no reason to wait once more for an answer.
my $sleeper = start_server(arguments => ['--enable-debug-command', 'yes']);
my $asleep  = connect_to($sleeper);
send_bytes($asleep, "DEBUG SLEEP 3\r\n");
cli($here, 'set', 'k', 'v');
like(migrate($here, $sleeper->{port}, 'k', 0, 2000), qr/^IOERR/, 'nobody answers in time');
is(read_reply($asleep, qr/\n/, 20), "+OK\r\n", 'who answers later');
is(cli($here, 'exists', 'k'), 1, 'the key stays here');
cli($here, 'set', 'k', 'v');

# ---- a peer of our own: it answers when it is told to ----

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5) or die;
my $port     = $listener->sockport;

# The next commands that came to the peer, `count` of them, as lists of words.
sub heard {
    my ($peer, $count) = @_;
    my @heard;
    while (@heard < $count) {
        my $line = <$peer>;
        return @heard unless defined $line && $line =~ /^\*(\d+)/;
        push @heard, [map { my $size = <$peer>; read($peer, my $word, substr($size, 1) + 2);
                substr($word, 0, -2) } 1 .. $1];
    }
    return @heard;
}

sub ask {
    my (@words) = @_;
    my $client = connect_to($here);
    send_bytes($client, join '', '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words);
    return $client;
}

sub answer {
    my ($line) = read_reply($_[0], qr/\r\n/);
    return $line =~ s/\r\n.*//sr;
}

sub words { return join ' ', grep { !/[^ -~]/ } @{ $_[0] } }

my $client = ask('MIGRATE', '127.0.0.1', $port, 'k', 0, 5000);
my $peer   = $listener->accept;
$peer->autoflush(1);
is(words($_), 'SELECT 0', 'a new connection says its database') for heard($peer, 1);
my ($restore) = heard($peer, 1);
like(words($restore), qr/^RESTORE k 0/, 'then the key');
is(cli($here, 'set', 'k', 'changed'), 'OK', 'which is written meanwhile');
print {$peer} "+OK\r\n+OK\r\n";
my ($again) = heard($peer, 1);
is($again->[4], 'REPLACE', 'and is sent again');
is(cli($here, 'get', 'k'), 'changed', 'nothing was removed');
is(cli($here, 'del', 'k'), 1, 'now it is removed meanwhile');
print {$peer} "+OK\r\n";
my ($del) = heard($peer, 1);
is(words($del), 'DEL k', 'and so is what the other one has');
cli($here, 'set', 'k', 'third');
print {$peer} ":1\r\n";
my ($third) = heard($peer, 1);
like(words($third), qr/^RESTORE k 0/, 'it has come back meanwhile');
like(cli($here, 'migrate', '127.0.0.1', $port, 'k', 0, 100), qr/^TRYAGAIN/,
    'one key has one MIGRATE at a time');
print {$peer} "+OK\r\n";
is(answer($client), '+OK', 'at rest it goes');
is(cli($here, 'exists', 'k'), 0, 'from here');

cli($here, 'mset', 'a', 1, 'b', 2, 'c', 3);
$client = ask('MIGRATE', '127.0.0.1', $port, '', 0, 5000, 'KEYS', 'a', 'b', 'c', 'a');
is(scalar(() = heard($peer, 3)), 3, 'the connection is used again, without SELECT');
print {$peer} "+OK\r\n-NO way\r\n+OK\r\n";
is(answer($client), '-ERR Target instance replied with error: NO way', 'one is refused');
is(cli($here, 'mget', 'a', 'b', 'c'), "\n2", 'and stays alone');
$client = ask('MIGRATE', '127.0.0.1', $port, 'b', 0, 300);
is(words($_), 'SELECT 0', 'behind an error the database is said again') for heard($peer, 1);
heard($peer, 1);
like(answer($client), qr/^-IOERR/, 'no answer in time');
is(cli($here, 'get', 'b'), 2, 'it stays');

for my $noise ("+OK\r\n*", "\0\0", '$99999999999999999' . "\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n") {
    $client = ask('MIGRATE', '127.0.0.1', $port, 'b', 0, 400, 'COPY');
    $peer   = $listener->accept;
    $peer->autoflush(1);
    heard($peer, 2);
    print {$peer} $noise;
    like(answer($client), qr/^-IOERR/, 'noise is no answer');
}
like(cli($here, 'info', 'stats'), qr/migrate_cached_sockets:\d/, 'INFO counts connections');

# A connection that the other one has closed meanwhile is opened once more.
$client = ask('MIGRATE', '127.0.0.1', $port, 'b', 0, 2000, 'COPY');
$peer   = $listener->accept;
$peer->autoflush(1);
heard($peer, 2);
print {$peer} "+OK\r\n+OK\r\n";
is(answer($client), '+OK', 'a connection that is kept');
$client = ask('MIGRATE', '127.0.0.1', $port, 'b', 0, 2000);
heard($peer, 1);
close $peer;
$peer = $listener->accept;
$peer->autoflush(1);
heard($peer, 2);
print {$peer} "+OK\r\n+OK\r\n";
is(answer($client), '+OK', 'and has gone');

# Keys that have to go once more, and are more than one trip carries.
close $peer;
cli($here, 'mset', 'a', 1, 'b', 'old', 'c', 'old');
$client = ask('MIGRATE', '127.0.0.1', $port, '', 0, 5000, 'REPLACE', 'KEYS', 'a', 'b', 'c');
$peer   = $listener->accept;
$peer->autoflush(1);
is(scalar(() = heard($peer, 4)), 4, 'three keys');
my $noise = join '', map { chr(33 + int rand 90) } 1 .. 1_100_000;
answer(ask('SET', 'a', $noise));
cli($here, 'set', 'b', 'new');
cli($here, 'del', 'c');
print {$peer} "+OK\r\n" x 4;
my ($large) = heard($peer, 1);
is("@$large[0, 1]", 'RESTORE a', 'the first one alone is a trip by now');
print {$peer} "+OK\r\n";
my ($new, $removal) = heard($peer, 2);
is("@$new[0, 1, 4]", 'RESTORE b REPLACE', 'what has changed is said behind it');
is(words($removal), 'DEL c', 'and what has gone');
print {$peer} "+OK\r\n:1\r\n";
is(answer($client), '+OK', 'then it is over');
is(cli($here, 'exists', 'a', 'b', 'c'), 0, 'and nothing is here any more');

# The timeout since its beginning does not leave there what has gone here.
cli($here, 'set', 'k', 'v');
$client = ask('MIGRATE', '127.0.0.1', $port, 'k', 0, 700);
heard($peer, 1);
cli($here, 'del', 'k');
select undef, undef, undef, 0.5;
print {$peer} '+O';
select undef, undef, undef, 0.4;
print {$peer} "K\r\n";
($removal) = heard($peer, 1);
is(words($removal), 'DEL k', 'a key that has gone is removed there behind the timeout too');
print {$peer} ":1\r\n";
is(answer($client), '+OK', 'and so both agree');

# A pause of writes.
cli($here, 'set', 'k', 'v');
$client = ask('MIGRATE', '127.0.0.1', $port, 'k', 0, 5000);
heard($peer, 1);
cli($here, 'client', 'pause', 60_000, 'write');
print {$peer} "+OK\r\n";
ok(!IO::Select->new($client)->can_read(0.5), 'no answer while writes pause');
is(cli($here, 'exists', 'k'), 1, 'the key stays');
cli($here, 'client', 'unpause');
is(answer($client), '+OK', 'then it goes');
is(cli($here, 'exists', 'k'), 0, 'from here');

# An answer that never ends is none.
cli($here, 'set', 'k', 'v');
$client = ask('MIGRATE', '127.0.0.1', $port, 'k', 0, 5000);
heard($peer, 1);
print {$peer} "*9000000\r\n:1\r\n";
like(answer($client), qr/^-IOERR/, 'a list is no answer to a RESTORE');
is(cli($here, 'exists', 'k'), 1, 'the key stays here');

# ---- a transaction, and what the log says ----

my $copy = start_server(arguments => ['--replicaof', "127.0.0.1 $here->{port}"]);
cli($here, 'mset', 'x', 1, 'y', 2);
wait_for(20, sub { cli($copy, 'get', 'y') eq '2' }) or diag 'no replica';
is(migrate($here, $there->{port}, '', 0, 1000, 'REPLACE', 'KEYS', 'x', 'y'), 'OK', 'with a replica');
ok(wait_for(10, sub { cli($copy, 'dbsize') eq cli($here, 'dbsize') && cli($copy, 'exists', 'x') eq '0' }),
    'the replica has heard of it');
like(cli($copy, 'migrate', '127.0.0.1', $there->{port}, 'b', 0, 100), qr/^READONLY|^NOKEY/,
    'a replica moves nothing');
my $last = start_server();
cli($last, 'set', 'c', 1);
my $asking = connect_to($last);
send_bytes($asking, "MIGRATE 127.0.0.1 $port c 0 60000\r\n");
my $held = $listener->accept;
is(scalar(() = heard($held, 2)), 2, 'a trip is under way');
is(stop_server($last), 0, 'a node ends while a trip is under way');
close $held;
stop_server($_) for $copy, $here, $there, $redis, $locked;

# ---- a cluster, and redis-cli ----

my @three = start_cluster(3);
my $entry = "127.0.0.1:$three[0]{port}";
sub keys_in_all { my $sum = 0; $sum += cli($_, 'dbsize') for @three; return $sum }
sub id_of { return cli($_[0], 'cluster', 'myid') }
sub manage {
    my ($what, @words) = @_;
    my ($status, $output) = run_program('redis-cli', '--cluster', @words);
    ok($status == 0, $what) or diag $output;
    return;
}

run_program({ input => join '', map { "set key:$_ $_\n" } 1 .. 2000 }, 'redis-cli', '-c', '-p',
    $three[0]{port});
is(keys_in_all(), 2000, 'keys in a cluster');
my $had = cli($three[1], 'dbsize');
manage('reshard', 'reshard', $entry, '--cluster-from', id_of($three[0]), '--cluster-to',
    id_of($three[1]), '--cluster-slots', 100, '--cluster-yes');
ok(cli($three[1], 'dbsize') > $had, 'keys have moved');
is(keys_in_all(), 2000, 'and none is lost');

# A slot that is half open, and on its way with one of two keys.
my $slot = cli($three[0], 'cluster', 'keyslot', '{tag}');
my ($from) = grep { cli($_, 'get', '{tag}') !~ /MOVED/ } @three;
my ($to) = grep { $_ != $from } @three;
cli($from, 'mset', '{tag}1', 'a', '{tag}2', 'b');
cli($to, 'cluster', 'setslot', $slot, 'importing', id_of($from));
cli($from, 'cluster', 'setslot', $slot, 'migrating', id_of($to));
is(migrate($from, $to->{port}, '{tag}1', 0, 1000), 'OK', 'a key of a slot that leaves');
is(migrate($from, $to->{port}, '{tag}1', 0, 1000), 'NOKEY', 'is about keys here, wherever they are');
like(cli($from, 'get', '{tag}1'), qr/^ASK $slot /, 'it is asked for there');
like(cli($from, 'mget', '{tag}1', '{tag}2'), qr/^TRYAGAIN/, 'both together are nowhere');
like(migrate($from, $to->{port}, '', 0, 1000, 'KEYS', '{tag}1', 'other'), qr/^CROSSSLOT/,
    'keys of one slot at a time');
manage('fix ends it', 'fix', $entry);
is(cli($to, '-c', 'get', '{tag}1') . cli($to, '-c', 'get', '{tag}2'), 'ab', 'with both of them');
is(keys_in_all(), 2002, 'and nothing else');
stop_server($_) for @three;
done_testing();
