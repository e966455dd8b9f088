#!/usr/bin/env perl
# CLUSTER as redis-server 7.0 answers it, word by word, from a node of each kind in the same
# situation; slots on their way between two nodes; and what redis-cli --cluster does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use System;
use Test::More;

my @clustered = ('--cluster-enabled', 'yes', '--cluster-node-timeout', 2000);

sub start_redis {
    local $ENV{SHOAL_SERVER} = 'redis-server';
    my $server = start_server(ready => 0, arguments => [@clustered, '--save', '', '--bind', '127.0.0.1']);
    wait_for(20, sub { cli($server, 'ping') eq 'PONG' }) or die 'redis-server does not answer';
    return $server;
}

sub start_shoal { return start_server(arguments => [@clustered, @_]) }

# ---- the same questions to both kinds ----

# Two nodes of a kind: the first has slots 0 to 9999, the second is its replica when `replica`.
sub pair {
    my ($start) = @_;
    my @two = map { $start->() } 1, 2;
    return { nodes => \@two, ids => [map { cli($_, 'cluster', 'myid') } @two] };
}

# What a node of the pair says to a line of words, with names and ports as letters.
sub said {
    my ($pair, $which, $line) = @_;
    $line =~ s/ID(\d)/$pair->{ids}[$1]/g;
    $line =~ s/PORT(\d)/$pair->{nodes}[$1]{port}/g;
    my $text = cli($pair->{nodes}[$which], split / /, $line);
    for my $i (0, 1) {
        $text =~ s/$pair->{ids}[$i]/ID$i/g;
        $text =~ s/\b$pair->{nodes}[$i]{port}\b/PORT$i/g;
        my $bus = $pair->{nodes}[$i]{port} + 10000;
        $text =~ s/\b$bus\b/BUS$i/g;
    }
    return $text;
}

my ($ours, $peer) = (pair(\&start_shoal), pair(\&start_redis));

sub same {
    my ($which, @lines) = @_;
    is(said($ours, $which, $_), said($peer, $which, $_), "node $which: $_") for @lines;
}

same(0, map {"cluster $_"} 'setslot 1 importing', 'setslot 1 importing x', 'setslot 1 migrating x',
    'setslot a stable', 'setslot 20000 stable', 'setslot 1 stable x', 'setslot 1 foo',
    'setslot 1 node xx', 'setslot 1', 'setslot 1 node ID0', 'setslot 1 migrating ID0',
    'setslot 1 importing ID0', 'setslot 2 importing ID0', 'nodes', 'setslot 2 stable',
    'setslot 1 stable', 'nodes', 'delslots 1', 'replicate xx', 'replicate ID0', 'replicate',
    'failover', 'failover force', 'failover foo', 'failover force foo', 'forget xx', 'forget ID0',
    'forget', 'replicas xx', 'replicas ID0', 'slaves ID0', 'count-failure-reports xx',
    'count-failure-reports ID0', 'countkeysinslot 20000', 'countkeysinslot x',
    'countkeysinslot -1', 'getkeysinslot 1 -1', 'getkeysinslot 20000 1', 'getkeysinslot 1 x',
    'reset foo', 'reset hard foo', 'set-config-epoch a', 'set-config-epoch -1',
    'set-config-epoch 5', 'set-config-epoch 5', 'meet 1.2.3 a', 'meet foo 1234',
    'meet 127.0.0.1 0', 'meet 127.0.0.1 99999', 'meet 127.0.0.1 60000', 'meet 127.0.0.1 6000 x',
    'meet 127.0.0.1 6000 70000', 'meet 127.0.0.1 1 2 3', 'addslots 1 1', 'addslots 1 2 x',
    'addslots 20000', 'addslots', 'addslotsrange 5 1', 'addslotsrange 5', 'addslotsrange 5 6 7',
    'addslotsrange 1 5 3 8', 'addslots 10', 'addslots 10', 'delslots 11', 'delslotsrange 10 11',
    'links', 'shards', 'slots', 'info', 'nodes', 'bumpepoch', 'saveconfig', 'myid a', 'foo',
    'keyslot', 'keyslot {a}b', 'flushslots', 'flushslots x', 'nodes');
same(0, 'readonly', 'readwrite', 'asking', 'get foo', 'set foo 1', 'select 1', 'select 0');

# ---- two nodes: a slot on its way, then a master and its replica ----

