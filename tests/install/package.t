#!/usr/bin/perl
# Shoal as others use it: installed below a prefix, found by pkg-config and by find_package, built
# into a C program that stands outside of the tree, and included from C++.
use strict;
use warnings;
use File::Basename;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $here   = $FindBin::Bin;
my $root   = "$here/../..";
my $build  = $ENV{SHOAL_BUILD} // "$root/build/release";
my $prefix = tempdir(CLEANUP => 1);
my $work   = tempdir(CLEANUP => 1);

# Runs a shell command; true when it succeeded. Its output becomes notes when it did not.
sub succeeds
{
    my ($command, $name) = @_;
    my $output = `( $command ) 2>&1`;
    ok($? == 0, $name) or diag("$command\n$output");
    return $output;
}

succeeds("cmake --install '$build' --prefix '$prefix'", 'cmake --install succeeds');

my ($pc)       = grep { -e "$_/shoal.pc" } glob("$prefix/lib*/pkgconfig"), glob("$prefix/lib/*/pkgconfig");
my $libraries  = dirname($pc // "none");
my @public     = map { basename($_) } glob("$root/engine/include/shoal/*");
my @installed  = map { basename($_) } glob("$prefix/include/shoal/*");
is_deeply([sort @installed], [sort @public], 'exactly the public headers and tables are installed');
is_deeply([map { basename($_) } glob("$prefix/include/*")], ['shoal'], 'and nothing beside them');

my @headers = grep { /\.h$/ } @public;
for my $header (@headers) {
    succeeds("echo '#include <shoal/$header>' | cc -std=c11 -Wall -Wextra -Werror "
        . "-I'$prefix/include' -fsyntax-only -x c -", "$header compiles alone as C");
}
open my $all, '>', "$work/all.cpp" or die $!;
print $all "#include <shoal/$_>\n" for @headers;
print $all "int main() { return shoal_err_text(0) == nullptr; }\n";
close $all;

my $flags = "PKG_CONFIG_PATH='$pc'";
my $run   = "LD_LIBRARY_PATH='$libraries'";
succeeds("g++ -std=c++17 -Wall -Wextra -Werror \$($flags pkg-config --cflags shoal) "
    . "'$work/all.cpp' -o '$work/all' \$($flags pkg-config --libs shoal) && $run '$work/all'",
    'every public header serves a C++ program');
succeeds("cc -std=c11 -Wall -Wextra -Werror \$($flags pkg-config --cflags shoal) "
    . "'$here/consumer/consumer.c' -o '$work/consumer' \$($flags pkg-config --libs shoal)",
    'a program builds with what pkg-config says');
like(succeeds("$run '$work/consumer'", 'and runs'), qr/^all is well$/m, 'and says so');
is(`$flags pkg-config --modversion shoal`, version() . "\n", 'pkg-config tells the version');

succeeds("cmake -G Ninja -S '$here/consumer' -B '$work/build' -DCMAKE_PREFIX_PATH='$prefix' "
    . "&& cmake --build '$work/build'", 'a project builds with find_package');
for my $kind (qw(shared static)) {
    like(succeeds("'$work/build/consumer-$kind'", "its program with the $kind library runs"),
        qr/^all is well$/m, "and says so ($kind)");
}

my @foreign = grep { /\S/ && !/ shoal_/ } split /\n/, `nm -D --defined-only '$libraries/libshoal.so'`;
is("@foreign", '', 'the shared library exports names that begin with shoal_ only');

# The version of the project, as CMakeLists.txt states it.
sub version
{
    open my $in, '<', "$root/CMakeLists.txt" or die $!;
    local $/;
    return <$in> =~ /project\(shoal VERSION (\S+)/ ? $1 : 'unknown';
}

done_testing();
