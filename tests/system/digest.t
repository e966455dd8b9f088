#!/usr/bin/env perl
# DEBUG DIGEST and DEBUG DIGEST-VALUE are those of a redis-server with the same data: of every type
# and way to keep it, in several databases, with deadlines, and after random commands.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Commands;
use System;
use Test::More;

plan skip_all => 'redis-server is not installed' if !grep { -x "$_/redis-server" }
    split /:/, $ENV{PATH};

sub start {
    my ($program) = @_;
    local $ENV{SHOAL_SERVER} = 'redis-server' if $program eq 'redis';
    return start_server(arguments => ['--save', '', '--enable-debug-command', 'yes']);
}

my @both = (start('shoal'), start('redis'));

sub everywhere {
    my ($input) = @_;
    cli($_, { input => $input }) for @both;
    return;
}

# Each key's digest, and that of everything.
sub digests {
    my ($server, $db, @keys) = @_;
    my $input = join '', map { "debug digest-value $_\n" } @keys;
    return cli($server, { input => "select $db\n$input" . "debug digest\n" });
}

sub same {
    my ($fact, $db, @keys) = @_;
    my ($ours, $theirs) = map { digests($_, $db, @keys) } @both;
    is($ours, $theirs, $fact);
    return;
}

is(cli($both[0], 'debug', 'digest'), '0' x 40, 'the digest of nothing is zero');
same('nothing, and a key that is not there', 0, 'none');

my %family = (
    'strings of all lengths and integers' => sub {
        return map { ["s:$_", "set s:$_ " . ('v' x $_)], ["n:$_", "set n:$_ " . $_ * -1000003] }
            1, 19, 20, 44, 45, 63, 64, 65, 5000, 20000;
    },
    'strings that were edited' => sub {
        return (['e', "append e 12\nappend e 34"], ['f', "set f 1.5\nincrbyfloat f 0.1"],
            ['g', 'setbit g 100 1'], ['h', 'set h ""']);
    },
    'lists as listpacks and quicklists' => sub {
        return map { ["l:$_", "rpush l:$_ " . join ' ', map { $_, "e$_", -$_ * 70000 } 1 .. $_] }
            1, 5, 200, 3000;
    },
    'sets as intsets, listpacks and tables' => sub {
        return map {
            (["i:$_", "sadd i:$_ " . join ' ', map { $_ * 65536 } 1 .. $_],
                ["x:$_", "sadd x:$_ " . join ' ', map { ("m$_", $_) } 1 .. $_])
        } 1, 5, 200, 2000;
    },
    'hashes as listpacks and tables' => sub {
        return (['hw', 'hset hw f ' . 'w' x 100],
            map { ["h:$_", "hset h:$_ " . join ' ', map { "f$_ $_" } 1 .. $_] } 1, 5, 200, 2000);
    },
    'sorted sets as listpacks and skip lists' => sub {
        return (
            ['z', 'zadd z inf a -inf b 0 c -0 d 1e300 e 0.1 f 3.3333333333333335 g 1e17 h 5 9'],
            map { ["z:$_", "zadd z:$_ " . join ' ', map { ($_ / 7) . " m$_" } 1 .. $_] }
                1, 5, 200, 2000);
    },
    'keys with a deadline' => sub {
        return (['t', 'set t v px 100000000'], ['u', "rpush u a\nexpire u 100000"],
            ['w', "sadd w 1 2\nexpire w 100000"]);
    },
);
for my $fact (sort keys %family) {
    my @keys = $family{$fact}->();
    everywhere(join '', map { "$_->[1]\n" } @keys);
    same($fact, 0, map { $_->[0] } @keys);
}

everywhere("select 3\nset other db\nselect 9\nset s:1 v\nsadd x:1 1\n");
same('several databases, of which some are empty', 3, 'other', 's:1');

my @data = map { cli($_, 'debug', 'digest') } @both;
everywhere("select 9\nset s:1 w\n");
isnt(cli($both[0], 'debug', 'digest'), $data[0], 'another value has another digest');
everywhere("select 9\nset s:1 v\n");
is(cli($both[0], 'debug', 'digest'), $data[1], 'and the same value the same again');

everywhere("flushall\n");
my $generator = Commands->new(7);
my $input = '';
for (1 .. 3000) {
    my $family = (qw(string list hash set zset one_score))[$generator->below(6)];
    my @words = @{ $generator->command($family)->{words} };
    # A score of -0 keeps its sign or not depending on when Redis converts a sorted set.
    next if grep { $_ eq '-0' || /^\s*$/ || /[^ -~]/ || /["'\\]/ } @words;
    $input .= join(' ', @words) . "\n";
}
everywhere($input);
my @keys = sort split /\n/, cli($both[1], 'keys', '*');
cmp_ok(scalar @keys, '>', 10, 'random commands have made keys');
same('what random commands have made', 0, @keys);

done_testing();