for my $pair ($ours, $peer) {
    cli($pair->{nodes}[0], 'config', 'set', 'cluster-require-full-coverage', 'no') for 0, 1;
    cli($pair->{nodes}[1], 'config', 'set', 'cluster-require-full-coverage', 'no');
    cli($pair->{nodes}[0], 'cluster', 'addslotsrange', 0, 16000);
    cli($pair->{nodes}[1], 'cluster', 'addslotsrange', 16001, 16383);
    cli($pair->{nodes}[0], 'cluster', 'meet', '127.0.0.1', $pair->{nodes}[1]{port});
    wait_for(20, sub {
        !grep { cli($_, 'cluster', 'info') !~ /cluster_state:ok\r?\n.*known_nodes:2/s } @{ $pair->{nodes} };
    }) or die 'the nodes do not meet';
}

# Several lines on one connection, as redis-cli reads them from a file.
sub same_session {
    my ($which, $what, @lines) = @_;
    my $input = join '', map {"$_\n"} @lines;
    is(said_session($ours, $which, $input), said_session($peer, $which, $input), "node $which: $what");
}

sub said_session {
    my ($pair, $which, $input) = @_;
    my $text = cli($pair->{nodes}[$which], { input => $input });
    $text =~ s/\b$pair->{nodes}[$_]{port}\b/PORT$_/g for 0, 1;
    return $text;
}

same(0, 'set foo bar', 'set {foo}w 1', 'cluster countkeysinslot 12182', 'cluster getkeysinslot 12182 0',
    'cluster setslot 12182 importing ID1', 'cluster setslot 12182 node ID1',
    'cluster setslot 12182 migrating ID1', 'get foo', 'set {foo}a 1', 'get {foo}a', 'mget foo {foo}a',
    'mget {foo}a {foo}b', 'mset {foo}w 1 foo 2', 'mset {foo}w 1 {foo}q 2', 'exists foo', 'incr {foo}c');
same(1, 'cluster setslot 12182 migrating ID0', 'cluster setslot 12182 importing ID0', 'get foo');
same_session(1, 'ASKING is for one command', 'asking', 'get foo', 'get foo', 'asking', 'asking', 'set foo 1',
    'get foo', 'asking', 'ping', 'get foo');
same_session(1, 'ASKING and several keys', 'asking', 'mget foo {foo}1', 'asking', 'mset foo 1 {foo}1 2',
    'asking', 'mget foo', 'asking', 'del foo');
same_session(1, 'ASKING is for a whole transaction', 'asking', 'multi', 'set foo 2', 'get foo', 'exec', 'get foo');
same_session(1, 'ASKING and the keys of a transaction', 'asking', 'multi', 'get {foo}x', 'exec', 'get foo');
same_session(0, 'a transaction on a slot that goes', 'multi', 'get foo', 'set {foo}n 1', 'exec', 'multi', 'get foo', 'exec');
same(1, 'cluster delslots 12182', 'cluster setslot 12182 stable');
cli($_->{nodes}[0], 'cluster', 'setslot', 12182, 'stable') for $ours, $peer;

# The slot goes for good: keys first, then its owner, the new one first.
for my $pair ($ours, $peer) {
    my ($from, $to) = @{ $pair->{nodes} };
    cli($to,   'cluster', 'setslot', 12182, 'importing', $pair->{ids}[0]);
    cli($from, 'cluster', 'setslot', 12182, 'migrating', $pair->{ids}[1]);
    cli($from, 'del', 'foo', '{foo}w', '{foo}a');
    cli($to,   'cluster', 'setslot', 12182, 'node', $pair->{ids}[1]);
    cli($from, 'cluster', 'setslot', 12182, 'node', $pair->{ids}[1]);
}
same(0, 'get foo');
same(1, 'get foo');

# A master takes over all the slots of the other by a newer epoch; what that had of them goes.
my ($one, $two) = @{ $ours->{nodes} };
cli($one, 'set', 'a-key', 'x');    # slot 5061 has bar
cli($one, 'set', 'bar',   'x');
cli($two, 'cluster', 'bumpepoch');
cli($two, 'cluster', 'setslot', 5061, 'node', $ours->{ids}[1]);
ok(wait_for(20, sub { cli($one, 'cluster', 'countkeysinslot', 5061) eq '0' }),
    'the keys of a slot that another node took are deleted');
like(cli($one, 'get', 'bar'), qr/^MOVED 5061 127\.0\.0\.1:$two->{port}/, 'clients are sent there');
is(cli($one, 'dbsize'), 1, 'other keys stay');

# ---- redis-cli --cluster ----

my @six = map {
    my $directory = temporary();
    my $file = write_file("$directory/node.conf", "cluster-enabled yes\ncluster-node-timeout 2000\n");
    start_server(file => $file, directory => $directory)
} 1 .. 6;
my @at = map {"127.0.0.1:$_->{port}"} @six;

