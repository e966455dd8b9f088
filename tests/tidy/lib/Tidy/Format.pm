# The check that clang-format agrees with every file.
package Tidy::Format;

use strict;
use warnings;

# clang-format's version matters: it is pinned to the one of Debian 12.
sub _tool
{
    for my $tool (qw(clang-format-14 clang-format)) {
        return $tool if grep { -x "$_/$tool" } split /:/, $ENV{PATH};
    }
    die "clang-format is not installed\n";
}

sub format
{
    my ($tree) = @_;
    my @paths = map { $tree->root . "/$_" } grep { !/\.def$/ } $tree->files;
    open my $out, '-|', _tool() . ' --dry-run --ferror-limit=1 '
        . join(' ', map { "'$_'" } @paths) . ' 2>&1' or die "clang-format: $!";
    my @complaints;
    while (my $line = <$out>) {
        push @complaints, "$1: clang-format would change it"
            if $line =~ /^(.*?:\d+):\d+: (warning|error): code should be clang-formatted/;
    }
    close $out;
    my %seen;
    return grep { my ($path) = /^([^:]+)/; !$seen{$path}++ } @complaints;
}

1;
