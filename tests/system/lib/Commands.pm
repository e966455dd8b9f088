package Commands;

# Random commands of Redis 7.0, drawn from templates with a seeded generator, for comparing two
# servers. The generator knows nothing of replies: a sequence depends on the seed alone. Commands
# whose effect is random are followed by a DEL of their key, so that two servers that drew
# differently are equal again.
use strict;
use warnings;

# A template is a line of words: LITERAL, <kind> from the pools below, [ optional ], ( one | or
# another ), and + or ++ after any of these for 1 to 4 or for 30 to 200 of it. What a reply is
# compared as stands before the colon: plain (byte for byte), set (elements in any order), pairs
# (likewise, by twos), shape (types and counts), type, near (a time), none.
my %templates = (
    string => <<'END',
plain: SET <key> <value> [ ( NX | XX ) ] [ GET ] [ ( EX <ttl> | PX <ttlms> | KEEPTTL | EXAT <later> ) ]
plain: SET <key> <number>
plain: SET <key> <value>
plain: GET <key>
plain: SETNX <key> <value>
plain: SETEX <key> <ttl> <value>
plain: PSETEX <key> <ttlms> <value>
plain: GETSET <key> <value>
plain: GETDEL <key>
plain: GETEX <key> [ ( EX <ttl> | PXAT <atms> | PERSIST ) ]
plain: APPEND <key> <value>
plain: STRLEN <key>
plain: INCR <key>
plain: DECR <key>
plain: INCRBY <key> <integer>
plain: DECRBY <key> <integer>
plain: INCRBYFLOAT <key> <double>
plain: GETRANGE <key> <index> <index>
plain: SUBSTR <key> <index> <index>
plain: SETRANGE <key> <offset> <value>
plain: MGET <key>+
plain: MGET <key> <any>+
plain: MSET ( <key> <value> )+
plain: MSETNX ( <key> <value> )+
plain: LCS <key> <key> [ LEN ] [ IDX ] [ MINMATCHLEN <count> ] [ WITHMATCHLEN ]
END
    bits => <<'END',
plain: SETBIT <key> <offset> ( 0 | 1 | 2 )
plain: GETBIT <key> <offset>
plain: BITCOUNT <key> [ <index> <index> [ ( BYTE | BIT | BITS ) ] ]
plain: BITPOS <key> ( 0 | 1 | 2 ) [ <index> [ <index> [ ( BYTE | BIT ) ] ] ]
plain: BITOP ( AND | OR | XOR | NAND ) <key> <key>+
plain: BITOP NOT <key> <key>
plain: BITFIELD <key> ( GET <width> <bit> | SET <width> <bit> <integer> | INCRBY <width> <bit> <integer> | OVERFLOW ( WRAP | SAT | FAIL | NO ) INCRBY <width> <bit> <integer> )+
plain: BITFIELD_RO <key> ( GET <width> <bit> )+
END
    list => <<'END',
plain: LPUSH <key> <value>+
plain: RPUSH <key> <value>+
plain: RPUSH <key> <number>+
plain: RPUSH <key> <many>++
plain: LPUSHX <key> <value>+
plain: RPUSHX <key> <value>+
plain: LPOP <key> [ <count> ]
plain: RPOP <key> [ <count> ]
plain: LLEN <key>
plain: LRANGE <key> <index> <index>
plain: LINDEX <key> <index>
plain: LSET <key> <index> <value>
plain: LREM <key> <index> <value>
plain: LTRIM <key> <index> <index>
plain: LINSERT <key> ( BEFORE | AFTER | beside ) <value> <value>
plain: LPOS <key> <value> [ RANK <index> ] [ COUNT <count> ] [ MAXLEN <count> ]
plain: LMOVE <key> <key> ( LEFT | RIGHT ) ( LEFT | RIGHT | UP )
plain: RPOPLPUSH <key> <key>
plain: LMPOP ( 1 <key> | 2 <key> <key> | <count> <key> ) ( LEFT | RIGHT ) [ COUNT <count> ]
END
    blocking => <<'END',
plain: BLPOP <list> <list> <wait>
plain: BRPOP <list> <list> <any> <wait>
plain: BLMOVE <list> <list> LEFT RIGHT <wait>
plain: BRPOPLPUSH <list> <list> <wait>
plain: BLMPOP <wait> 2 <list> <list> LEFT [ COUNT <count> ]
plain: BZPOPMIN <zset> <zset> <wait>
plain: BZPOPMAX <zset> <any> <wait>
plain: BZMPOP <wait> 2 <zset> <zset> ( MIN | MAX ) [ COUNT <count> ]
END
    hash => <<'END',
plain: HSET <key> ( <member> <value> )+
plain: HSET <key> ( <many> <number> )++
plain: HMSET <key> ( <member> <value> )+
plain: HSETNX <key> <member> <value>
plain: HGET <key> <member>
plain: HMGET <key> <member>+
plain: HINCRBY <key> <member> <integer>
plain: HINCRBYFLOAT <key> <member> <double>
plain: HDEL <key> <member>+
plain: HDEL <key> <many>++
plain: HLEN <key>
plain: HSTRLEN <key> <member>
plain: HEXISTS <key> <member>
set: HKEYS <key>
set: HVALS <key>
pairs: HGETALL <key>
shape: HRANDFIELD <key> [ <draws> [ WITHVALUES ] ]
END
    set => <<'END',
plain: SADD <key> <member>+
plain: SADD <key> <number>+
plain: SADD <key> <many>++
plain: SREM <key> <member>+
plain: SREM <key> <number>+
plain: SREM <key> <many>++
plain: SMOVE <key> <key> <member>
plain: SISMEMBER <key> <member>
plain: SMISMEMBER <key> <member>+
plain: SCARD <key>
shape: SRANDMEMBER <key> [ <draws> ]
set: SINTER <key>+
set: SUNION <key>+
set: SDIFF <key>+
plain: SINTERCARD ( 1 <key> | 2 <key> <key> | <count> <key> <key> ) [ LIMIT <count> ]
plain: SINTERSTORE <key> <key>+
plain: SUNIONSTORE <key> <key>+
plain: SDIFFSTORE <key> <key>+
set: SMEMBERS <key>
END
    drawn => <<'END',
shape: SPOP <set> [ <count> ]
END
    zset => <<'END',
plain: ZADD <key> [ ( NX | XX ) ] [ ( GT | LT ) ] [ CH ] ( <double> <member> )+
plain: ZADD <key> ( <double> <member> )+
plain: ZADD <key> ( <double> <many> )++
plain: ZADD <key> ( 0 <member> )+
plain: ZADD <key> [ ( NX | XX ) ] [ ( GT | LT ) ] [ CH ] INCR <double> <member>
plain: ZINCRBY <key> <double> <member>
plain: ZREM <key> <member>+
plain: ZREM <key> <many>++
plain: ZCARD <key>
plain: ZSCORE <key> <member>
plain: ZMSCORE <key> <member>+
plain: ZRANK <key> <member>
plain: ZREVRANK <key> <member>
plain: ZCOUNT <key> <bound> <bound>
plain: ZRANGE <key> <index> <index> [ REV ] [ WITHSCORES ]
plain: ZRANGE <key> <bound> <bound> BYSCORE [ REV ] [ LIMIT <index> <index> ] [ WITHSCORES ]
plain: ZRANGESTORE <key> <key> ( <index> <index> | <bound> <bound> BYSCORE ) [ REV ] [ LIMIT <index> <index> ]
plain: ZREVRANGE <key> <index> <index> [ WITHSCORES ]
plain: ZRANGEBYSCORE <key> <bound> <bound> [ WITHSCORES ] [ LIMIT <index> <index> ]
plain: ZREVRANGEBYSCORE <key> <bound> <bound> [ WITHSCORES ] [ LIMIT <index> <index> ]
plain: ZREMRANGEBYRANK <key> <index> <index>
plain: ZREMRANGEBYSCORE <key> <bound> <bound>
plain: ZPOPMIN <key> [ <count> ]
plain: ZPOPMAX <key> [ <count> ]
plain: ZMPOP ( 1 <key> | 2 <key> <key> | <count> <key> ) ( MIN | MAX ) [ COUNT <count> ]
plain: ZUNION ( 2 <key> <key> | 2 <key> <set> | <count> <key> ) [ WEIGHTS <double> <double> ] [ AGGREGATE ( SUM | MIN | MAX | AVG ) ] [ WITHSCORES ]
plain: ZINTER ( 2 <key> <key> | 2 <set> <key> | <count> <key> ) [ WEIGHTS <double> <double> ] [ AGGREGATE ( SUM | MIN | MAX ) ] [ WITHSCORES ]
plain: ZDIFF ( 1 <key> | 2 <key> <key> | 2 <key> <set> ) [ WITHSCORES ]
plain: ZINTERCARD ( 1 <key> | 2 <key> <key> | 2 <set> <key> ) [ LIMIT <count> ]
plain: ZUNIONSTORE <key> ( 2 <key> <key> | 2 <key> <set> ) [ WEIGHTS <double> <double> ] [ AGGREGATE ( SUM | MIN | MAX ) ]
plain: ZINTERSTORE <key> ( 2 <key> <key> | 2 <key> <set> ) [ WEIGHTS <double> <double> ] [ AGGREGATE ( SUM | MIN | MAX ) ]
plain: ZDIFFSTORE <key> ( 1 <key> | 2 <key> <key> | 2 <key> <set> )
shape: ZRANDMEMBER <key> [ <draws> [ WITHSCORES ] ]
END
    sort => <<'END',
plain: SORT ( <list> | <set> | <zset> ) [ BY ( n* | none* ) ] [ LIMIT <index> <index> ] [ GET ( # | s* | h*->1 | h*->b | l* | none ) ]+ [ ( ASC | DESC ) ] [ STORE <list> ]
plain: SORT ( <list> | <set> | <zset> ) ALPHA [ LIMIT <index> <index> ] [ GET ( # | s* | h*->1 ) ]+ [ ( ASC | DESC ) ] [ STORE <list> ]
plain: SORT ( <list> | <set> | <zset> ) BY nosort [ LIMIT <index> <index> ] [ GET ( # | s* ) ]+ [ DESC ] STORE <list>
set: SORT ( <list> | <set> | <zset> ) BY ( n* | h*->1 ) ALPHA
set: SORT <set> BY nosort
plain: SORT_RO ( <list> | <set> | <zset> ) [ BY n* ] [ LIMIT <index> <index> ] [ ALPHA STORE <list> ]
plain: SORT_RO <list> ALPHA [ DESC ]
plain: SET ( n0 | n1 | n2 | n3 | n10 ) <number>
plain: DEL ( n0 | n1 | n2 )
END
    one_score => <<'END',
plain: ZADD <key> ( 0 <member> )+
plain: ZADD <key> ( 0 <many> )++
plain: ZREM <key> <member>+
plain: ZPOPMIN <key> [ <count> ]
plain: ZUNIONSTORE <key> 2 <key> <key> AGGREGATE MAX
plain: DEL <key>
plain: ZRANGE <key> 0 -1
plain: ZRANGESTORE <key> <key> <lex> <lex> BYLEX [ REV ] [ LIMIT <index> <index> ]
plain: ZLEXCOUNT <key> <lex> <lex>
plain: ZRANGE <key> <lex> <lex> BYLEX [ REV ] [ LIMIT <index> <index> ] [ WITHSCORES ]
plain: ZRANGEBYLEX <key> <lex> <lex> [ LIMIT <index> <index> ]
plain: ZREVRANGEBYLEX <key> <lex> <lex> [ LIMIT <index> <index> ]
plain: ZREMRANGEBYLEX <key> <lex> <lex>
END
    only_lists => <<'END',
plain: RPUSH <key> <value>+
plain: LPUSH <key> <many>++
plain: LTRIM <key> <index> <index>
plain: SORT <key> BY nosort [ LIMIT <index> <index> ] [ GET ( # | s* ) ]+ [ ( ASC | DESC ) ] [ STORE <key> ]
END
    keys => <<'END',
plain: DEL <any>
plain: DEL <any>+
plain: UNLINK <any>
plain: EXISTS <any>+
plain: TOUCH <any>+
plain: TYPE <any>
plain: TYPE <any>
plain: EXPIRE <any> <ttl> [ ( NX | XX | GT | LT ) ]+
plain: PEXPIRE <any> <ttlms> [ ( NX | XX | GT | LT ) ]
plain: EXPIREAT <any> <at> [ ( NX | XX | GT | LT ) ]
plain: PEXPIREAT <any> <atms>
near: TTL <any>
near: PTTL <any>
near: EXPIRETIME <any>
near: PEXPIRETIME <any>
plain: PERSIST <any>
set: KEYS <glob>
shape: RANDOMKEY
plain: DBSIZE
plain: RENAME <any> <any>
plain: RENAMENX <any> <any>
plain: COPY <any> <any> [ DB <db> ] [ REPLACE ]
plain: MOVE <any> <db>
plain: OBJECT ENCODING <any>
plain: OBJECT ENCODING <any>
plain: OBJECT ENCODING <any>
type: SCAN ( x | -1 | 1.5 )
type: HSCAN <any> ( x | 0 COUNT 0 | 0 MATCH | 0 TYPE hash )
type: SSCAN <any> ( x | 0 COUNT -5 | 0 COUNT a )
type: ZSCAN <any> ( x | 0 COUNT 1 MATCH )
END
    connection => <<'END',
plain: PING [ <value> ]
plain: ECHO <value>
plain: SELECT ( 0 | 0 | 0 | 1 | 99 | x | -1 )
plain: NOSUCH <value>+
plain: OBJECT NOSUCH <any>
plain: SWAPDB ( 0 | 1 ) ( 0 | 1 | 16 | y )
none: HELLO ( 2 | 3 | 3 )
plain: HELLO ( 1 | 4 )
plain: RESET
plain: WATCH <any>+
plain: UNWATCH
plain: EXEC
plain: DISCARD
END
);
$templates{wipe} = "plain: FLUSHALL [ ( ASYNC | SYNC | LATER ) ]\nplain: FLUSHDB [ ( ASYNC | SYNC ) ]\n";

# Numbers beyond a double are in no pool: redis-server keeps errno from them, and a SORT much
# later fails. A timeout that large is "negative" to it, after an overflow.

# How often a family is drawn, relative to each other.
my %weight = (string => 14, bits => 8, list => 20, hash => 18, set => 20, zset => 30, sort => 5,
    keys => 22, connection => 2, drawn => 1, one_score => 8,
    only_lists => 2);

my %prefix = (string => 's', bits => 's', list => 'l', hash => 'h', set => 'x', zset => 'z',
    one_score => 'y', only_lists => 'w');
my @bad = ('', 'abc', '-1', '9223372036854775808', '-9223372036854775809', '1.5', "\r\n", '00',
    ' 1', '1 ', '+1', '-0', 'nan');
my $long = 'long-' x 14;

my %pool = (
    value => [qw(a b c 1 2 10 -3 3.25 hello world foobar), '', "\x01\xff\r\n\0", $long, $long . 'x',
        'x' x 44, 'y' x 45, '9223372036854775807', ' 12', '1e3', '0x1f', '012', "caf\xc3\xa9"],
    member => [qw(a b c d e f g 1 2 3 4 -7 10 100000 3000000000), '', "\x02\0", $long, 'z' x 64,
        'z' x 65, '9223372036854775807', '-9223372036854775808', '01', 'B', "\xff", 'aa', 'ab'],
    number => [0 .. 12, -1, -2, 127, 128, 32767, 32768, 65536, -2147483648, 2147483648, '1.5',
        '4611686018427387904'],
    integer => [qw(0 1 -1 2 7 100 -128 255 256 9223372036854775807 -9223372036854775808
        9223372036854775808 4294967296 abc 1.0 01)],
    double => [qw(0 1 -1 2 3 1.5 -2.25 0.1 0.2 3.3333333333333335 1e10 1e17 1e21 1e-7 123456789.125
        inf -inf +inf nan 1e308 -1e308 abc 0x10 -0 9007199254740993 1e-300 infinity)],
    index => [0, 0, 1, 2, 3, 5, 10, 100, -1, -1, -2, -3, -10, -100, 9223372036854775807,
        '-9223372036854775808', 2147483648, 'x'],
    count => [0, 1, 1, 2, 2, 3, 4, 10, 1000, -1, '9223372036854775807', 'x', '18446744073709551616'],
    draws => [0, 1, 2, 3, 10, 1000, -1, -3, -20, 'x', '-9223372036854775808'],
    offset => [0, 1, 2, 5, 7, 8, 30, 63, 64, 1000, -1, 4294967296, 'x',
        '9223372036854775807'],
    bit => [0, 1, 3, 7, 8, 62, 100, '#0', '#1', '#5', -1, 'x', '#-1', '9223372036854775807'],
    width => [qw(u1 u4 u8 u16 u31 u32 u63 i1 i5 i8 i16 i32 i63 i64 u64 i65 u0 i0 x8 8)],
    bound => [qw{-inf +inf inf 0 1 (1 2 (2 -1 (-1 3.3 (inf 1e10 x (x nan (}, ''],
    lex => ['-', '+', '[a', '(a', '[b', '(b', '[c', '[', '(', 'a', "[\xff", '[m5', '(m7', '',
        '[z', '--'],
    ttl => [1000 .. 1020, 86400, 900000, 0, -5, 'x', '9223372036854775807', '9223372036854775',
        '1.5'],
    ttlms => [1000000 .. 1000010, 5000000, 0, -1, 'x', '9223372036854775807'],
    later => [33000000000, 32000000001, 0, -1, 'x', '9223372036854775807'],
    at => [33000000000, 32000000001, 1000, 0, -1, 'x', '9223372036854775807'],
    atms => [33000000000000, 32000000001123, 5, -7, 'x'],
    glob => ['*', 's*', '?0', '[a-l]*', '[^s]?', 's\\0', '', '*[', 'x[0-2', 'none', "\0*", 'l[13]'],
    db => [0, 1, 1, 2, 15, 16, -1, 'x'],
    wait => [qw(0.01 0.01 0.01 0.01 -1 x nan)],
);

# ---- templates ----

# Parses the words of a template up to a closing word; returns a list of nodes.
sub parse_words {
    my ($words) = @_;
    my @alternatives = ([]);
    while (@$words) {
        my $word = shift @$words;
        return \@alternatives if $word =~ /^[\])](\++)?$/ && (unshift(@$words, $1 // ''), 1);
        if ($word eq '|') { push @alternatives, []; next }
        my $node;
        if ($word eq '[' || $word eq '(') {
            my $inside = parse_words($words);
            $node = { choices => $inside, optional => $word eq '[', times => shift @$words };
        } elsif ($word =~ /^<(\w+)>(\+*)$/) {
            $node = { kind => $1, times => $2 };
        } else {
            $node = { literal => $word, times => '' };
        }
        push @{ $alternatives[-1] }, $node;
    }
    return \@alternatives;
}

sub compile {
    my ($text) = @_;
    my @rows;
    for my $line (split /\n/, $text) {
        my ($compare, $words) = $line =~ /^(\w+): (.*)$/ or die "a template: $line";
        push @rows, { compare => $compare, nodes => parse_words([split / /, $words])->[0] };
    }
    return \@rows;
}

# ---- the generator ----

# new(SEED): a generator; equal seeds give equal sequences.
sub new {
    my ($class, $seed) = @_;
    my @families;
    push @families, ($_) x $weight{$_} for sort keys %weight;
    my %rows = map { $_ => compile($templates{$_}) } keys %templates;
    return bless { state => ($seed * 2654435761 + 12345) & 0xffffffff, families => \@families,
        rows => \%rows }, $class;
}

# A number from 0 to `limit` - 1. Its own generator: perl's may differ from machine to machine.
sub below {
    my ($self, $limit) = @_;
    my $x = $self->{state} || 1;
    $x ^= ($x << 13) & 0xffffffff;
    $x ^= $x >> 17;
    $x ^= ($x << 5) & 0xffffffff;
    $self->{state} = $x;
    return ($x >> 3) % $limit;
}

sub chance { my ($self, $percent) = @_; return $self->below(100) < $percent }
sub pick { my ($self, $list) = @_; return $list->[$self->below(scalar @$list)] }

sub key {
    my ($self, $family) = @_;
    return $self->pick(['', "\0bin\r\n", 'none', 's1', 's2'])
        if $prefix{$family} !~ /[wy]/ && $self->chance(1);
    my $letter = $prefix{$family};
    # What is compared in an order that only one type defines has keys of its own.
    $letter = $self->pick([qw(s l h x z)]) if $letter !~ /[wy]/ && !$self->chance(93);
    return $letter . $self->below(4);
}

sub word {
    my ($self, $kind, $family) = @_;
    return $self->key($family) if $kind eq 'key';
    return $self->key($kind) if $kind =~ /^(list|set|zset)$/;
    return $self->key($self->pick([qw(string list hash set zset)])) if $kind eq 'any';
    return ($self->chance(60) ? 'm' : '') . $self->below(300) if $kind eq 'many';
    return $self->pick($pool{$kind} || die "no pool $kind");
}

sub expand {
    my ($self, $nodes, $family, $out) = @_;
    for my $node (@$nodes) {
        my $times = $node->{times} eq '' ? 1 : $node->{times} eq '+' ? 1 + $self->below(4)
            : 30 + $self->below(171);
        $times = 0 if $node->{optional} && !$self->chance(30);
        for (1 .. $times) {
            if    (defined $node->{literal}) { push @$out, $node->{literal} }
            elsif (defined $node->{kind})    { push @$out, $self->word($node->{kind}, $family) }
            else { $self->expand($self->pick($node->{choices}), $family, $out) }
        }
    }
}

# Makes a command wrong: a word less, a word twice, or a word that is not right there.
sub spoil {
    my ($self, $words) = @_;
    my $at = 1 + $self->below(@$words > 1 ? @$words - 1 : 1);
    my $how = $self->below(3);
    if    ($how == 0) { splice @$words, $at, 1 if @$words > $at }
    elsif ($how == 1) { splice @$words, $at, 0, $words->[$at] // 'x' }
    else              { $words->[$at] = $self->pick(\@bad) }
}

sub command {
    my ($self, $family) = @_;
    $family //= $self->pick($self->{families});
    my $row = $self->pick($self->{rows}{$family});
    my @words;
    $self->expand($row->{nodes}, $family, \@words);
    $self->spoil(\@words) if $family ne 'blocking' && $words[0] !~ /^(HELLO|SORT)/ && $self->chance(3);
    $words[0] = lc $words[0] if $self->chance(5);
    return { compare => $row->{compare}, words => \@words };
}

# The next commands: one, or several that belong together. Each is { words, compare }.
sub next {
    my ($self) = @_;
    my $draw = $self->below(1000);
    return $self->transaction if $draw < 25;
    return $self->command('blocking') if $draw < 28;
    return $self->command('wipe') if $draw < 29;
    my $command = $self->command;
    if ($draw < 40) {
        return $command if $command->{words}[0] =~ /^(hello|reset|multi|exec)$/i;
        return plain('COMMAND', 'GETKEYS', @{ $command->{words} });
    }
    return with_care($command);
}

# A command with what must stand around it. After SPOP its set goes: it differs. SORT gets a copy:
# redis-server turns a sorted set that it sorts into a skip list, and that would show.
sub with_care {
    my ($command) = @_;
    my @words = @{ $command->{words} };
    my $key   = $words[1] // 'x0';
    return ($command, plain('DEL', $key)) if uc $words[0] eq 'SPOP';
    return $command if $words[0] !~ /^sort/i || @words < 2 || $key =~ /^w/;
    $command->{words}[1] = 't0';
    return (plain('COPY', $key, 't0', 'REPLACE'), $command, plain('DEL', 't0'));
}

sub plain { return { compare => 'plain', words => [@_] } }

sub transaction {
    my ($self) = @_;
    my @commands;
    push @commands, plain('WATCH', $self->word('any'))
        if $self->chance(30);
    push @commands, with_care($self->command) if $self->chance(30);
    push @commands, plain('MULTI');
    for (1 .. 1 + $self->below(6)) {
        my $command = $self->command($self->chance(4) ? 'blocking' : undef);
        push @commands, with_care($command)
            if $command->{words}[0] !~ /^(exec|discard|reset|spop)$/i;
    }
    push @commands, plain($self->chance(90) ? 'EXEC' : 'DISCARD');
    return @commands;
}

1;
