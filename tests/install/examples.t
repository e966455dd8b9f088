#!/usr/bin/perl
# The programs of examples/: built in the tree, and once more against the installed library as C11 with
# all warnings, they print what stands beside them.
use strict;
use warnings;
use File::Basename;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root   = "$FindBin::Bin/../..";
my $build  = $ENV{SHOAL_BUILD} // "$root/build/release";
my $prefix = tempdir(CLEANUP => 1);
my $work   = tempdir(CLEANUP => 1);

# The output of a shell command, and whether it succeeded; its complaints become notes.
sub output_of
{
    my ($command) = @_;
    my $output = `( $command ) 2>"$work/complaints"`;
    return $output if $? == 0;
    diag("$command\n" . `cat "$work/complaints"`);
    return undef;
}

sub content
{
    my ($path) = @_;
    open my $in, '<', $path or return "(no $path)";
    local $/;
    return scalar <$in>;
}

my @sources = sort glob("$root/examples/*.c");
cmp_ok(scalar @sources, '>=', 5, 'there are some examples');
ok(defined output_of("cmake --install '$build' --prefix '$prefix' >/dev/null"), 'the library installs');
my ($pc) = grep { -e "$_/shoal.pc" } glob("$prefix/lib*/pkgconfig"), glob("$prefix/lib/*/pkgconfig");
my $flags     = 'PKG_CONFIG_PATH=' . ($pc // 'none');
my $libraries = dirname($pc // 'none');

for my $source (@sources) {
    my ($name) = $source =~ m{([^/]+)\.c$};
    my $want = content("$root/examples/$name.out");
    is(output_of("timeout 60 '$build/examples/$name'"), $want, "$name prints what it should");
    my $built = output_of("cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -pthread "
        . "'$source' -o '$work/$name' \$($flags pkg-config --cflags --libs shoal)");
    ok(defined $built, "$name builds with the installed library");
    is(output_of("LD_LIBRARY_PATH='$libraries' timeout 60 '$work/$name'"), $want,
        "and $name prints the same there");
}
done_testing();
