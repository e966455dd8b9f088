# Checks that read the release build's object files through nm: what each room calls, what it
# exports, and that it keeps nothing of its own between calls.
package Tidy::Objects;

use strict;
use warnings;

# Symbols that the compiler adds and nobody calls.
my %IGNORED = map { $_ => 1 } qw(_GLOBAL_OFFSET_TABLE_);

# All symbols of a room: a list of hashes with object, name, class (nm's letter) and section.
sub symbols
{
    my ($tree, $room) = @_;
    my ($name) = $room =~ m{([^/]+)$};
    my @objects = sort glob($tree->build . "/$room/CMakeFiles/shoal-$name.dir/*.o");
    my @symbols;
    for my $object (@objects) {
        open my $nm, '-|', 'nm', '--format=sysv', $object or die "nm: $!";
        while (my $line = <$nm>) {
            my @fields = map { s/^\s+|\s+$//gr } split /\|/, $line, -1;
            next unless @fields == 7;
            push @symbols, {
                object => $object =~ s{.*/}{}r, name => $fields[0], class => $fields[2],
                section => $fields[6],
            };
        }
        close $nm or die "nm failed on $object\n";
    }
    return @symbols;
}

# The rooms of the engine that docs/LAYERS names and that have objects, with their symbols.
sub rooms
{
    my ($tree) = @_;
    my %layers = $tree->table('docs/LAYERS');
    my %rooms;
    for my $room (grep { m{^engine/} && $_ ne 'engine/include' } keys %layers) {
        my @symbols = symbols($tree, $room);
        $rooms{$room} = \@symbols if @symbols;
    }
    die "no objects of any room below " . $tree->build . "\n" unless %rooms;
    return (\%rooms, \%layers);
}

# Every undefined symbol comes from a room below or from docs/SYMBOLS.
sub undefined
{
    my ($tree) = @_;
    my ($rooms, $layers) = rooms($tree);
    my %allowed = $tree->table('docs/SYMBOLS');
    my %defined;
    for my $room (keys %$rooms) {
        $defined{ $_->{name} }{$room} = 1 for grep { $_->{class} =~ /^[A-TV-Z]$/ } @{ $rooms->{$room} };
    }
    my @complaints;
    for my $room (sort keys %$rooms) {
        my %ok = map { $_ => 1 } @{ $allowed{every} // [] }, @{ $allowed{$room} // [] };
        my @reachable = ($room, grep { m{^engine/} } @{ $layers->{$room} });
        for my $symbol (grep { $_->{class} =~ /^[Uw]$/ } @{ $rooms->{$room} }) {
            next if $IGNORED{ $symbol->{name} } || $ok{ $symbol->{name} };
            next if grep { $defined{ $symbol->{name} }{$_} } @reachable;
            push @complaints, "$room: $symbol->{object} needs $symbol->{name}, which no room "
                . "below defines and docs/SYMBOLS does not allow";
        }
    }
    return @complaints;
}

# No room has a variable: no bss, no data but constant tables that hold addresses.
sub variables
{
    my ($tree) = @_;
    my ($rooms) = rooms($tree);
    my @complaints;
    for my $room (sort keys %$rooms) {
        for my $symbol (@{ $rooms->{$room} }) {
            my $section = $symbol->{section};
            next unless $section =~ /^(\.t?bss|\.t?data|\*COM\*)/ || $symbol->{class} eq 'C';
            next if $section =~ /^\.data\.rel\.ro/;
            push @complaints, "$room: $symbol->{object} has the variable $symbol->{name} in $section";
        }
    }
    return @complaints;
}

# Everything that a room exports begins with shoal_.
sub exported
{
    my ($tree) = @_;
    my ($rooms) = rooms($tree);
    my @complaints;
    for my $room (sort keys %$rooms) {
        push @complaints, map { "$room: $_->{object} exports $_->{name}" }
            grep { $_->{class} =~ /^[A-TV-Z]$/ && $_->{name} !~ /^shoal_/ } @{ $rooms->{$room} };
    }
    return @complaints;
}

1;
