# Checks that read source text alone. Each takes the tree and returns complaints, one a string
# "path:line: what is wrong".
package Tidy::Text;

use strict;
use warnings;

use constant {
    FUNCTION_LINES => 70,
    FILE_LINES     => 800,
    HEADER_LINES   => 400,
    LINE_COLUMNS   => 100,
    PARAMETERS     => 5,
};

# Rooms in which shared words are read and written by base/atomic.h's names only.
my $ENGINE = qr{^engine/};

# ---- layers ----

# Every include is allowed by docs/LAYERS.
sub layers
{
    my ($tree) = @_;
    my %layers = $tree->table('docs/LAYERS');
    my @complaints;
    for my $path ($tree->files) {
        my $room = Tidy::Tree::room_of($path);
        my $line = 0;
        for my $code (split /\n/, $tree->code_with_strings($path)) {
            $line++;
            my ($target) = $code =~ /^\s*#\s*include\s+(["<][^">]+[">])/ or next;
            my $allowed = $layers{$room};
            if (!$allowed) {
                push @complaints, "$path:$line: docs/LAYERS does not know the room $room";
            } elsif (!_may_include($tree, $path, $target, $allowed, \%layers)) {
                push @complaints, "$path:$line: $room may not include $target (docs/LAYERS)";
            }
        }
    }
    return @complaints;
}

