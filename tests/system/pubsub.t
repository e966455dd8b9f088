#!/usr/bin/env perl
# Channels and key events, compared with redis-server: the same conversation with both, and what
# every connection reads must be the same. Of key events all classes are on, and each command that
# changes keys is tried, with its ways of not changing any. SHOAL_PORTS=REDIS,SHOAL uses two
# servers that run already.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

plan skip_all => 'redis-server is not installed' if !grep { -x "$_/redis-server" }
    split /:/, $ENV{PATH};

my @servers;
if ($ENV{SHOAL_PORTS}) {
    @servers = map { { port => $_, log => '/dev/null', log_from => 0 } } split /,/, $ENV{SHOAL_PORTS};
} else {
    local $ENV{SHOAL_SERVER} = 'redis-server';
    push @servers, start_server(directory => temporary(),
        arguments => ['--save', '', '--bind', '127.0.0.1']);
    delete $ENV{SHOAL_SERVER};
    push @servers, start_server(arguments => ['--io-threads', 4]);
}

# ---- talking ----

sub request {
    my @words = @_;
    return "*" . @words . "\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" } @words;
}

# A line of words; '_' is an empty one.
sub words { return map { $_ eq '_' ? '' : $_ } split ' ', $_[0] }

# What the connection reads until the answer to an ECHO or PING of that word has come.
sub until_word {
    my ($socket, $word) = @_;
    my $text = read_reply($socket, qr/\Q$word\E\r\n\z/, 20);
    return $text;
}

