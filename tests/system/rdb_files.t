#!/usr/bin/env perl
# Dumps travel as files between redis-server and Shoal in both directions, redis-check-rdb accepts
# them, and damage is told with the file, the byte and what can be done.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my $folder = temporary();

sub start {
    my ($program, $dir, @more) = @_;
    local $ENV{SHOAL_SERVER} = 'redis-server' if $program eq 'redis';
    return start_server(
        directory => $dir,
        arguments => ['--save', '', '--enable-debug-command', 'yes', @more]);
}

# The command that tells all of a key, whatever order the server keeps it in.
sub question {
    my ($key) = @_;
    my ($kind, $count) = split /:/, $key;
    return "lrange $key 0 -1" if $kind eq 'list';
    return "sort $key alpha" if $kind eq 'ints' || $kind eq 'set';
    return "hmget $key " . join ' ', map { "f$_" } 1 .. $count + 1 if $kind eq 'hash';
    return "zrange $key 0 -1 withscores" if $kind eq 'zset';
    return "get $key";
}

# Every key with its type, value and deadline, in order.
sub content {
    my ($server) = @_;
    my @lines;
    for my $db (0, 3) {
        my @keys = sort split /\n/, cli($server, '-n', $db, 'keys', '*');
        my $input = "select $db\n" . join '',
            map { "type $_\n" . question($_) . "\npexpiretime $_\n" } @keys;
        push @lines, @keys, cli($server, { input => $input });
    }
    return join "\n", @lines;
}

sub fill {
    my ($server) = @_;
    my $input = '';
    $input .= "set s:$_ " . ('v' x $_) . "\nset n:$_ " . $_ * 1000003 . "\n" for 1 .. 80;
    $input .= "rpush list:$_ " . join(' ', 1 .. $_) . "\n" for 1, 5, 200, 900;
    $input .= "sadd ints:$_ " . join(' ', 1 .. $_) . "\n" for 1, 5, 600;
    $input .= "sadd set:$_ " . join(' ', map { "m$_" } 1 .. $_) . "\n" for 1, 5, 300;
    $input .= "hset hash:$_ " . join(' ', map { "f$_ v$_" } 1 .. $_) . "\n" for 1, 5, 300;
    $input .= "zadd zset:$_ " . join(' ', map { ($_ / 7) . " m$_" } 1 .. $_) . "\n" for 1, 5, 300;
    # Long ones, which are written in pieces: one that compresses, one that does not, one that is edited.
    my $state = 1;
    my $noise = join '', map { chr 33 + ($state = $state * 1103515245 + 12345 & 0x7fffffff) / 65536 % 90 } 1 .. 300000;
    $input .= "set long:words " . ('many words ' x 40000) . "\nset long:noise $noise\n";
    $input .= "set long:edited " . ('e' x 20000) . "\nsetrange long:edited 30000 $noise\n";
    $input .= "set later 1 px 100000000\nselect 3\nset other db\nexpireat other 4000000000\n";
    cli($server, { input => $input });
    return;
}

my $shoal = start('shoal', $folder);
fill($shoal);
my $before = content($shoal);
is(cli($shoal, 'save'), 'OK', 'SAVE answers when the dump is there');
like(`redis-check-rdb $folder/dump.rdb`, qr{RDB looks OK}, 'redis-check-rdb accepts it');
cli($shoal, 'shutdown', 'nosave');
stop_server($shoal);

my $redis = start('redis', $folder);
is(content($redis), $before, 'redis-server finds the same keys, values and deadlines in it');
cli($redis, 'config', 'set', 'rdbcompression', 'no');
is(cli($redis, 'save'), 'OK', 'redis-server writes its own');
cli($redis, 'shutdown', 'nosave');
stop_server($redis);

$shoal = start('shoal', $folder);
is(content($shoal), $before, 'and that is read back with the same content');
like(cli($shoal, 'info', 'persistence'), qr{rdb_last_load_keys_loaded:1[78]\d}, 'INFO tells how many keys');
stop_server($shoal);

# ---- the last snapshot ----

$shoal = start('shoal', $folder, '--save', '3600 1');
cli($shoal, 'set', 's:1', 'changed');
stop_server($shoal);
$shoal = start('shoal', $folder);
is(cli($shoal, 'get', 's:1'), 'changed', 'with save points SIGTERM saves before the end');
stop_server($shoal);

# ---- damage ----

my $port = free_port();

open my $file, '+<:raw', "$folder/dump.rdb" or die $!;
seek $file, -20, 2;
print {$file} 'x';
close $file;
my $sum = (stat "$folder/dump.rdb")[7];
my $said = `timeout 30 @{[server_program()]} --port $port --dir $folder --save '' 2>&1`;
isnt($? >> 8, 0, 'with a damaged dump it does not start');
like($said, qr{Fatal error loading the DB.*dump\.rdb, byte \d+: .*redis-check-rdb}, 'and says what, where and what to do');
is((stat "$folder/dump.rdb")[7], $sum, 'and leaves the file as it is');
truncate "$folder/dump.rdb", $sum / 2;
$said = `timeout 30 @{[server_program()]} --port $port --dir $folder --save '' 2>&1`;
like($said, qr{Fatal error loading the DB.*ends too early}, 'a dump that ends too early is told from damage');

done_testing;
