#!/usr/bin/env perl
# Starting and ending a server: files, arguments, log lines, complaints, signals.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use System;
use Test::More;

my $program = server_program();

# ---- what is printed and nothing else ----

my ($status, $output) = run_program($program, '--version');
is($status, 0, 'the version is no error');
like($output, qr/^Redis server v=7\.0\.15 .* shoal=\d/, 'the version names Redis and Shoal');
like((run_program($program, '-v'))[1], qr/malloc=\S+ bits=64/, '-v is the same');
like((run_program($program, '--help'))[1], qr/^Usage: shoal-server/, 'help tells the usage');
like((run_program($program, '--directives'))[1], qr/^port\t/m, 'every directive is listed');

# ---- a start ----

my $server = start_server(arguments => ['--always-show-logo', 'yes']);
my $log = server_log($server);
my $stamp = qr/\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}/;
like($log, qr/^$server->{pid}:M $stamp \* Ready to accept connections$/m, 'log lines have a shape');
is(scalar(() = $log =~ /Ready to accept/g), 1, 'readiness is logged once');
like($log, qr/ PID: $server->{pid}\b/, 'the logo names the process');
unlike((run_program($program, '--always-show-logo', 'yes', '--port', $server->{port}))[1],
    qr/ PID: /, 'and tells who reads it that connections are taken');
is(cli($server, 'ping'), 'PONG', 'it serves');
is(cli($server, 'config', 'get', 'dir'), "dir\n$server->{directory}", 'dir is absolute');

my ($again, $why) = run_program($program, '--port', $server->{port});
is($again >> 8, 1, 'a port that is taken is fatal');
like($why, qr/Failed listening on port $server->{port}/, 'and named');
unlike((split /\n/, $why)[0], qr/already in use/, 'but not in the first line');

is(stop_server($server), 0, 'SIGTERM ends it with code 0');
like(server_log($server), qr/ready to exit, bye bye/, 'and it says so');
my $interrupted = start_server();
is(stop_server($interrupted, 'INT'), 0, 'SIGINT too');
my $shut = start_server();
cli($shut, 'shutdown', 'nosave');
ok(defined stop_server($shut, 'CONT'), 'SHUTDOWN ends the process');
is($shut->{status}, 0, 'with code 0');

# ---- configuration ----

my $directory = temporary();
my $port = free_port();
write_file("$directory/more.conf", "maxclients 123\n");
my $file = write_file("$directory/some.conf", <<"END");
# a comment
include $directory/more.conf
tcp-backlog 100
loglevel verbose
END
my $configured = start_server(file => $file, directory => $directory,
    arguments => ['--pidfile', "$directory/server.pid", '--logfile', "$directory/file.log",
        '--unixsocket', "$directory/socket", '--unixsocketperm', '700'], ready => 0);
ok(wait_for(20, sub { -e "$directory/file.log" && cli($configured, 'ping') eq 'PONG' }),
    'a file, an included file and arguments together');
is(cli($configured, 'config', 'get', 'maxclients'), "maxclients\n123", 'include is followed');
is(cli($configured, 'config', 'get', 'loglevel'), "loglevel\nverbose", 'the file is read to its end');
is(cli($configured, 'config', 'get', 'tcp-backlog'), "tcp-backlog\n100", 'numbers too');
ok(-s "$directory/file.log", 'the log goes to the file');
is((run_program('redis-cli', '-s', "$directory/socket", 'ping'))[1], "PONG\n", 'the UNIX socket serves');
is(sprintf('%o', (stat "$directory/socket")[2] & 0777), '700', 'with the mode asked for');
open my $pidfile, '<', "$directory/server.pid";
is(scalar(<$pidfile>), "$configured->{pid}\n", 'the pid file names the process');
is(stop_server($configured), 0, 'it ends');
ok(!-e "$directory/server.pid", 'and removes the pid file');
ok(!-e "$directory/socket", 'and the socket');

