#!/usr/bin/perl
# ./dev serve: six real servers that redis-cli makes a cluster of, and nothing left behind at the end.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

# Six ports, with bus ports 10000 above: away from those that people use, from those of the other
# tests, and from those that the system gives to outgoing connections.
my $first = 22300;
my $root  = "$FindBin::Bin/../..";
my $temp  = tempdir(CLEANUP => 1);

# True once `check` holds; gives it a minute.
sub eventually
{
    my ($check) = @_;
    for (1 .. 300) {
        return 1 if $check->();
        select undef, undef, undef, 0.2;
    }
    return 0;
}

sub output
{
    open my $in, '<', "$temp/output" or return '';
    local $/;
    return <$in> // '';
}

my $pid = fork // die "fork: $!";
if ($pid == 0) {
    $ENV{TMPDIR} = $temp;
    open STDOUT, '>', "$temp/output" or die $!;
    open STDERR, '>&', \*STDOUT or die $!;
    exec "$root/dev", 'serve', $first or die "exec: $!";
}

ok(eventually(sub { output() =~ /serving/ }), 'it says when it serves') or diag(output());
my $last = $first + 5;
my $info = `redis-cli -p $first cluster info`;
like($info, qr/cluster_state:ok/, 'the cluster is up');
like($info, qr/cluster_size:6/, 'all six own slots');
is(`redis-cli -c -p $first set user:1 one`, "OK\n", 'a write goes to whoever owns its slot');
is(`redis-cli -c -p $last get user:1`, "one\n", 'and is found from any node');

kill 'TERM', $pid;
waitpid $pid, 0;
is($?, 0, 'it ends when told to');
my @left = grep { $_ ne "$temp/output" } glob("$temp/*");
is("@left", '', 'its files are gone');
isnt(system("redis-cli -p $first ping >/dev/null 2>&1"), 0, 'and so are its servers');

done_testing();