# Are both texts the same? Steps, each from its '>' on, that are not are shown.
sub same {
    my ($theirs, $ours, $fact) = @_;
    return if ok($theirs eq $ours, $fact);
    my @theirs = split /^(?=> )/m, $theirs;
    my @ours   = split /^(?=> )/m, $ours;
    for my $i (0 .. $#theirs) {
        diag "redis-server:\n$theirs[$i]shoal:\n" . ($ours[$i] // '') if $theirs[$i] ne ($ours[$i] // '');
    }
    return;
}

# ---- key events ----

# Runs commands and returns the events, one a line, and the replies.
my $marks = 0;
sub events_of {
    my ($server, $listener, @commands) = @_;
    my $socket = connect_to($server);
    my $mark = 'reply-' . ++$marks;
    send_bytes($socket, join('', map { request(words($_)) } @commands) . request('ECHO', $mark));
    until_word($socket, $mark);
    $mark = 'mark-' . ++$marks;
    send_bytes($socket, request('PUBLISH', '__keyend__', $mark));
    my $text = until_word($listener, $mark);
    my @events;
    while ($text =~ /\G\*4\r\n\$8\r\npmessage\r\n\$\d+\r\n[^\r]*\r\n\$\d+\r\n([^\r]*)\r\n\$\d+\r\n([^\r]*)\r\n/gc) {
        push @events, "$1 $2" if $1 ne '__keyend__';
    }
    close $socket;
    return join "\n", @events;
}

my @stories = (
    [strings => 'SET a 1', 'SET a 2', 'SET a 3 EX 100', 'SET a 4 KEEPTTL', 'SET a 5 NX', 'SET b 1 XX',
        'SET b 1 PXAT 4102444800000', 'SETNX b 2', 'SETNX c 2', 'SETEX d 100 x', 'PSETEX d 100000 x',
        'GETSET d y', 'GETSET e y', 'MSET a 1 f 2 a 3', 'MSETNX a 1 g 1', 'MSETNX g 1 h 2', 'GETDEL g',
        'GETDEL g', 'GETEX a EX 100', 'GETEX a PERSIST', 'GETEX a PERSIST', 'GETEX a', 'GETEX a EXAT 1', 'APPEND i x', 'APPEND i y', 'APPEND i _',
        'SETRANGE i 0 z', 'SETRANGE i 0 _', 'SETRANGE j 0 _', 'SETRANGE j 3 _', 'SETRANGE j 3 x',
        'INCR k', 'INCRBY k 0', 'DECR k', 'DECRBY k 3', 'INCRBYFLOAT k 1.5', 'INCR i', 'SETBIT l 3 1',
        'SETBIT l 3 1', 'SETBIT m 3 0', 'SETBIT m 3 0', 'BITFIELD m SET u8 0 9 GET u8 0', 'BITFIELD m GET u8 0',
        'BITFIELD m SET u8 0 9', 'BITFIELD n INCRBY u8 0 1', 'BITOP AND o l m', 'BITOP AND o none nothing', 'BITOP NOT o none', 'LPUSH i x'],
    [keys => 'SET a 1', 'EXPIRE a 100', 'EXPIRE a 50 GT', 'PEXPIRE a 100000', 'EXPIREAT a 4102444800', 'PERSIST a',
        'PERSIST a', 'EXPIRE none 1', 'EXPIRE a -1', 'SET a 1', 'PEXPIREAT a 1', 'MSET a 1 b 2 c 3', 'DEL a none b a',
        'UNLINK c none', 'SET a 1', 'RENAME a b', 'RENAME b b', 'RENAME none b', 'SET a 1', 'RENAME a b', 'SET a 1',
        'RENAMENX a b', 'RENAMENX a c', 'COPY c d', 'COPY c d', 'COPY c d REPLACE', 'COPY c e DB 3', 'MOVE c 3',
        'MOVE c 3', 'MOVE none 3', 'TOUCH d', 'EXISTS none d', 'TYPE none', 'TTL none', 'OBJECT ENCODING none', 'DUMP none',
        'SET big 1', 'RPUSH l 3 1 2', 'SORT l STORE s', 'SORT none STORE s', 'SORT none STORE s', 'GET none', 'MGET none d none2',
        'STRLEN none', 'HGET none f', 'LLEN none', 'SISMEMBER none m', 'ZSCORE none m', 'RANDOMKEY', 'FLUSHDB'],
    [lists => 'LPUSH a 1 2', 'RPUSH a 3', 'LPUSHX none 1', 'LPUSHX a 0', 'RPUSHX a 4', 'LPOP a', 'RPOP a 2', 'LPOP a 0', 'LPOP a 5',
        'RPOP a', 'RPUSH a 1 2 3', 'LSET a 0 x', 'LSET a 9 x', 'LINSERT a BEFORE 2 y', 'LINSERT a AFTER none y', 'LREM a 0 y',
        'LREM a 0 none', 'LTRIM a 0 -1', 'LTRIM a 0 1', 'LTRIM a 5 6', 'LTRIM none 0 1', 'RPUSH a 1 2', 'LMOVE a b LEFT RIGHT', 'LMOVE a b RIGHT LEFT',
        'LMOVE none b LEFT LEFT', 'RPOPLPUSH b b', 'RPOPLPUSH b c', 'BLPOP c 1', 'RPUSH c 1', 'BRPOP c 1', 'RPUSH c 1 2 3',
        'BLMOVE c b LEFT LEFT 1', 'BRPOPLPUSH c b 1', 'LMPOP 2 none c LEFT', 'RPUSH c 1 2 3', 'LMPOP 1 c RIGHT COUNT 2',
        'BLMPOP 1 2 none c RIGHT COUNT 9', 'RPUSH r 1', 'RPOPLPUSH r r', 'LMOVE r r LEFT RIGHT', 'DEL b r'],
    [sets => 'SADD a 1 2 3', 'SADD a 1', 'SREM a none', 'SREM a 1', 'SMOVE a b 2', 'SMOVE a b none', 'SMOVE a b 3', 'SADD a 2', 'SMOVE a b 2',
        'SADD a 2', 'SMOVE a a 2', 'SPOP a', 'SPOP none', 'SPOP b 0', 'SPOP b 9', 'SADD a 1 2', 'SADD b 2 3', 'SINTERSTORE c a b', 'SUNIONSTORE c a b', 'SDIFFSTORE c a a', 'SDIFFSTORE c a a', 'SINTERSTORE c none none2', 'SUNIONSTORE b a', 'SREM a 1 2'],
    [hashes => 'HSET a f 1', 'HSET a f 1', 'HMSET a g 2 h 3', 'HSETNX a f 2', 'HSETNX a n 2', 'HINCRBY a f 2', 'HINCRBYFLOAT a f 1.5',
        'HDEL a none', 'HDEL a f', 'HDEL a g h n', 'HDEL a g', 'HINCRBY b f 1', 'DEL b'],
    [zsets => 'ZADD a 1 a 2 b', 'ZADD a 1 a', 'ZADD a XX 5 none', 'ZADD a CH 3 a', 'ZADD a INCR 1 a', 'ZADD a GT INCR -1 a', 'ZINCRBY a 2 a', 'ZINCRBY z 1 m',
        'ZREM a none', 'ZREM a a', 'ZREM a b', 'ZADD a 1 a 2 b 3 c 4 d 5 e 6 f 7 g', 'ZREMRANGEBYRANK a 0 0', 'ZREMRANGEBYSCORE a 2 2', 'ZREMRANGEBYLEX a [c [c',
        'ZREMRANGEBYSCORE a 100 200', 'ZPOPMIN a', 'ZPOPMAX a', 'BZPOPMIN a 1', 'BZPOPMAX a 1', 'ZPOPMIN a', 'ZADD a 1 a 2 b 3 c', 'ZMPOP 1 a MIN', 'ZMPOP 2 none a MAX', 'BZMPOP 1 1 a MAX',
        'ZADD a 1 a 2 b', 'ZADD b 1 a', 'ZRANGESTORE c a 0 -1', 'ZRANGESTORE c a 5 6', 'ZRANGESTORE c a 5 6', 'ZUNIONSTORE c 2 a b', 'ZINTERSTORE c 2 a b', 'ZDIFFSTORE c 2 a a', 'ZINTERSTORE c 2 none b', 'ZUNIONSTORE c 1 none', 'DEL a b z'],
    [transactions => 'MULTI', 'SET a 1', 'INCR a', 'RPUSH l x', 'LPOP l', 'EXEC', 'MULTI', 'SET a x', 'INCR a', 'DEL a', 'EXEC'],
);

my @listeners = map {
    my $listener = connect_to($_);
    send_bytes($listener, request(words('CONFIG SET notify-keyspace-events AKEmn')) . request(words('PSUBSCRIBE __key*')));
    read_reply($listener, qr/:1\r\n\z/, 20);
    $listener;
} @servers;
for my $story (@stories) {
    my ($name, @commands) = @$story;
    # A transaction is one conversation, everything else is easier to read one by one.
    my @steps = $name eq 'transactions' ? [@commands] : map { [$_] } @commands;
    my @said = map { '' } @servers;
    for my $step (@steps) {
        my @now = map { events_of($servers[$_], $listeners[$_], @$step) } 0 .. 1;
        my $label = join '; ', @$step;
        $said[$_] .= "> $label\n$now[$_]\n" for 0 .. 1;
    }
    same(@said, "events of $name are those of redis-server");
}

# Keys that go by themselves.
for my $i (0 .. 1) {
    my $socket = connect_to($servers[$i]);
    send_bytes($socket, request(words('SET soon 1 PX 5')));
    my $text = read_reply($listeners[$i], qr/keyevent\@0__:expired\r\n\$4\r\nsoon\r\n/, 20);
    like($text, qr/keyspace\@0__:soon\r\n\$7\r\nexpired\r\n/, 'a key whose time has come is told of');
    send_bytes($socket, request(words('CONFIG SET notify-keyspace-events _')) . request(words('SET later 1')) . request(words('PUBLISH __keyend__ off')));
    $text = until_word($listeners[$i], 'off');
    unlike($text, qr/later/, 'nothing is told of when no class is on');
    close $socket;
}

# ---- channels ----

# Each step: who says it, what. Then everybody reads what there is for him.
my @conversations = (
    ['RESP2', map { [split /: /, $_, 2] } 'a: SUBSCRIBE x y x', 'b: PUBLISH x hello', 'a: GET k', 'a: CLIENT ID', 'a: PING', 'a: PING z',
        'a: CONFIG GET x', 'a: MULTI', 'a: PSUBSCRIBE x*', 'b: PUBLISH x m', 'b: PUBLISH none m', 'b: PUBSUB NUMSUB x q', 'b: PUBSUB NUMPAT', 'b: PUBSUB CHANNELS y*',
        'a: UNSUBSCRIBE x y z', 'a: PUNSUBSCRIBE', 'a: UNSUBSCRIBE', 'a: PUNSUBSCRIBE', 'a: SUNSUBSCRIBE', 'a: GET k', 'a: SSUBSCRIBE s', 'b: SPUBLISH s w', 'b: PUBLISH s w', 'b: PUBSUB SHARDCHANNELS',
        'b: PUBSUB SHARDNUMSUB s t', 'b: PUBSUB CHANNELS', 'a: SUBSCRIBE c', 'a: RESET', 'b: PUBLISH c x', 'b: SPUBLISH s x', 'a: GET k', 'b: PUBSUB CHANNELS a b', 'b: PUBSUB NUMPAT x', 'b: PUBSUB NOTHING', 'b: SUBSCRIBE', 'b: PUBLISH x'],
    ['RESP3', map { [split /: /, $_, 2] } 'a: HELLO 3 SETNAME n', 'a: SUBSCRIBE x', 'a: GET k', 'b: PUBLISH x m', 'a: PSUBSCRIBE *', 'b: PUBLISH x m', 'a: PING', 'a: UNSUBSCRIBE', 'a: UNSUBSCRIBE', 'a: PUNSUBSCRIBE *', 'b: PUBLISH x m'],
    ['transactions', map { [split /: /, $_, 2] } 'a: SUBSCRIBE x', 'b: MULTI', 'b: PUBLISH x 1', 'b: SET k v', 'b: PUBLISH x 2', 'b: PUBLISH none 2', 'b: EXEC', 'b: MULTI', 'b: SUBSCRIBE y', 'b: EXEC', 'a: RESET', 'a: PUBLISH y 1'],
);
for my $conversation (@conversations) {
    my ($name, @steps) = @$conversation;
    my @said;
    for my $server (@servers) {
        my %who = map { $_ => connect_to($server) } qw(a b);
        my $text = '';
        for my $step (@steps) {
            my ($speaker, $line) = @$step;
            send_bytes($who{$speaker}, request(words($line)));
            $text .= "> $speaker: $line\n";
            # The speaker has its answer first; what it did has reached the other when that answers a
            # word that is no command.
            for my $one ($speaker, $speaker eq 'a' ? 'b' : 'a') {
                my $mark = 'nothing' . ++$marks;
                send_bytes($who{$one}, request($mark));
                my $read = read_reply($who{$one}, qr/\Q$mark\E'[^\n]*\r\n\z/, 20);
                $read =~ s/-ERR unknown command[^\n]*\n\z//;
                $read =~ s/id\r\n:\d+/id/;
                $text .= "$one reads $read\n";
            }
        }
        close $_ for values %who;
        push @said, $text;
    }
    same(@said, "subscribers and publishers read what redis-server says: $name");
}

# Without replies to its commands a client still hears.
for my $server (@servers) {
    my ($deaf, $loud) = map { connect_to($server) } 1 .. 2;
    send_bytes($deaf, request(words('CLIENT REPLY OFF')) . request(words('SUBSCRIBE x')));
    like(read_reply($deaf, qr/:1\r\n\z/, 20), qr/^\*3\r\n\$9\r\nsubscribe\r\n/, 'a subscription is confirmed whatever CLIENT REPLY says');
    send_bytes($loud, request(words('PUBLISH x m')));
    like(read_reply($deaf, qr/\$1\r\nm\r\n\z/, 20), qr/message/, 'and its messages come');
    send_bytes($deaf, request(words('UNSUBSCRIBE x')));
    like(read_reply($deaf, qr/:0\r\n\z/, 20), qr/unsubscribe/, 'and so does the end of it');
    close $_ for $deaf, $loud;
}

# ---- slow subscribers ----

for my $server ($servers[1]) {
    my ($slow, $loud) = map { connect_to($server) } 1 .. 2;
    send_bytes($loud, request('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1mb 0 0'));
    read_reply($loud, qr/\+OK\r\n\z/, 20);
    send_bytes($slow, request(words('SUBSCRIBE flood')));
    read_reply($slow, qr/:1\r\n\z/, 20);
    my $message = 'x' x 100_000;
    my $gone    = wait_for(60, sub {
        send_bytes($loud, request('PUBLISH', 'flood', $message) x 20);
        return read_reply($loud, qr/(:\d+\r\n){20}\z/, 20) =~ /:0\r\n\z/;
    });
    ok($gone, 'a subscriber that does not read is gone at its limit');
    close $_ for $slow, $loud;
}

if (!$ENV{SHOAL_PORTS}) {
    is(stop_server($servers[1]), 0, 'the server ends well');
    stop_server($servers[0]);
}
done_testing;
