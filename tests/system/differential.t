#!/usr/bin/env perl
# The same random commands go to redis-server and to shoal-server, and every reply is compared
# byte for byte (what has no order after sorting, what is random by its shape). Now and then all
# keys of both are read and compared. SHOAL_SEED and SHOAL_COMMANDS choose another sequence, of
# another length; SHOAL_CAREFUL=1 looks at the keys after each command; SHOAL_PORTS=REDIS,SHOAL uses two servers that run already, and empties them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Commands;
use System;
use Test::More;
use Time::HiRes qw(time);

my $seed        = $ENV{SHOAL_SEED}        || 1;
my $total       = $ENV{SHOAL_COMMANDS}    || 20000;
my $differences = $ENV{SHOAL_DIFFERENCES} || 10;    # ends after so many
my $batch_size  = 60;
my $dump_every  = 2000;
my $patience    = $ENV{SHOAL_PATIENCE} || 60;    # seconds

plan skip_all => 'redis-server is not installed' if !grep { -x "$_/redis-server" }
    split /:/, $ENV{PATH};

# ---- the two servers ----

sub connection {
    my ($name, $server) = @_;
    return { name => $name, server => { log => '/dev/null', log_from => 0, %$server }, socket => connect_to($server), bytes => '' };
}

sub start_redis {
    my $directory = temporary();
    local $ENV{SHOAL_SERVER} = 'redis-server';
    return start_server(directory => $directory,
        arguments => ['--save', '', '--appendonly', 'no', '--bind', '127.0.0.1']);
}

my @both;
if ($ENV{SHOAL_PORTS}) {
    my ($redis, $shoal) = split /,/, $ENV{SHOAL_PORTS};
    @both = (connection('redis', { port => $redis }), connection('shoal', { port => $shoal }));
} else {
    @both = (connection('redis', start_redis()), connection('shoal', start_server()));
}

# ---- replies ----

