#!/usr/bin/env perl
# The append-only file between Shoal and redis-server: each loads what the other has written, in
# plain form and with an RDB base, behind rewrites too; redis-check-aof accepts ours; what is torn
# is cut, what is damaged is refused and left as it was; a full disk is survived.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @common = ('--save', '', '--bind', '127.0.0.1', '--enable-debug-command', 'yes',
    '--appendonly', 'yes');

sub redis { local $ENV{SHOAL_SERVER} = 'redis-server'; return start_server(@_) }

# Keys of every type, in several databases, with and without TTL.
sub fill {
    my ($server) = @_;
    my @commands = (
        'SET plain 1', 'SET text hello', 'APPEND text " world"', 'INCRBY number 42',
        'INCRBYFLOAT float 10.5', 'SETEX lives 10000 x', 'SET dies x PX 1', 'SETBIT bits 100 1',
        'RPUSH list a b c d', 'LPOP list', 'LINSERT list BEFORE c x', 'LMOVE list other LEFT RIGHT',
        'SADD set a b c 1 2', 'SPOP set', 'SADD ints 1 2 3', 'SREM ints 2',
        'HSET hash f 1 g 2', 'HINCRBYFLOAT hash f 1.25', 'HDEL hash g',
        'ZADD zset 1 a 2 b 3.5 c', 'ZINCRBY zset 2 a', 'ZPOPMIN zset', 'PEXPIRE zset 100000',
        'RENAME plain renamed', 'COPY renamed copied', 'MULTI', 'SET in 1', 'INCR in', 'EXEC',
        'SELECT 3', 'SET elsewhere 1', 'SELECT 0', 'MSET m1 1 m2 2 m3 3', 'DEL m2', 'GETDEL m3',
        map({ "RPUSH long value:$_" } 1 .. 600), map({ "HSET wide f$_ $_" } 1 .. 600),
        'SET words "' . 'many words ' x 20000 . '"', 'SETRANGE words 100000 other', 'SETEX letters 10000 ' . 'x' x 100000,
    );
    # Large ones, which a rewrite writes in pieces.
    for my $of ([RPUSH => 0], [SADD => 0], [HSET => 1], [ZADD => 1]) {
        my ($command, $pairs) = @$of;
        push @commands, map { my $from = $_ * 500;
            "$command large:$command " . join ' ', map { ($pairs ? $_ / 8 : (), "element:number:$_") } $from .. $from + 499 } 0 .. 5;
    }
    push @commands, 'PEXPIRE large:RPUSH 100000000';
    my $input = join '', map { "$_\n" } @commands;
    my (undef, $output) =
        run_program({ input => $input }, 'redis-cli', '-p', $server->{port});
    unlike($output, qr/ERR|WRONGTYPE/, 'the commands succeed');
}

# Everything that a server has, as text.
sub digest {
    my ($server) = @_;
    my %read = (string => 'GET', list => 'LRANGE %s 0 -1', set => 'SMEMBERS', hash => 'HGETALL',
        zset => 'ZRANGE %s 0 -1 WITHSCORES');
    my @lines;
    for my $db (0, 3) {
        my @of_db = ('-p', $server->{port}, '-n', $db);
        my @keys = sort split /\n/, (run_program('redis-cli', @of_db, 'KEYS', '*'))[1];
        for my $key (grep { $_ ne '' } @keys) {
            my $type = (run_program('redis-cli', @of_db, 'TYPE', $key))[1] =~ s/\s+\z//r;
            my $command = $read{$type} =~ /%s/ ? sprintf($read{$type}, $key) : "$read{$type} $key";
            my @content = split /\n/, (run_program('redis-cli', @of_db, split / /, $command))[1];
            @content = map { "$content[2 * $_] $content[2 * $_ + 1]" } 0 .. $#content / 2
                if $type eq 'hash';
            @content = sort @content if $type eq 'set' || $type eq 'hash';
            my $ttl = (run_program('redis-cli', @of_db, 'TTL', $key))[1] > 0 ? 'ttl' : '';
            push @lines, join ' ', $db, $key, $type, $ttl, @content;
        }
    }
    return join "\n", @lines;
}

# Waits until a rewrite that was asked for is over.
sub rewrite {
    my ($server) = @_;
    cli($server, 'BGREWRITEAOF');
    return wait_for(20, sub {
        my $info = cli($server, 'INFO', 'persistence');
        return $info =~ /aof_rewrite_in_progress:0/ && $info =~ /aof_rewrite_scheduled:0/;
    });
}

sub manifest { return "$_[0]/appendonlydir/appendonly.aof.manifest" }

sub contents {
    my ($path) = @_;
    open my $file, '<:raw', $path or return undef;
    local $/;
    return scalar <$file>;
}

