#!/usr/bin/env perl
# Files of redis-server are loaded by all workers at once, and what they hold is what redis-server
# has: of every type, several databases, values larger than what is read at once, commands about
# several keys between others; as a dump, and as an append-only file of either kind. Damage inside
# of a value is told with file and byte by whichever worker meets it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

plan skip_all => 'redis-server is not installed' if !grep { -x "$_/redis-server" }
    split /:/, $ENV{PATH};

sub start {
    my ($program, $dir, @more) = @_;
    local $ENV{SHOAL_SERVER} = 'redis-server' if $program eq 'redis';
    return start_server(
        directory => $dir,
        arguments => ['--save', '', '--enable-debug-command', 'yes', @more]);
}

# Commands whose effects are lost when their order is.
sub fill {
    my ($server) = @_;
    my $input = "debug populate 60000 many 100\n";
    for my $i (1 .. 400) {
        $input .= "set k:$_ $i\nappend k:$_ .$i\n" for $i % 7, $i % 11;
        $input .= "rpush l:" . $i % 5 . " $i\nlpop l:" . $i % 3 . "\nsadd s:" . $i % 5 . " $i m$i\n";
        $input .= "zadd z:" . $i % 5 . " $i m$i\nhset h:" . $i % 5 . " f$i $i\nincr n\n";
        $input .= "mset m:1 $i m:2 $i m:3 $i\nrename m:1 m:4\n" if $i % 50 == 0;
        $input .= "multi\nset k:1 t$i\nincr n\nset other$i 1\nexec\n" if $i % 60 == 0;
        $input .= "select " . $i % 4 . "\n" if $i % 70 == 0;
        $input .= "copy l:1 copied REPLACE\nsmove s:1 s:2 $i\ndel k:3 k:4\n" if $i % 90 == 0;
    }
    $input .= "select 0\nset later 1 px 100000000\nset gone 1 px 1\n";
    $input .= "rpush huge " . join(' ', map { "$_-" . 'e' x 700 } 1 .. 3000) . "\n";
    $input .= "set large " . 'v' x 3_000_000 . "\nset large:2 x\nsetrange large:2 2500000 y\n";
    cli($server, { input => $input });
    return;
}

my $redis_dir = temporary();
my $redis = start('redis', $redis_dir, '--appendonly', 'yes', '--aof-use-rdb-preamble', 'yes',
    '--auto-aof-rewrite-percentage', 0);
fill($redis);
wait_for(10, sub { cli($redis, 'exists', 'gone') eq '0' });
our $digest = cli($redis, 'debug', 'digest');
cli($redis, 'save');

# Stops it as it is, and copies what it has written.
sub files {
    my $dir = temporary();
    run_program('cp', '-r', "$redis_dir/dump.rdb", "$redis_dir/appendonlydir", $dir);
    return $dir;
}

sub loads {
    my ($fact, $dir, @more) = @_;
    for my $threads (1, 4) {
        my $shoal = start('shoal', $dir, '--worker-threads', $threads, @more);
        is(cli($shoal, 'debug', 'digest'), $digest, "$fact, with $threads workers");
        stop_server($shoal);
    }
    return;
}

loads('a dump', files(), '--appendonly', 'no');
# DEBUG POPULATE is in no append-only file, so another redis-server says what the files hold.
{
    my $other = start('redis', files(), '--appendonly', 'yes');
    local $digest = cli($other, 'debug', 'digest');
    stop_server($other);
    loads('increments of commands', files(), '--appendonly', 'yes');
}
cli($redis, 'bgrewriteaof');
wait_for(30, sub { cli($redis, 'info', 'persistence') =~ /aof_rewrite_in_progress:0/ });
loads('a base that is a dump', files(), '--appendonly', 'yes');
cli($redis, 'config', 'set', 'aof-use-rdb-preamble', 'no');
cli($redis, 'bgrewriteaof');
wait_for(30, sub { cli($redis, 'info', 'persistence') =~ /aof_rewrite_in_progress:0/ });
loads('a base of commands', files(), '--appendonly', 'yes');

# ---- damage inside of values ----

sub damaged {
    my ($dir, @more) = @_;
    my $shoal = start_server(directory => $dir, ready => 0, arguments => [@more]);
    wait_for(20, sub { System::gone($shoal) });
    return server_log($shoal);
}

my $small = temporary();
my $source = start('redis', $small, '--rdbcompression', 'no');
cli($source, { input => "debug populate 5000 p\nhset h field value-of-it\ndebug populate 5000 q\n" });
cli($source, 'save');
kill_server($source);
my $bytes = do { local (@ARGV, $/) = "$small/dump.rdb"; <> };
my $at = index $bytes, "field";
substr($bytes, $at - 1, 1) = "\xfe";
substr($bytes, -8) = "\0" x 8;
write_file("$small/dump.rdb", $bytes);
my $log = damaged($small, '--save', '', '--worker-threads', 4);
like($log, qr/dump\.rdb, byte \d+: /, 'a damaged value is told with file and byte');
like($log, qr/The file is left as it is/, 'and what can be done');
my ($said) = $log =~ /dump\.rdb, byte (\d+)/;
cmp_ok(abs(($said // 0) - $at), '<', 100, 'which is where it is');

done_testing();