# Takes one reply off the bytes at their position; undef when it is not complete. A reply is
# [type, text] or [type, [replies]]; null is [_].
sub parse {
    my ($bytes) = @_;
    $$bytes =~ /\G([^\r\n])([^\r\n]*)\r\n/gc or return undef;
    my ($type, $head) = ($1, $2);
    return [$type, $head] if $type =~ /[-+:,#(_]/;
    die "not a reply: $type$head" if $type !~ /[\$=*~%>|]/ || $head !~ /^-?\d+\z/;
    return ["$type-"] if $head < 0;
    if ($type =~ /[\$=]/) {
        my $from = pos $$bytes;
        return undef if length($$bytes) < $from + $head + 2;
        die 'a string without its end' if substr($$bytes, $from + $head, 2) ne "\r\n";
        pos($$bytes) = $from + $head + 2;
        return [$type, substr($$bytes, $from, $head)];
    }
    my @elements;
    for (1 .. $head * ($type =~ /[%|]/ ? 2 : 1)) {
        push @elements, parse($bytes) // return undef;
    }
    return [$type, \@elements];
}

sub reply_of {
    my ($connection) = @_;
    my $end = time + $patience;
    while (1) {
        my $from = pos($connection->{bytes}) // 0;
        my $reply = parse(\$connection->{bytes});
        return $reply if $reply;
        $connection->{bytes} = substr $connection->{bytes}, $from;
        my $more = '';
        IO::Select->new($connection->{socket})->can_read($end - time)
            && sysread($connection->{socket}, $more, 1 << 20)
            or die "$connection->{name} does not answer any more (seed $seed)\n"
            . substr(server_log($connection->{server}), -6000);
        $connection->{bytes} .= $more;
        pos($connection->{bytes}) = 0;
    }
}

# The text that is compared.
sub text {
    my ($reply, $compare) = @_;
    my ($type, $value) = @$reply;
    # Whether a score of -0 keeps its sign depends on when Redis converts a sorted set.
    $value = '0' if defined $value && $value eq '-0';
    return $type . ($value // '') if !ref $value;
    my @texts = map { text($_, 'plain') } @$value;
    @texts = sort @texts if $compare eq 'set';
    if ($compare eq 'pairs') {
        my @pairs = map { "$texts[2 * $_] => $texts[2 * $_ + 1]" } 0 .. @texts / 2 - 1;
        @texts = sort @pairs;
    }
    return $type . @$value . '[' . join(', ', @texts) . ']';
}

sub shape {
    my ($reply) = @_;
    my ($type, $value) = @$reply;
    return $type . (ref $value ? '[' . join(' ', map { shape($_) } @$value) . ']' : '');
}

sub near {
    my ($redis, $shoal, $command) = @_;
    return 0 if $redis->[0] ne $shoal->[0];
    return $redis->[1] eq $shoal->[1] if $redis->[0] ne ':' || $redis->[1] < 0;
    return abs($redis->[1] - $shoal->[1]) <= ($command =~ /^P/i ? 4000 : 4);
}

sub equal {
    my ($redis, $shoal, $command) = @_;
    my $compare = $command->{compare};
    return 1 if $compare eq 'none';
    my @heads = map { $_->[0] } $redis, $shoal;
    return text($redis, 'plain') eq text($shoal, 'plain') if "@heads" =~ /-/;
    return $heads[0] eq $heads[1] if $compare eq 'type';
    return near($redis, $shoal, $command->{words}[0]) if $compare eq 'near';
    return shape($redis) eq shape($shoal) if $compare eq 'shape';
    return text($redis, $compare) eq text($shoal, $compare);
}

# The reply to EXEC is compared element by element, each as its own command would be.
sub equal_exec {
    my ($redis, $shoal, $queued) = @_;
    return 0 if $redis->[0] ne $shoal->[0] || ref $redis->[1] ne ref $shoal->[1];
    return text($redis, 'plain') eq text($shoal, 'plain') if !ref $redis->[1];
    return 0 if @{ $redis->[1] } != @{ $shoal->[1] } || @{ $redis->[1] } != @$queued;
    for my $i (0 .. $#$queued) {
        return 0 if !equal($redis->[1][$i], $shoal->[1][$i], $queued->[$i]);
    }
    return 1;
}

# ---- differences ----

my @history;    # the last commands, in order
my $found = 0;

sub shown {
    my ($bytes, $limit) = @_;
    $bytes = substr($bytes, 0, $limit) . '...' if length $bytes > $limit;
    $bytes =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    return $bytes;
}

sub shown_command {
    my ($command) = @_;
    return join ' ', map { /^[!-~]+$/ ? shown($_, 200) : '"' . shown($_, 200) . '"' }
        @{ $command->{words} };
}

# What may have touched a watched key: everything since the watches were dropped last.
sub since_watch {
    my $from = $#history;
    $from-- while $from > 0 && !($history[$from]{words}[0] =~ /^(exec|discard|unwatch|reset)$/i
        && $history[$from]{reply} !~ /^-|QUEUED/);
    my %watched = map { $_ => 1 } map { @{ $_->{words} } }
        grep { lc $_->{words}[0] eq 'watch' } @history[$from .. $#history];
    return grep { grep({ $watched{$_} } @{ $_->{words} })
            || $_->{words}[0] =~ /^(flush\w+|swapdb|select|watch|multi)$/i }
        @history[$from .. $#history];
}

sub report {
    my ($command, $redis, $shoal) = @_;
    $found++;
    diag "difference $found, seed $seed: " . shown(shown_command($command), 600);
    diag "  redis  " . shown($redis, 1200);
    diag "  shoal  " . shown($shoal, 1200);
    my %key = map { $_ => 1 } grep { /^[slhxzwy]\d$/ } @{ $command->{words} };
    my @related = grep {
        grep({ $key{$_} } @{ $_->{words} }) || $_->{words}[0] =~ /^(flush\w+|swapdb|select)$/i
    } @history;
    @related = @history if !%key;
    @related = since_watch() if lc $command->{words}[0] eq 'exec';
    splice @related, 0, @related - 15 if @related > 15;
    diag "  before   " . shown(shown_command($_), 300) . '  ->  ' . shown($_->{reply} // '', 100)
        for @related;
}

# ---- sending ----

sub encode {
    my ($command) = @_;
    my $words = $command->{words};
    return '*' . @$words . "\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" } @$words;
}

sub ask {
    my ($connection, @words) = @_;
    send_bytes($connection->{socket}, encode({ words => \@words }));
    return reply_of($connection);
}

sub tell_both {
    my (@words) = @_;
    ask($_, @words) for @both;
}

my @queued;      # commands that were queued since MULTI
my $in_multi = 0;

# Compares the replies to one command. A difference makes both servers empty later.
sub compare {
    my ($command, $redis, $shoal) = @_;
    my $name = uc $command->{words}[0];
    my $same;
    if ($in_multi && $name eq 'EXEC') {
        $same = equal_exec($redis, $shoal, \@queued);
        $in_multi = 0 if $redis->[0] ne '-' || $redis->[1] =~ /^EXECABORT/;
    } elsif ($in_multi) {
        $same = text($redis, 'plain') eq text($shoal, 'plain');
        push @queued, $command if text($redis, 'plain') eq '+QUEUED';
        $in_multi = 0 if $name eq 'DISCARD' && $redis->[0] eq '+';
        $in_multi = 0 if $name eq 'RESET' && $redis->[0] eq '+';
    } else {
        $same = equal($redis, $shoal, $command);
        ($in_multi, @queued) = (1) if $name eq 'MULTI' && $redis->[0] eq '+';
    }
    $command->{reply} = text($redis, 'plain');
    report($command, $command->{reply}, text($shoal, 'plain')) if !$same;
    push @history, $command;
    return $same;
}

sub run_batch {
    my (@commands) = @_;
    my $bytes = join '', map { encode($_) } @commands;
    send_bytes($_->{socket}, $bytes) for @both;
    my $same = 1;
    for my $command (@commands) {
        my @replies = eval { map { reply_of($_) } @both };
        if (@replies != 2) {
            push @history, $command;
            report($command, 'a reply', $@);
            BAIL_OUT('a server does not answer any more');
        }
        next if !$same;
        $same = compare($command, @replies);
    }
    splice @history, 0, @history - 3000 if @history > 3000;
    return $same;
}

# ---- everything that is there ----

# All elements that a command of the SCAN family tells from its first cursor to its last.
sub scanned {
    my ($connection, $step, @words) = @_;
    my ($cursor, @all) = (0);
    do {
        my $reply = ask($connection, @words, $cursor, 'COUNT', $step);
        return text($reply, 'plain') if $reply->[0] eq '-';
        $cursor = $reply->[1][0][1];
        push @all, map { $_->[1] } @{ $reply->[1][1][1] };
    } while $cursor ne '0';
    return \@all;
}

# One text for each key of one database: type, encoding, elements, time to live.
sub contents {
    my ($connection, $step) = @_;
    my %reads = (
        string => sub { (['GET', $_[0]], 'plain') },
        list   => sub { (['LRANGE', $_[0], 0, -1], 'plain') },
        set    => sub { (['SMEMBERS', $_[0]], 'set') },
        zset   => sub { (['ZRANGE', $_[0], 0, -1, 'WITHSCORES'], 'plain') },
        hash   => sub { (['HGETALL', $_[0]], 'pairs') },
    );
    my %seen;
    for my $key (@{ scanned($connection, $step, 'SCAN') }) {
        next if $seen{$key};
        my $type     = ask($connection, 'TYPE', $key)->[1];
        my $encoding = text(ask($connection, 'OBJECT', 'ENCODING', $key), 'plain');
        my ($words, $compare) = $reads{$type}->($key);
        my $all = text(ask($connection, @$words), $compare);
        my %scan = (set => 'SSCAN', hash => 'HSCAN', zset => 'ZSCAN');
        my $scan = $scan{$type} ? scanned($connection, $step, $scan{$type}, $key) : [];
        @$scan = map { $_ eq '-0' ? '0' : $_ } @$scan if $type eq 'zset';
        my %unique = $type eq 'set' ? map { $_ => 1 } @$scan : @$scan;
        my $scan_text = join ', ', map { "$_ $unique{$_}" } sort keys %unique;
        my $expires = ask($connection, 'EXPIRETIME', $key)->[1];
        $expires = int(($expires + 30) / 60) if $expires > 0;
        $seen{$key} = { what => "$type $encoding $all scanned $scan_text", expires => $expires };
    }
    return \%seen;
}

sub compare_everything {
    my ($step) = @_;
    my $same = 1;
    tell_both('RESET');
    for my $database (0, 1) {
        tell_both('SELECT', $database);
        my ($redis, $shoal) = map { contents($_, $step) } @both;
        my %keys = (%$redis, %$shoal);
        for my $key (sort keys %keys) {
            my ($r, $s) = ($redis->{$key}, $shoal->{$key});
            next if $r && $s && $r->{what} eq $s->{what}
                && abs($r->{expires} - $s->{expires}) <= 1;
            report({ words => ["(contents of)", $key] }, map { $_ ? "$_->{what} $_->{expires}"
                    : 'nothing' } $r, $s);
            $same = 0;
        }
    }
    tell_both('RESET');
    return $same;
}

# ---- the run ----

my %thresholds = (
    'hash-max-listpack-entries' => [4, 8, 100, 512],
    'hash-max-listpack-value'   => [10, 64, 70],
    'set-max-intset-entries'    => [3, 8, 100, 512],
    'zset-max-listpack-entries' => [4, 8, 100],
    'zset-max-listpack-value'   => [10, 64],
    'list-max-listpack-size'    => [-2, -1, 4, 100],
);

sub change_thresholds {
    my ($generator) = @_;
    for my $name (sort keys %thresholds) {
        tell_both('CONFIG', 'SET', $name, $generator->pick($thresholds{$name}));
    }
}

sub begin_anew {
    tell_both('RESET');
    tell_both('FLUSHALL');
    ($in_multi, @queued) = (0);
    @history = ();
}

# What tells at once where a key began to differ: its encoding and contents after each command.
sub probes {
    my ($command) = @_;
    my %keys = map { $_ => 1 } grep { /^[slhxzwy]\d$/ } @{ $command->{words} };
    my @probes = { compare => 'plain', words => ['DBSIZE'] };
    for my $key (sort keys %keys) {
        push @probes, map { { compare => 'plain', words => [@$_] } } ['OBJECT', 'ENCODING', $key],
            ['GET', $key], ['ZRANGE', $key, 0, -1, 'WITHSCORES'], ['LRANGE', $key, 0, -1];
    }
    return @probes;
}

my $begin     = time;
my $generator = Commands->new($seed);
my ($sent, $dump_next) = (0, $dump_every);
begin_anew();
change_thresholds($generator);
while ($sent < $total && $found < $differences) {
    my @commands;
    push @commands, $generator->next while @commands < $batch_size;
    $sent += @commands;
    @commands = map { ($_, probes($_)) } @commands if $ENV{SHOAL_CAREFUL};
    my $same = run_batch(@commands);
    diag map { "  keys of $_->{name}: " . shown(text(ask($_, 'KEYS', '*'), 'set'), 2000) } @both
        if !$same;
    if ($same && $sent >= $dump_next) {
        $dump_next += $dump_every;
        begin_anew() if !compare_everything(1 + $generator->below(20));
        change_thresholds($generator);
        ($in_multi, @queued) = (0);
    }
    begin_anew() if !$same;
}
compare_everything(10);
diag sprintf 'seed %s: %d commands in %.1f s', $seed, $sent, time - $begin;
is($found, 0, "redis-server and shoal-server answer alike (seed $seed)");
done_testing;