for my $preamble (qw(yes no)) {
    for my $rewrites (0, 1) {
        my $what = "aof-use-rdb-preamble $preamble, " . ($rewrites ? 'rewritten' : 'as appended');
        for my $writer (qw(shoal redis)) {
            my $directory = temporary();
            my @arguments = (@common, '--aof-use-rdb-preamble', $preamble);
            my %how = (directory => $directory, arguments => \@arguments);
            my $server = $writer eq 'shoal' ? start_server(%how) : redis(%how);
            fill($server);
            rewrite($server) if $rewrites;
            cli($server, 'SET', 'last', 'word');
            cli($server, 'DEBUG', 'SLEEP', '0.01');
            cli($server, 'GET', 'dies');
            my $before = digest($server);
            stop_server($server, 'KILL');
            my ($status, $said) = run_program('redis-check-aof', manifest($directory));
            is($status, 0, "$what: redis-check-aof accepts what $writer has written") or diag($said);
            my $reader = $writer eq 'shoal' ? redis(%how) : start_server(%how);
            is(digest($reader), $before, "$what: the other has the same data from ${writer}'s file");
            cli($reader, 'SET', 'more', 'x');
            rewrite($reader);
            cli($reader, 'SET', 'more', 'y');
            my $after = digest($reader);
            stop_server($reader, 'KILL');
            my $again = $writer eq 'shoal' ? start_server(%how) : redis(%how);
            is(digest($again), $after, "$what: and back again");
            stop_server($again);
        }
    }
}

# ---- what a rewrite leaves ----

# The increment of before has lost its name and must not be held open: its blocks would stay taken.
{
    my $server = start_server(directory => temporary(), arguments => [@common]);
    for my $round (1 .. 2) {
        cli($server, 'SET', "key:$_", $round) for 1 .. 3;
        rewrite($server);
        ok(wait_for(20, sub {
            return !grep { (readlink($_) // '') =~ /\(deleted\)/ } glob "/proc/$server->{pid}/fd/*";
        }), "rewrite $round: no file that was removed is open");
    }
    stop_server($server);
}

# ---- a torn end, and damage ----

my $directory = temporary();
my %how = (directory => $directory, arguments => [@common]);
my $server = start_server(%how);
cli($server, 'SET', 'a', '1');
cli($server, 'SET', 'b', '2');
kill_server($server);
my $incr = "$directory/appendonlydir/appendonly.aof.1.incr.aof";
my $whole = contents($incr);

write_file($incr, $whole . "*3\r\n\$3\r\nSET\r\n\$1\r\nc\r\n\$5\r\nhal");
$server = start_server(%how);
is(cli($server, 'DBSIZE') =~ s/\s//gr, 2, 'what was whole is there');
like(server_log($server), qr/!!! Truncating the AOF appendonly.aof.1.incr.aof at offset \d+ !!!/,
    'the log says where the file was cut');
is(contents($incr), $whole, 'it has been cut behind the last whole command');
kill_server($server);

write_file($incr, $whole . "*1\r\n\$5\r\nMULTI\r\n*2\r\n\$3\r\nDEL\r\n\$1\r\na\r\n");
$server = start_server(%how);
is(cli($server, 'EXISTS', 'a') =~ s/\s//gr, 1, 'a transaction without EXEC has not happened');
is(contents($incr), $whole, 'and is cut off as a whole');
kill_server($server);

for my $case (
    ['a torn end, with aof-load-truncated no', $whole . '*3', qr/Unexpected end of file/,
        '--aof-load-truncated', 'no'],
    ['damage in the middle', "!!!$whole", qr/Bad file format reading the append only file/],
    ['an unknown command', $whole . "*1\r\n\$7\r\nUNKNOWN\r\n", qr/Unknown command 'UNKNOWN'/],
) {
    my ($what, $bytes, $words, @arguments) = @$case;
    write_file($incr, $bytes);
    $server = start_server(directory => $directory, arguments => [@common, @arguments], ready => 0);
    ok(wait_for(10, sub { System::gone($server) }), "$what ends the start");
    like(server_log($server), $words, "$what is named");
    is(contents($incr), $bytes, "$what is left as it is");
}
unlink $incr;
$server = start_server(%how, ready => 0);
wait_for(10, sub { System::gone($server) });
like(server_log($server), qr/Unable to obtain the AOF file appendonly.aof.1.incr.aof length/,
    'a file that the manifest names and that is not there ends the start');

# ---- settings that change ----

$directory = temporary();
$server = start_server(directory => $directory,
    arguments => ['--save', '', '--bind', '127.0.0.1', '--enable-debug-command', 'yes']);
cli($server, 'SET', 'before', '1');
cli($server, 'CONFIG', 'SET', 'appendonly', 'yes');
ok(wait_for(20, sub { cli($server, 'INFO', 'persistence') =~ /aof_rewrite_in_progress:0/
        && -e manifest($directory) }), 'appendonly yes writes what is there');
cli($server, 'CONFIG', 'SET', 'appendfsync', 'always');
cli($server, 'SET', 'after', '1');
my $digest = digest($server);
kill_server($server);
$server = start_server(directory => $directory, arguments => [@common]);
is(digest($server), $digest, 'what was there and what came later is found again');
cli($server, 'CONFIG', 'SET', 'appendonly', 'no');
cli($server, 'SET', 'unsaved', '1');
cli($server, 'CONFIG', 'SET', 'appendonly', 'yes');
rewrite($server);
cli($server, 'SET', 'end', '1');
$digest = digest($server);
kill_server($server);
$server = start_server(directory => $directory, arguments => [@common]);
is(digest($server), $digest, 'also when it was switched off and on');
stop_server($server);

done_testing();
