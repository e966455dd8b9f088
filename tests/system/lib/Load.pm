package Load;

# What the tests of replication under load share: processes that write to a server as fast as they
# are answered, and the bytes of a server's replication stream, read as a replica would.
use strict;
use warnings;
use Exporter qw(import);
use IO::Select;
use POSIX ();
use System;
use Time::HiRes qw(time);

our @EXPORT = qw(encoded load stop_load field stream_of);

# A field of INFO; '' when there is none.
sub field {
    my ($server, $name) = @_;
    my ($value) = cli($server, 'info', 'all') =~ /^$name:(.*?)\r?$/m;
    return $value // '';
}

# ---- load ----

# A command as bytes.
sub encoded { return '*' . @_ . "\r\n" . join '', map { '$' . length . "\r\n$_\r\n" } @_ }

# Commands about keys of one slot, some of each kind.
sub some_commands {
    my ($round) = @_;
    my ($a, $b) = (int rand 60, int rand 4000);
    my @all = (
        ['set', "{t}s:$b", $round], ['get', "{t}s:" . int rand 4000], ['incr', '{t}n'],
        ['rpush', "{t}l:$a", $round, $a, $b], ['lpop', '{t}l:' . int rand 60],
        ['hset', "{t}h:$a", "f$b", $round, 'g', 'y' x 90], ['hgetall', '{t}h:' . int rand 60],
        ['zadd', "{t}z:$a", $b, "m$b"], ['zrange', "{t}z:$a", 0, 20],
        ['sadd', "{t}e:$a", $b], ['spop', '{t}e:' . int rand 60],
        ['setex', "{t}x:$b", 1 + $a % 2, 'gone'], ['append', "{t}p:$a", 'p' x 300],
        ['del', "{t}p:" . int rand 60], ['setbit', "{t}b:$a", $b, 1], ['unlink', "{t}h:$a"],
    );
    push @all, ['multi'], ['incr', '{t}n'], ['lpush', "{t}l:$a", 'in'], ['exec']
        if $round % 5 == 0;
    push @all, ['set', "{t}large:$a", 'v' x 70_000], ['get', "{t}large:$a"]
        if $round % 20 == 0;
    return @all;
}

# A process that writes to a server until it is killed, or the server is gone; `limit` is the time
# in seconds that one answer may take. What is refused while roles change is of no interest. It
# waits for a replica now and then, which is slower than several workers here and would fall behind
# for ever. Returns its process id.
sub load {
    my ($server, $seed, $limit) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    alarm 4 * $limit;
    srand $seed;
    my $socket = connect_to($server);
    for my $round (1 .. 1_000_000) {
        my @commands = (some_commands($round), ['wait', 1, 1000]);
        send_bytes($socket, join('', map { encoded(@$_) } @commands) . encoded('echo', "e:$round"))
            or last;
        last unless read_reply($socket, qr/\$\d+\r\ne:$round\r\n\z/, $limit) =~ /e:$round/;
    }
    POSIX::_exit(0);
}

sub stop_load { kill 'KILL', @_; waitpid $_, 0 for @_; return }

# ---- streams ----

# The bytes of a server's stream from an offset to another, both of them included, as its backlog
# has them; undef when it does not give them within `limit` seconds.
sub stream_of {
    my ($server, $first, $last, $limit) = @_;
    my $socket = connect_to($server);
    send_bytes($socket, encoded('psync', field($server, 'master_replid'), $first));
    my ($text, $size, $end) = ('', $last - $first + 1, time + $limit);
    my $select = IO::Select->new($socket);
    my $head;
    while (!defined $head || length($text) < $head + $size) {
        return undef if time > $end;
        next unless $select->can_read(0.1);
        return undef unless sysread $socket, $text, 1 << 20, length $text;
        next if defined $head || $text !~ /\n/;
        return undef if $text !~ /^\+CONTINUE[^\n]*\n/;
        $head = $+[0];
    }
    return substr $text, $head, $size;
}

1;