sub manage {
    my ($what, $pattern, @words) = @_;
    my ($status, $output) = run_program({ input => "yes\n" }, 'redis-cli', '--cluster', @words);
    ok($status == 0 && $output =~ $pattern, $what) or diag $output;
    return $output;
}

sub all_ok {
    my ($count, @servers) = @_;
    return wait_for(30, sub {
        !grep { cli($_, 'cluster', 'info') !~ /cluster_state:ok\r?\n.*known_nodes:$count\b/s } @servers;
    });
}

sub id_of { return cli($_[0], 'cluster', 'myid') }

manage('create with three masters', qr/All 16384 slots covered/, 'create', @at[0 .. 2], '--cluster-yes');
ok(all_ok(3, @six[0 .. 2]), 'they are healthy');
manage('info', qr/keys in 3 masters/, 'info', $at[0]);
manage('check', qr/All 16384 slots covered/, 'check', $at[1]);
manage('add-node', qr/New node added correctly/, 'add-node', $at[3], $at[0]);
ok(all_ok(4, @six[0 .. 3]), 'it is known to all');
manage('add-node as a replica', qr/New node added correctly/, 'add-node', $at[4], $at[0], '--cluster-slave',
    '--cluster-master-id', id_of($six[0]));
ok(all_ok(5, @six[0 .. 4]), 'the replica too');
my $master = id_of($six[0]);
ok(wait_for(20, sub { cli($six[0], 'cluster', 'replicas', $master) =~ /slave $master/ }), 'of its master');
manage('reshard', qr/Moving slot/, 'reshard', $at[0], '--cluster-from', 'all', '--cluster-to', id_of($six[3]),
    '--cluster-slots', 20, '--cluster-yes');
ok(wait_for(20, sub { cli($six[3], 'cluster', 'nodes') =~ /myself.* connected \S/ }), 'moves slots');
manage('rebalance', qr/Rebalancing|No rebalancing/, 'rebalance', $at[0], '--cluster-use-empty-masters');
manage('call', qr/PONG/, 'call', $at[0], 'ping');
manage('set-timeout', qr/5 OK, 0 ERR/, 'set-timeout', $at[0], 3000);
is(cli($six[4], 'config', 'get', 'cluster-node-timeout'), "cluster-node-timeout\n3000", 'sets it');
my $gone = id_of($six[4]);
manage('del-node', qr/CLUSTER RESET SOFT/, 'del-node', $at[0], $gone);
ok(wait_for(20, sub { !grep { cli($_, 'cluster', 'nodes') =~ /$gone/ } @six[0 .. 3] }), 'it is forgotten');
like(cli($six[4], 'cluster', 'nodes'), qr/^\S+ \S+ myself,master \S+ \d+ \d+ \d+ connected$/, 'and knows nobody');

