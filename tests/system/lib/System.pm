package System;

# What the system tests share: starting real servers on free loopback ports in directories of
# their own, waiting for conditions with a limit, and ending what was started, whatever happens.
# Nothing here sleeps in order to be right: every wait looks for what it waits for.
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(root server_program free_port start_server start_cluster wait_for stop_server
    kill_server server_log cli run_program connect_to send_bytes read_reply read_for write_file
    temporary);

my $root = abs_path(dirname(__FILE__) . '/../../..');
my %running;    # pid => 1
my $owner = $$;

sub root { return $root }

# The server under test: $SHOAL_SERVER, or that of the build under test.
sub server_program {
    my $program = $ENV{SHOAL_SERVER}
        || ($ENV{SHOAL_BUILD} || "$root/build/release") . '/bin/shoal-server';
    die "no $program: ./dev build\n" unless $program !~ m{/} || -x $program;
    return $program;
}

# A directory that is removed at the end.
sub temporary { return tempdir('shoal-system-XXXXXX', TMPDIR => 1, CLEANUP => 1) }

sub write_file {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!";
    print {$file} $text;
    close $file or die "$path: $!";
    return $path;
}

# ---- ports ----

my $port_next = 11000 + ($$ * 37) % 9000;

sub bindable {
    my ($port) = @_;
    return IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 1,
        ReuseAddr => 1);
}

# A port that is free, as is the bus port that belongs to it. Both stay below the range from
# which the system takes ports for outgoing connections.
sub free_port {
    for (1 .. 2000) {
        $port_next = 11000 if ++$port_next > 21000;
        return $port_next if bindable($port_next) && bindable($port_next + 10000);
    }
    die 'no free port';
}

# ---- waiting ----

# Runs the code until it returns something true, and returns that; undef after `limit` seconds.
sub wait_for {
    my ($limit, $code) = @_;
    my $end = time + $limit;
    while (1) {
        my $result = $code->();
        return $result if $result;
        return undef if time > $end;
        sleep 0.02;
    }
}

# ---- servers ----

# Starts a server: start_server(arguments => [...], port => N, directory => D, ready => 0|1).
# Returns { pid, port, directory, log }. Dies when it does not get ready.
sub start_server {
    my (%how) = @_;
    my $directory = $how{directory} || temporary();
    my $port      = $how{port} || free_port();
    my $log       = "$directory/out.log";
    my @command   = (server_program(), @{ $how{file} ? [$how{file}] : [] }, '--port', $port,
        '--dir', $directory, @{ $how{arguments} || [] });
    my $log_from = (-s $log) || 0;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>>', $log or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;
        exec @{ $how{wrapper} || [] }, @command or POSIX::_exit(127);
    }
    $running{$pid} = 1;
    my $server = { pid => $pid, port => $port, directory => $directory, log => $log,
        log_from => $log_from };
    return $server if defined $how{ready} && !$how{ready};
    wait_for(30, sub { server_log($server) =~ /Ready to accept connections/ || gone($server) });
    die "the server did not get ready:\n" . server_log($server)
        if server_log($server) !~ /Ready to accept connections/ || gone($server);
    return $server;
}

# What the server has logged since it was started.
sub server_log {
    my ($server) = @_;
    open my $file, '<', $server->{log} or return '';
    seek $file, $server->{log_from}, 0;
    local $/;
    return scalar(<$file>) // '';
}

# True when the process has ended; its wait status is then in {status}.
sub gone {
    my ($server) = @_;
    return 1 if defined $server->{status};
    return 0 if waitpid($server->{pid}, WNOHANG) != $server->{pid};
    $server->{status} = $?;
    delete $running{ $server->{pid} };
    return 1;
}

# Sends a signal and waits for the end. Returns the wait status, undef when it does not end.
sub stop_server {
    my ($server, $signal) = @_;
    kill $signal || 'TERM', $server->{pid} if !gone($server);
    wait_for(10, sub { gone($server) });
    return $server->{status};
}

sub kill_server { return stop_server($_[0], 'KILL') }

END {
    if ($$ == $owner) {
        my $status = $?;
        kill 'KILL', $_ for keys %running;
        waitpid $_, 0 for keys %running;
        $? = $status;
    }
}

# Starts `count` nodes and joins them into a cluster of masters with redis-cli. Returns the
# servers; dies when they do not agree on a healthy cluster.
sub start_cluster {
    my ($count, @arguments) = @_;
    my @servers = map {
        start_server(arguments => ['--cluster-enabled', 'yes', @arguments])
    } 1 .. $count;
    my @nodes = map { "127.0.0.1:$_->{port}" } @servers;
    my ($status, $output) = run_program('redis-cli', '--cluster', 'create', @nodes,
        '--cluster-replicas', 0, '--cluster-yes');
    die "redis-cli --cluster create failed:\n$output" if $status != 0;
    for my $server (@servers) {
        wait_for(20, sub {
            my $info = cli($server, 'cluster', 'info');
            return $info =~ /cluster_state:ok/ && $info =~ /cluster_known_nodes:$count\b/;
        }) or die "the cluster did not get healthy:\n" . cli($server, 'cluster', 'nodes');
    }
    return @servers;
}

# ---- programs ----

# Runs a program, its input in `{ input => TEXT }` as an optional first argument. Returns wait
# status and output (both streams).
sub run_program {
    my $how = ref $_[0] ? shift : {};
    my @command = @_;
    my $input = write_file(temporary() . '/input', $how->{input} // '');
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', $input;
        open STDERR, '>&', \*STDOUT;
        exec 'timeout', $how->{limit} || 60, @command or POSIX::_exit(127);
    }
    local $/;
    my $output = <$pipe> // '';
    close $pipe;
    return ($?, $output);
}

# What redis-cli prints, without the newlines at its end.
sub cli {
    my ($server, @words) = @_;
    my $how = ref $words[0] ? shift @words : {};
    my ($status, $output) = run_program($how, 'redis-cli', '-p', $server->{port}, @words);
    $output =~ s{\n+\z}{};
    return $output;
}

# ---- sockets ----

sub connect_to {
    my ($server) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->{port},
        Timeout => 5) or die "connect: $!";
    $socket->autoflush(1);
    binmode $socket;
    return $socket;
}

# Writes all bytes; false when the other end is gone.
sub send_bytes {
    my ($socket, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $sent = 0;
    while ($sent < length $bytes) {
        my $part = syswrite $socket, $bytes, length($bytes) - $sent, $sent;
        return 0 unless defined $part;
        $sent += $part;
    }
    return 1;
}

# Reads until the text matches, the other end closes, or the limit has passed. Returns the text.
sub read_reply {
    my ($socket, $pattern, $limit) = @_;
    my $text   = '';
    my $end    = time + ($limit || 10);
    my $select = IO::Select->new($socket);
    while ($text !~ $pattern && time < $end) {
        next unless $select->can_read(0.1);
        last unless sysread $socket, $text, 65536, length $text;
    }
    return $text;
}

# Reads exactly `size` bytes; what came, when the other end closes or the limit passes.
sub read_for {
    my ($socket, $size, $limit) = @_;
    my $text   = '';
    my $end    = time + ($limit || 30);
    my $select = IO::Select->new($socket);
    while (length $text < $size && time < $end) {
        next unless $select->can_read(0.1);
        last unless sysread $socket, $text, $size - length $text, length $text;
    }
    return $text;
}

1;