# Is the include `target` of the file `path` covered by the list `allowed`?
sub _may_include
{
    my ($tree, $path, $target, $allowed, $layers) = @_;
    my ($quote, $name) = $target =~ /^(["<])(.*)[">]$/;
    if ($quote eq '"') {
        my $home = _home_of($tree, $path, $name);
        return 1 if $home eq Tidy::Tree::room_of($path);
        return scalar grep { $_ eq $home } @$allowed;
    }
    for my $word (@$allowed) {
        my @patterns = $word =~ /^<(.*)>$/ ? ($1)
            : $word =~ /^\@/ ? map { s/^<|>$//gr } @{ $layers->{$word} // [] } : ();
        for my $pattern (@patterns) {
            my $regex = join '.*', map { quotemeta } split /\*/, $pattern, -1;
            return 1 if $name =~ /^$regex$/;
        }
    }
    return 0;
}

# The room in which a quoted include lies: beside the file, below engine/, or below the root.
sub _home_of
{
    my ($tree, $path, $name) = @_;
    my ($folder) = $path =~ m{^(.*)/};
    for my $candidate ("$folder/$name", "engine/$name", $name, "tests/$name") {
        return Tidy::Tree::room_of($candidate) if -e $tree->root . "/$candidate";
    }
    return "nowhere ($name)";
}

# ---- sizes ----

# Functions, files, lines and parameter lists keep their limits.
sub sizes
{
    my ($tree) = @_;
    my @complaints;
    for my $path ($tree->files) {
        my @lines = $tree->lines($path);
        pop @lines if @lines && $lines[-1] eq '';
        my $limit = $path =~ /\.h$/ ? HEADER_LINES : FILE_LINES;
        my $count = @lines;
        push @complaints, "$path:$limit: $count lines, at most $limit"
            if $count > $limit && $path !~ /\.def$/;
        push @complaints, _long_lines($path, @lines) unless $path =~ /\.def$/;
        push @complaints, _long_functions($tree, $path);
    }
    return @complaints;
}

sub _long_lines
{
    my ($path, @lines) = @_;
    my @complaints;
    for my $i (0 .. $#lines) {
        my $columns = length(_characters($lines[$i]));
        push @complaints, sprintf('%s:%d: %d columns, at most %d', $path, $i + 1, $columns,
            LINE_COLUMNS) if $columns > LINE_COLUMNS;
    }
    return @complaints;
}

# UTF-8 text with one character for each that is shown.
sub _characters
{
    my ($line) = @_;
    utf8::decode($line);
    return $line;
}

sub _long_functions
{
    my ($tree, $path) = @_;
    my @complaints;
    for my $f ($tree->functions($path)) {
        # A pure switch of one-line cases may be longer, and says so in the comment above it.
        push @complaints, "$path:$f->{line}: $f->{name} has $f->{length} lines, at most "
            . FUNCTION_LINES if $f->{length} > FUNCTION_LINES && $f->{above} !~ /pure switch/i;
        push @complaints, "$path:$f->{line}: $f->{name} has $f->{parameters} parameters, at most "
            . PARAMETERS if $f->{parameters} > PARAMETERS;
    }
    return @complaints;
}

# ---- words ----

# Words that may not be committed, and the ones that need an issue number.
sub words
{
    my ($tree) = @_;
    my @complaints;
    for my $path ($tree->files) {
        my $line = 0;
        for my $text ($tree->lines($path)) {
            $line++;
            push @complaints, "$path:$line: FIXME" if $text =~ /\bFIXME\b/;
            push @complaints, "$path:$line: TODO without an issue number"
                if $text =~ /\bTODO\b/ && $text !~ /\bTODO \(#\d+\)/;
        }
        $line = 0;
        for my $code (split /\n/, $tree->code($path)) {
            $line++;
            # Inline assembly needs the word to stay where it is; nothing else does.
            push @complaints, "$path:$line: volatile"
                if $code =~ /\bvolatile\b/ && $code !~ /\b(__asm__|asm)\b/;
        }
    }
    return @complaints;
}

# ---- orders ----

# No atomic operation leaves its order to the default, and the engine uses base/atomic.h's names.
sub orders
{
    my ($tree) = @_;
    my $operation = qr/(?:load|store|exchange|compare_exchange_\w+?|fetch_\w+?|flag_\w+?)/;
    my @complaints;
    for my $path ($tree->files) {
        my $line = 0;
        for my $code (split /\n/, $tree->code($path)) {
            $line++;
            push @complaints, "$path:$line: $1 has the default order; name one"
                if $code =~ /\b(atomic_$operation)\s*\(/ && $1 !~ /_explicit$/;
            push @complaints, "$path:$line: $1 bypasses the C11 memory model"
                if $code =~ /\b(__sync_\w+)/;
            push @complaints, "$path:$line: $1 instead of base/atomic.h's names"
                if $path =~ $ENGINE && $path ne 'engine/base/atomic.h'
                && $code =~ /\b(atomic_\w+_explicit|memory_order_\w+|__atomic_\w+)/;
        }
    }
    return @complaints;
}

# ---- pairs ----

# Each name behind "pair:" stands at two places at least: a release and its acquire.
sub pairs
{
    my ($tree) = @_;
    my (%count, %place);
    for my $path (grep { !m{^tests/} } $tree->files) {
        my $line = 0;
        for my $text ($tree->lines($path)) {
            $line++;
            while ($text =~ /\bpair:\s*([a-z0-9_.]*[a-z0-9_])/g) {
                $count{$1}++;
                $place{$1} //= "$path:$line";
            }
        }
    }
    return map { "$place{$_}: the pair $_ is named once only" }
        grep { $count{$_} < 2 } sort keys %count;
}

# ---- shared words ----

# Every atomic word of the engine and the node stands in the tables of docs/CONCURRENCY.md.
sub shared
{
    my ($tree) = @_;
    my (%listed, @complaints);
    for my $row (grep { /^\| / } $tree->lines('docs/CONCURRENCY.md')) {
        my ($words, $in) = (split /\s*\|\s*/, $row)[1, 2];
        $listed{$_} .= " $in" for $words =~ /`(\w+)`/g;
    }
    for my $path (grep { m{^(engine|node)/} && !m{base/atomic\.h$} } $tree->files) {
        my ($place) = $path =~ m{([^/]+/[^/]+)$};
        my $line = 0;
        for my $code (split /\n/, $tree->code($path)) {
            $line++;
            # A member: not a pointer to a word, not a parameter, not a local variable.
            my ($names) = $code =~ /^\s+(?:_Alignas\([^)]*\) )?_Atomic(?:\([^;]*\)|\s+\w+)\s+(\w[^*()=]*);/
                or next;
            for my $name ($names =~ /(\w+)(?:\[[^\]]*\])?/g) {
                push @complaints, "$path:$line: $name is not in docs/CONCURRENCY.md"
                    unless ($listed{$name} // '') =~ /(^|[ ,])\Q$place\E($|[ ,])/;
            }
        }
    }
    return @complaints;
}

# ---- documentation of headers ----

# Every declaration of a header has a comment above it, or at its end. In the headers inside of rooms,
# declarations on adjacent lines may share the comment above the first.
sub documented
{
    my ($tree) = @_;
    my @complaints;
    for my $path (grep { /\.h$/ && m{^(engine|node|backup|sim|viz|embed)/} } $tree->files) {
        push @complaints, "$path:1: no paragraph that says what the file is for"
            unless $tree->text($path) =~ m{\A\s*/\*};
        push @complaints, _undocumented($tree, $path);
    }
    for my $path (grep { /\.c$/ } $tree->files) {
        push @complaints, "$path:1: no paragraph that says what the file is for"
            unless $tree->text($path) =~ m{\A\s*/\*};
    }
    return @complaints;
}

sub _undocumented
{
    my ($tree, $path) = @_;
    my @lines = $tree->lines($path);
    my @code = split /\n/, $tree->code($path), -1;
    my ($depth, $inside, $continued, %seen, @complaints) = (0, 0, 0);
    for my $i (0 .. $#code) {
        my $code = $code[$i];
        if ($continued || $code =~ /^\s*#/) {
            my $define = !$continued && $code =~ /^\s*#\s*define\s+(\w+)/ ? $1 : '';
            $continued = $code =~ /\\\s*$/;
            next unless $define && $depth == 0;
            next if $define =~ /_H$/ || $seen{$define}++ || _has_comment(\@lines, $i)
                || _in_run($path, \@code, $i);
            push @complaints, sprintf('%s:%d: %s is not documented', $path, $i + 1, $define);
            next;
        }
        next if $code !~ /\S/ || $code =~ /^extern\b.*\{\s*$/ || $code =~ /^\}\s*$/ && $depth == 0;
        if ($depth == 0 && !$inside && $code !~ /^\s*_Static_assert|^\s*SHOAL_BYTES__PAIR/) {
            push @complaints, sprintf('%s:%d: not documented: %s', $path, $i + 1, $code)
                unless _has_comment(\@lines, $i) || _in_run($path, \@code, $i)
                || $code =~ /^typedef (struct|union) (\w+) \2;/;
        }
        $depth += ($code =~ tr/{//) - ($code =~ tr/}//);
        $inside = $depth > 0 || $code !~ /[;}]\s*$/;
    }
    return @complaints;
}

sub _has_comment
{
    my ($lines, $i) = @_;
    return 1 if $lines->[$i] =~ m{/\*.*\*/\s*$};
    return $i > 0 && $lines->[ $i - 1 ] =~ m{\*/\s*$};
}

# Does this declaration directly follow another, with which it shares the comment?
sub _in_run
{
    my ($path, $code, $i) = @_;
    return 0 if $i == 0;
    my $before = $code->[ $i - 1 ];
    return $before =~ /^\s*#\s*(define|if|else)\b/ if $path =~ m{^engine/include/};
    return $before =~ /\S/;
}

# ---- names ----

# Names with two underscores stay inside their room.
sub room_names
{
    my ($tree) = @_;
    my %rooms;
    for my $path (grep { m{^engine/} && !/\.def$/ } $tree->files) {
        my $code = $tree->code($path);
        $rooms{$1}{ Tidy::Tree::room_of($path) } = $path
            while $code =~ /\b(shoal_[a-z0-9_]*[a-z0-9]__[a-z0-9_]+)\b/g;
    }
    return map { "$_ is used in " . join(' and ', sort keys %{ $rooms{$_} }) }
        grep { keys %{ $rooms{$_} } > 1 } sort keys %rooms;
}

# ---- assertions ----

# How many assertions a function has on average, by room: a hash from room to [functions,
# assertions]. tidy.t prints it.
sub assertion_density
{
    my ($tree) = @_;
    my %density;
    for my $path (grep { m{^engine/.*\.c$} } $tree->files) {
        my $entry = $density{ Tidy::Tree::room_of($path) } //= [0, 0];
        $entry->[0] += () = $tree->functions($path);
        $entry->[1] += () = $tree->code($path) =~ /\b(SHOAL_ASSERT|SHOAL_DEBUG_ASSERT|_Static_assert)\b/g;
    }
    return %density;
}

# Least assertions a function on average: one everywhere, two where a mistake costs data.
my %LEAST = map { $_ => 2 } map { "engine/$_" } qw(store cluster repl persist);

# Every room asserts as much as it has to.
sub density
{
    my ($tree) = @_;
    my %density = assertion_density($tree);
    my @complaints;
    for my $room (sort keys %density) {
        my ($functions, $assertions) = @{ $density{$room} };
        my $least = $LEAST{$room} // 1;
        push @complaints, sprintf("%s: %d assertions in %d functions, at least %d each", $room,
            $assertions, $functions, $least) if $assertions < $least * $functions;
    }
    return @complaints;
}

1;