my ($open) = cli($six[1], 'cluster', 'nodes') =~ /myself.* connected (\d+)/;
cli($six[1], 'cluster', 'setslot', $open, 'migrating', id_of($six[0]));
cli($six[0], 'cluster', 'setslot', $open, 'importing', id_of($six[1]));
manage('fix closes a slot that is on its way', qr/All 16384 slots covered/, 'fix', $at[0]);
unlike(cli($_, 'cluster', 'nodes'), qr/\[/, 'none is left') for @six[0, 1];
cli($_, 'cluster', 'delslots', $open) for @six[0 .. 3];
manage('fix covers a slot of nobody', qr/Covering slot $open/, 'fix', $at[0], '--cluster-yes');
ok(wait_for(20, sub { (run_program('redis-cli', '--cluster', 'check', $at[2]))[0] == 0 }),
    'all is well in the end');

# ---- nodes.conf ----

# Whether a line of CLUSTER NODES has the slot.
sub covers {
    my ($text, $slot) = @_;
    my (undef, $ranges) = split / connected /, $text;
    return scalar grep { /^(\d+)(?:-(\d+))?$/ && $1 <= $slot && $slot <= ($2 // $1) } split / /, $ranges // '';
}

sub slurp {
    my ($name) = @_;
    open my $file, '<', $name or return '';
    local $/;
    return scalar(<$file>) // '';
}

my $second = start_server(ready => 0, directory => $six[0]{directory}, arguments => [@clustered]);
ok(wait_for(10, sub { System::gone($second) }), 'a second process with the same nodes.conf ends');
like(server_log($second), qr/Sorry, the cluster configuration file nodes\.conf is already used by a different Redis Cluster node\./,
    'and says why');
cli($six[0], 'cluster', 'setslot', $open, 'stable');
my $mine = (cli($six[0], 'cluster', 'nodes') =~ /myself.* connected (\d+)/)[0];
cli($six[0], 'cluster', 'setslot', $mine, 'migrating', id_of($six[1]));
my ($line) = cli($six[0], 'cluster', 'nodes') =~ /myself.* (\[.*)/;
like(slurp("$six[0]{directory}/nodes.conf"), qr/\Q$line/, 'nodes.conf has the line when that is answered');
kill_server($six[0]);
my $again = start_server(port => $six[0]{port}, directory => $six[0]{directory}, arguments => [@clustered]);
my ($after) = cli($again, 'cluster', 'nodes') =~ /myself.* (\[.*)/;
is($after, $line, 'slots on their way survive kill -9');
# A node that has taken slots in, each behind the first under the epoch that it has then, dies behind the answer.
my @both = map { id_of($_) } $again, $six[1];
my @taken = ($mine + 1 .. $mine + 3);
for my $slot (@taken) {
    cli($six[1], 'cluster', 'setslot', $slot, 'importing', $both[0]);
    cli($again, 'cluster', 'setslot', $slot, 'migrating', $both[1]);
    is(cli($six[1], 'cluster', 'setslot', $slot, 'node', $both[1]), 'OK', "slot $slot is taken in");
    kill_server($six[1]);
    $six[1] = start_server(port => $six[1]{port}, directory => $six[1]{directory}, arguments => [@clustered]);
    ok((grep { /^[0-9a-f]{40} \S+ myself,/ && covers($_, $slot) } split /\n/, cli($six[1], 'cluster', 'nodes')),
        'and is its own behind kill -9') or diag cli($six[1], 'cluster', 'nodes');
    is(cli($again, 'cluster', 'setslot', $slot, 'node', $both[1]), 'OK', 'the former owner gives it up');
}

# What is answered with OK is in the file, whatever happens then.
my $alone = start_shoal();
my @alone = (port => $alone->{port}, directory => $alone->{directory}, arguments => [@clustered]);
for my $case (['addslots 1 2 3', 'connected 1-3'], ['delslots 2', 'connected 1 3'],
    ['bumpepoch', 'master - 0 0 1 connected'], ['addslotsrange 100 200', 'connected 1 3 100-200'],
    ['flushslots', 'connected$'], ['reset hard', 'master - 0 0 0 connected$'],
    ['set-config-epoch 7', 'master - 0 0 7 connected$']) {
    my ($words, $pattern) = @$case;
    like(cli($alone, 'cluster', split / /, $words), qr/^(?:OK|BUMPED \d)$/, "cluster $words");
    kill_server($alone);
    $alone = start_server(@alone);
    like(cli($alone, 'cluster', 'nodes'), qr/$pattern/, "$words: kept behind kill -9");
}
is(cli($alone, { input => "multi\ncluster addslots 1\ncluster addslots 1\ncluster bumpepoch\nping\nexec\n" }),
    join("\n", 'OK', ('QUEUED') x 4, 'OK', 'ERR Slot 1 is already busy', '', 'STILL 7', 'PONG'),
    'a transaction of changes answers in its order');

# Where the file cannot be written the answer says so; the change is in effect, and saved later.
my $new = "$alone->{directory}/nodes.conf.tmp";
mkdir $new or die "$new: $!";
like(cli($alone, 'cluster', 'addslots', 2), qr/^ERR error saving the cluster node config: /, 'an error says so');
like(cli($alone, 'cluster', 'nodes'), qr/connected 1-2$/, 'the change is in effect');
is(cli($alone, 'ping'), 'PONG', 'nothing else waits');
is(cli($alone, { input => "cluster addslots 5\nping\n" }) =~ /^ERR error saving .*\n\n?PONG$/ ? 1 : 0, 1,
    'the next command of the connection is answered behind it');
rmdir $new or die "$new: $!";
is(cli($alone, 'cluster', 'addslots', 9), 'OK', 'what follows is saved');
kill_server($alone);
$alone = start_server(@alone);
like(cli($alone, 'cluster', 'nodes'), qr/connected 1-2 5 9$/, 'and what was refused before with it');
stop_server($alone);

# ---- announced, at run time ----

cli($six[1], 'config', 'set', 'cluster-announce-hostname', 'one.example');
ok(wait_for(20, sub { cli($six[2], 'cluster', 'nodes') =~ /,one\.example / }), 'a host name spreads');
cli($six[2], 'config', 'set', 'cluster-preferred-endpoint-type', 'hostname');
like(cli($six[2], 'cluster', 'slots'), qr/one\.example/, 'and clients are told');
cli($six[1], 'config', 'set', 'cluster-announce-port', 4242);
ok(wait_for(20, sub { cli($six[2], 'cluster', 'nodes') =~ /:4242@/ }), 'a port spreads');

done_testing;
