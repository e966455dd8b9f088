# The source tree as the checks see it: which files there are, their lines with and without
# comments and strings, and the functions in them. Knows C only as far as the style makes it
# regular: a function's braces stand in the first column.
package Tidy::Tree;

use strict;
use warnings;
use File::Find;

# Folders whose C files are checked, below the root.
our @FOLDERS = qw(engine embed node backup sim viz labs bench tests docs);

sub new
{
    my ($class, %options) = @_;
    my $self = bless { root => $options{root}, build => $options{build} }, $class;
    $self->{files} = [$self->_find];
    return $self;
}

sub root { return $_[0]{root} }

# Where the release build is, or undef when there is none.
sub build { return $_[0]{build} }

# Paths of all C sources, headers and tables, relative to the root, sorted.
sub files { return @{ $_[0]{files} } }

sub _find
{
    my ($self) = @_;
    my @found;
    for my $folder (grep { -d "$self->{root}/$_" } @FOLDERS) {
        find({ no_chdir => 1, wanted => sub {
            my $path = substr($File::Find::name, length("$self->{root}/"));
            # The fixture is a tree of its own, with faults planted on purpose.
            return if $path =~ m{^tests/tidy/fixture/} || $path =~ m{/node_modules/};
            push @found, $path if -f && $path =~ /\.(c|h|def)$/;
        } }, "$self->{root}/$folder");
    }
    return sort @found;
}

# The room of a path: "engine/base", "engine/include", "node", "viz/model", "tests", ...
sub room_of
{
    my ($path) = @_;
    return $1 if $path =~ m{^(engine/[^/]+)/};
    return $1 if $path =~ m{^(viz/[^/]+)/};
    return $1 if $path =~ m{^([^/]+)/};
    return '';
}

# The text of a file.
sub text
{
    my ($self, $path) = @_;
    return $self->{text}{$path} //= do {
        open my $in, '<', "$self->{root}/$path" or die "$path: $!";
        local $/;
        <$in> // '';
    };
}

sub lines
{
    my ($self, $path) = @_;
    return split /\n/, $self->text($path), -1;
}

# The text with comments, strings and characters blanked out, at the same places.
sub code
{
    my ($self, $path) = @_;
    return $self->{code}{$path} //= _blank($self->text($path), qr{"(?:[^"\\\n]|\\.)*"}s);
}

# As code, but strings stay: for #include lines.
sub code_with_strings
{
    my ($self, $path) = @_;
    return _blank($self->text($path), qr{(?!)});
}

sub _blank
{
    my ($text, $string) = @_;
    $text =~ s{(/\*.*?\*/|//[^\n]*)|($string)|('(?:[^'\\\n]|\\.)+')|("(?:[^"\\\n]|\\.)*")}
              { defined $4 ? $4 : _spaces($1 // $2 // $3) }gse;
    return $text;
}

# Blanks of the same shape.
sub _spaces
{
    my ($text) = @_;
    $text =~ s/[^\n]/ /g;
    return $text;
}

# The functions defined in a C file or header, as hashes: name, line (of the signature), length
# in lines, parameters (how many), above (the comment directly above), body (blanked code).
sub functions
{
    my ($self, $path) = @_;
    return @{ $self->{functions}{$path} //= [$self->_functions($path)] };
}

sub _functions
{
    my ($self, $path) = @_;
    my @code = split /\n/, $self->code($path), -1;
    my @found;
    for my $open (1 .. $#code) {
        next unless $code[$open] =~ /^\{\s*$/;
        my $close = $open;
        $close++ until $close >= $#code || $code[$close] =~ /^\}/;
        my $start = $open;
        $start-- while $start > 0 && $code[ $start - 1 ] =~ /\S/
            && $code[ $start - 1 ] !~ /[;}]\s*$/ && $code[ $start - 1 ] !~ /^#/;
        my $signature = join ' ', @code[ $start .. $open - 1 ];
        my ($name, $parameters) = _signature($signature) or next;
        push @found, {
            name       => $name,
            line       => $start + 1,
            length     => $close - $start + 1,
            parameters => $parameters,
            static     => scalar($signature =~ /\bstatic\b/),
            above      => $self->_comment_above($path, $start),
            body       => join("\n", @code[ $open .. $close ]),
        };
    }
    return @found;
}

# Name and number of parameters of a signature.
sub _signature
{
    my ($signature) = @_;
    $signature =~ s/__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)//g;
    $signature =~ /(\w+)\s*\((.*)\)\s*$/s or return;
    my ($name, $list) = ($1, $2);
    1 while $list =~ s/\([^()]*\)//g;
    return ($name, 0) if $list =~ /^\s*(void)?\s*$/;
    my $commas = () = $list =~ /,/g;
    return ($name, $commas + 1);
}

# The comment that ends on the line before index $start, or ''.
sub _comment_above
{
    my ($self, $path, $start) = @_;
    my @lines = $self->lines($path);
    return '' if $start == 0 || $lines[ $start - 1 ] !~ m{\*/\s*$};
    my $first = $start - 1;
    $first-- while $first > 0 && $lines[$first] !~ m{/\*};
    return join "\n", @lines[ $first .. $start - 1 ];
}

# A table of docs/: lines "name: word word", # comments; a line that starts with blanks
# continues the one before. Returns a hash from name to a list.
sub table
{
    my ($self, $path) = @_;
    my (%table, $name);
    for my $line ($self->lines($path)) {
        $line =~ s/#.*//;
        next unless $line =~ /\S/;
        $name = $1 if $line =~ s/^(\S+):\s*//;
        die "$path: a line without a name\n" unless defined $name;
        push @{ $table{$name} }, split ' ', $line;
    }
    return %table;
}

1;
