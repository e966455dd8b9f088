# The check that the pages of docs/ which are made from .def tables are what the tables say.
package Tidy::Tables;

use strict;
use warnings;
use File::Temp qw(tempdir);

# Lets the release build's generator write the pages and compares each with the one in docs/.
sub tables
{
    my ($tree) = @_;
    my $folder = tempdir(CLEANUP => 1);
    system($tree->build . '/bin/shoal-tables', $folder) == 0 or die "shoal-tables failed\n";
    my @complaints;
    for my $made (sort glob "$folder/*") {
        my ($page) = $made =~ m{([^/]+)$};
        my $kept = $tree->root . "/docs/$page";
        if (!-e $kept) {
            push @complaints, "docs/$page is missing; ./dev docs writes it";
        } elsif (_read($made) ne _read($kept)) {
            push @complaints, "docs/$page differs from its tables; ./dev docs writes it";
        }
    }
    return @complaints;
}

sub _read
{
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    local $/;
    return scalar <$in>;
}

1;
