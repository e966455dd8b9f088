#!/usr/bin/env perl
# What a connection can ask of the host: long pipelines, large values, slow readers, half-closed
# ends, many at a time, more than allowed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;
use Time::HiRes qw(sleep time);

my $server = start_server(arguments => ['--worker-threads', '2', '--maxclients', '600']);

sub bulk { return join '', map { '$' . length($_) . "\r\n$_\r\n" } @_ }
sub request { return '*' . scalar(@_) . "\r\n" . bulk(@_) }

# ---- pipelines ----

my $socket = connect_to($server);
ok(send_bytes($socket, join '', map { request('SET', "p:$_", "v$_") } 1 .. 10000), '10000 SETs in one write');
is(read_for($socket, 5 * 10000), "+OK\r\n" x 10000, 'are all answered');
send_bytes($socket, join '', map { request('GET', "p:$_") } 1 .. 10000);
my $expected = join '', map { bulk("v$_") } 1 .. 10000;
is(read_for($socket, length $expected), $expected, '10000 GETs are answered in order');
send_bytes($socket, join '', map { ("PING\r\n", request('ECHO', $_), request('INCR', 'n')) } 1 .. 1000);
$expected = join '', map { ("+PONG\r\n", bulk($_), ":$_\r\n") } 1 .. 1000;
is(read_for($socket, length $expected), $expected, 'inline commands and others mix');

# A request in two pieces, cut at every place.
my $cut = request('SET', 'cut', "a\r\nb") . request('GET', 'cut');
my $whole = 1;
for my $at (1 .. length($cut) - 1) {
    send_bytes($socket, substr $cut, 0, $at);
    sleep 0.001;
    send_bytes($socket, substr $cut, $at);
    my $reply = read_for($socket, 5 + length bulk("a\r\nb"));
    $whole = 0, diag("cut at $at: $reply") if $reply ne "+OK\r\n" . bulk("a\r\nb");
}
ok($whole, 'a request may be cut anywhere');

# ---- large values ----

for my $megabytes (1, 100) {
    my $value = ('0123456789abcdef' x 65536) x $megabytes;
    ok(send_bytes($socket, request('SET', 'large', $value)), "a value of $megabytes MB is taken");
    is(read_for($socket, 5, 60), "+OK\r\n", 'and answered');
    send_bytes($socket, request('GET', 'large'));
    my $reply = read_for($socket, length(bulk($value)), 120);
    ok($reply eq bulk($value), 'and comes back whole');
}
send_bytes($socket, request('DEL', 'large'));
is(read_for($socket, 4), ":1\r\n", 'and can be deleted');
my $greedy = connect_to($server);
send_bytes($greedy, "*1\r\n\$9999999999\r\n");
like(read_reply($greedy, qr/\n/), qr/^-ERR Protocol error: invalid bulk length/, 'a length too large is refused');
is(sysread($greedy, my $rest, 10), 0, 'and the connection closed');

# ---- slow readers ----

# One that asks for gigabytes and does not read must neither hold up others nor be served into
# memory: the server stops reading what it says.
my $fresh = start_server();
my $other = connect_to($fresh);
send_bytes($other, request('SET', 'slow', 'x' x 3_000));
read_for($other, 5);

sub resident_mb {
    open my $file, '<', "/proc/$fresh->{pid}/statm" or return 0;
    return (split ' ', <$file>)[1] * 4096 / 1e6;
}
my $before = resident_mb();
my $slow = connect_to($fresh);
$slow->blocking(0);
my $batch = request('GET', 'slow') x 1000;
my $asked = 0;
my $stuck = time + 1;
while ($asked < 100_000_000 && time < $stuck) {
    my $sent = syswrite $slow, $batch, length($batch) - $asked % length $batch, $asked % length $batch;
    next unless $sent;
    $asked += $sent;
    $stuck = time + 1;
}
ok($asked < 50_000_000, 'a client that does not read is not read for ever') or diag $asked;
cmp_ok(resident_mb() - $before, '<', 150, 'and the server keeps little of what it owes');
my $began = time;
for (1 .. 200) {
    send_bytes($other, request('PING'));
    last if read_for($other, 7, 5) ne "+PONG\r\n";
}
ok(time - $began < 5, 'others are served meanwhile');
my $owed = int($asked / length request('GET', 'slow')) * length bulk('x' x 3_000);
my $read = 0;
$slow->blocking(1);
my $end = time + 120;
while ($read < $owed && time < $end) {
    my $got = sysread $slow, my $bytes, 1 << 20;
    last unless $got;
    $read += $got;
}
is($read, $owed, 'and it gets everything when it reads');
$slow = connect_to($fresh);
send_bytes($slow, request('GET', 'slow') x 10_000);
sleep 0.5;
my ($slow_id) = cli($fresh, 'client', 'list') =~ /id=(\d+) [^\n]* omem=[1-9]/;
ok($slow_id, 'a client that owes us reading is listed with what it is owed');
is(cli($fresh, 'client', 'kill', 'id', $slow_id // 0), '1', 'and can be killed');
ok(wait_for(5, sub { cli($fresh, 'client', 'list') !~ /omem=[1-9]/ }), 'without reading first');
is(stop_server($fresh), 0, 'that server ends well');
send_bytes($socket, request('SET', 'slow', 'x' x 1_000_000));
read_for($socket, 5);

# ---- ends ----

my $half = connect_to($server);
send_bytes($half, request('SET', 'half', 'closed') . request('GET', 'half'));
shutdown $half, 1;
is(read_reply($half, qr/closed\r\n/), "+OK\r\n" . bulk('closed'), 'a half-closed end gets its replies');
is(sysread($half, $rest, 10), 0, 'and is closed then');
my $late = connect_to($server);
send_bytes($late, request('GET', 'slow') x 20);
shutdown $late, 1;
is(length read_for($late, 20 * length bulk('x' x 1_000_000), 30), 20 * length bulk('x' x 1_000_000),
    'also when they are more than the socket holds');
my $quits = connect_to($server);
send_bytes($quits, "QUIT\r\nPING\r\n");
is(read_reply($quits, qr/\n.*\n/, 2), "+OK\r\n", 'QUIT is answered, and nothing behind it');
my $gone = connect_to($server);
send_bytes($gone, request('GET', 'slow') x 50);
close $gone;
ok(wait_for(10, sub { cli($server, 'info', 'clients') =~ /connected_clients:2\r/ }),
    'clients that went away are forgotten') or diag cli($server, 'client', 'list');

# ---- many ----

my @many = map { connect_to($server) } 1 .. 500;
send_bytes($_, request('INCR', 'many')) for @many;
my %answers = map { read_reply($_, qr/\n/) => 1 } @many;
is(scalar(keys %answers), 500, '500 connections are served');
is(cli($server, 'get', 'many'), '500', 'each once');
like(cli($server, 'info', 'clients'), qr/connected_clients:502\r/, 'and counted');
push @many, map { connect_to($server) } 1 .. 120;
my $select = IO::Select->new(@many);
my $excess = 1 + 620 - 600;
wait_for(10, sub { $select->can_read(0) == $excess });
my @told = map { read_reply($_, qr/\n/, 1) } $select->can_read(0);
is_deeply(\@told, [("-ERR max number of clients reached\r\n") x $excess],
    'connections above maxclients are told so');
close $_ for @many;
ok(wait_for(10, sub { cli($server, 'info', 'clients') =~ /connected_clients:2\r/ }), 'and leave no trace');

is(stop_server($server), 0, 'it ends well');
done_testing;
