#!/usr/bin/perl
# The style and the layers, checked on the whole tree: one test a check, the complaints as notes.
# Needs a release build for the checks of objects; SHOAL_BUILD names it (build/release if unset).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Tidy::Checks;
use Tidy::Tree;

my $root = "$FindBin::Bin/../..";
my $tree = Tidy::Tree->new(root => $root, build => $ENV{SHOAL_BUILD} // "$root/build/release");

for my $check (Tidy::Checks::all()) {
    my @complaints = $check->{run}->($tree);
    ok(!@complaints, $check->{name}) or diag(shown(@complaints));
}

my %density = Tidy::Text::assertion_density($tree);
for my $room (sort keys %density) {
    my ($functions, $assertions) = @{ $density{$room} };
    note(sprintf '%-16s %5.2f assertions a function (%d in %d)', $room,
        $functions ? $assertions / $functions : 0, $assertions, $functions);
}
done_testing();

# The complaints as text, a screenful of them.
sub shown
{
    my (@complaints) = @_;
    my $hidden = @complaints - 40;
    return join "\n", @complaints if $hidden <= 0;
    return join "\n", @complaints[0 .. 39], "... and $hidden more";
}