# The seed article's file, as it is but for the directory.
my $sample = temporary();
write_file("$sample/node.conf", <<'END');
# redis-cluster-node-1.conf
cluster-enabled yes
cluster-config-file nodes-7000.conf
cluster-node-timeout 5000
cluster-replica-validity-factor 10
cluster-migration-barrier 1
cluster-require-full-coverage no
appendonly yes
appendfsync everysec
maxmemory 32gb
maxmemory-policy allkeys-lru
tcp-backlog 511
timeout 0
tcp-keepalive 300
daemonize no
supervised no
loglevel notice
databases 1
save ""
stop-writes-on-bgsave-error no
rdbcompression yes
rdbchecksum yes
replica-serve-stale-data yes
replica-read-only yes
repl-diskless-sync yes
repl-diskless-sync-delay 5
repl-disable-tcp-nodelay no
replica-priority 100
lazyfree-lazy-eviction yes
lazyfree-lazy-expire yes
lazyfree-lazy-server-del yes
replica-lazy-flush yes
END
my $seed = start_server(file => "$sample/node.conf", directory => $sample);
is(cli($seed, 'config', 'get', 'maxmemory'), "maxmemory\n34359738368", 'a production file starts');
ok(wait_for(5, sub { -s "$sample/nodes-7000.conf" }), 'and the cluster file is where it says');
is(stop_server($seed), 0, 'it ends');

my $asked = temporary();
my ($child, $text) = run_program({ input => "maxclients abc\n" }, $program, '-');
is($child >> 8, 1, 'standard input is read as configuration');
like($text, qr/maxclients abc/, 'and its faults are named');

# ---- complaints ----

my @faults = (
    ['--port'],                  qr/port/,
    ['--port', 'abc'],           qr/port.*abc/s,
    ['--port', '99999'],         qr/99999/,
    ['--no-such-directive', 1],  qr/no-such-directive/,
    ['--maxmemory-policy', 'x'], qr/maxmemory-policy/,
    ['/no/such/file.conf'],      qr{/no/such/file\.conf},
    ['--dir', '/no/such/dir'],   qr{/no/such/dir},
);
while (my ($arguments, $named) = splice @faults, 0, 2) {
    my ($code, $said) = run_program({ limit => 10 }, $program, @$arguments);
    is($code >> 8, 1, "`@$arguments` is refused");
    like($said, $named, 'and named');
}
write_file("$asked/bad.conf", "port 1\n\nmaxclients many\n");
like((run_program($program, "$asked/bad.conf"))[1], qr/FATAL CONFIG FILE ERROR.*line 3.*maxclients many/s,
    'a bad line is named with its number');
write_file("$asked/first.conf", "port 1\ninclude $asked/second.conf\nbogus 1\n");
write_file("$asked/second.conf", "maxclients 5\n");
like((run_program($program, "$asked/first.conf"))[1], qr/line 3.*bogus/s,
    'lines behind an include keep their numbers');
write_file("$asked/self.conf", "include $asked/self.conf\n");
like((run_program($program, "$asked/self.conf"))[1], qr/include each other/,
    'a file that includes itself is refused');

# ---- supervisors and the background ----

my $notify = "$asked/notify";
my $receiver = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $notify) or die;
{
    local $ENV{NOTIFY_SOCKET} = $notify;
    my $supervised = start_server(arguments => ['--supervised', 'systemd']);
    my $message = '';
    IO::Select->new($receiver)->can_read(5) and $receiver->recv($message, 1000);
    like($message, qr/^READY=1$/m, 'systemd is told when it is ready');
    stop_server($supervised);
}

my $background = temporary();
my $far = free_port();
is((run_program($program, '--port', $far, '--dir', $background, '--daemonize', 'yes', '--pidfile',
    "$background/pid", '--logfile', "$background/log"))[0], 0, 'daemonize returns at once');
my $daemon = { port => $far };
ok(wait_for(10, sub { cli($daemon, 'ping') eq 'PONG' }), 'and serves from the background');
my ($pid) = cli($daemon, 'info', 'server') =~ /process_id:(\d+)/;
kill 'TERM', $pid;
ok(wait_for(10, sub { !-e "$background/pid" && !kill 0, $pid }), 'until it is told to end');

done_testing;
