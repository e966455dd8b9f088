#!/usr/bin/perl
# Makes manual pages of the public headers, which are written to be read alone: one page for each
# function, made of its comment, its declaration and the types in it, and one for each header, made of
# its first paragraph and everything it declares.
#
#   pages.pl VERSION FOLDER HEADER...      writes FOLDER/NAME.3 for each
#
# It relies on how headers are written here (docs/STYLE.md): a comment above each declaration, which
# begins in the first column. Indented lines of a comment are code.
use strict;
use warnings;
use File::Basename;

# The date of a page means its form; the text has the version.
use constant DATE => 'November 22, 2026';

# ---- reading ----

# The comment that begins at line $$at, without its stars, as lines; $$at is then behind it.
sub take_comment
{
    my ($lines, $at) = @_;
    my @text;
    while ($$at < @$lines) {
        my $line = $lines->[ $$at++ ];
        my $last = $line =~ s{\s*\*/\s*$}{};
        $line =~ s{^\s*/?\*+ ?}{};
        push @text, $line;
        last if $last;
    }
    shift @text while @text && $text[0] !~ /\S/;
    pop @text while @text && $text[-1] !~ /\S/;
    return @text;
}

# The declaration that begins at line $$at, as lines; $$at is then behind it.
sub take_declaration
{
    my ($lines, $at) = @_;
    my ($depth, @code) = (0);
    while ($$at < @$lines) {
        my $line = $lines->[ $$at++ ];
        push @code, $line;
        my $bare = $line =~ s{/\*.*?(\*/|$)}{}gr;
        if ($code[0] =~ /^#/) {
            last unless $line =~ /\\$/;
            next;
        }
        $depth += ($bare =~ tr/{//) - ($bare =~ tr/}//);
        last if $depth == 0 && $bare =~ /[;}]\s*$/;
    }
    return @code;
}

# What the code of a declaration declares: its kind and its name.
sub named
{
    my ($code) = @_;
    return ('macro',    $1) if $code =~ /^#\s*define\s+(\w+)/;
    return ('callback', $1) if $code =~ /^typedef\s[^;{]*\(\*\s*(\w+)\)/;
    return ('type',     $1) if $code =~ /^typedef\b.*?(\w+)\s*;\s*$/s;
    return ('function', $1) if $code =~ /^[^=]*?\b(shoal_\w+)\s*\(/ && $code !~ /^enum/;
    return ('other',    '');
}

# One header: its title, its paragraphs, and its declarations in order.
sub read_header
{
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    chomp(my @lines = <$in>);
    my $at   = 0;
    my @top  = take_comment(\@lines, \$at);
    shift @top while @top && $top[0] =~ /^SPDX|^\s*$/;
    my %header = (path => $path, file => 'shoal/' . basename($path), declarations => []);
    my @comment;
    while ($at < @lines) {
        my $line = $lines[$at];
        if ($line =~ m{^/\*}) {
            @comment = take_comment(\@lines, \$at);
        } elsif (@comment && $line =~ /\S/ && $line !~ /^#\s*(if|endif|include|else)/) {
            my @code = take_declaration(\@lines, \$at);
            my ($kind, $name) = named(join "\n", @code);
            push @{ $header{declarations} },
                { kind => $kind, name => $name, code => [@code], comment => [@comment] };
            @comment = ();
        } else {
            @comment = ();
            $at++;
        }
    }
    # "shoal/cache.h - the store as a library: a cache of ..."
    my $joined = join "\n", @top;
    $joined =~ s/^\S+ - //;
    ($header{title}) = $joined =~ /^(.*?)[:.](?=\s)/s;
    $header{title} =~ s/\s+/ /g;
    $header{text} = [split /\n/, ucfirst $joined, -1];
    return \%header;
}

# ---- writing ----

# Text that is not a request, whatever it begins with.
sub plain
{
    my ($text) = @_;
    $text =~ s/\\/\\e/g;
    $text =~ s/^([.'])/\\&$1/;
    return $text;
}

# Lines of code as a display.
sub display
{
    return join '', ".Bd -literal -offset indent\n", map({ plain($_) . "\n" } @_), ".Ed\n";
}

# The lines of a comment as paragraphs and displays, each sentence on a line of its own.
sub paragraphs
{
    my ($out, $text, @code) = ('', '');
    my $flush_text = sub {
        return unless $text =~ /\S/;
        $text =~ s/^\s+|\s+$//g;
        $out .= ".Pp\n" if $out ne '';
        $out .= plain($_) . "\n" for split /(?<=[.:?!]) +(?=[A-Z])/, $text;
        $text = '';
    };
    my $flush_code = sub {
        pop @code while @code && $code[-1] !~ /\S/;
        return unless @code;
        my ($least) = sort { $a <=> $b } map { /^(\s*)\S/ ? length $1 : () } @code;
        $out .= display(map { substr $_, $least < length ? $least : length } @code);
        @code = ();
    };
    for my $line (@_) {
        if ($line =~ /^\s{3,}\S/ || ($line !~ /\S/ && @code)) {
            $flush_text->();
            push @code, $line;
        } elsif ($line =~ /^\s+- (.*)/ || $line =~ /^\s*(R\d .*)/) {
            $flush_code->();
            $flush_text->();
            $text = $line;
        } else {
            $flush_code->();
            $flush_text->() if $line !~ /\S/;
            $text .= "$line ";
        }
    }
    $flush_text->();
    $flush_code->();
    return $out;
}

# The first sentence of a comment, as what stands behind a name.
sub summary
{
    my $text = join ' ', @_;
    $text =~ s/\s+/ /g;
    $text =~ s/(?<=[\w`"')])[.:;](\s.*|$)//;
    return plain(lcfirst $text);
}

sub page
{
    my ($version, $name, $title, $body) = @_;
    return join '', '.\\" Made of a public header by docs/man/pages.pl.', "\n.Dd ", DATE, "\n.Dt ",
        uc $name, " 3\n.Os Shoal $version\n.Sh NAME\n.Nm $name\n.Nd $title\n", $body;
}

# The page of the header that a file is, "shoal/cache.h": shoal-cache.
sub header_page
{
    my ($file) = @_;
    return $file =~ s{/}{-}r =~ s{\.h$}{}r;
}

# Return type, and parameters as a list, of a function's code.
sub signature_of
{
    my ($code, $name) = @_;
    $code =~ s{/\*.*?\*/}{}gs;
    $code =~ s/\s+/ /g;
    $code =~ s/\b(SHOAL_API|SHOAL_MUST_USE|static|inline) //g;
    my ($result, $rest) = $code =~ /^(.*?)\s*\b$name ?\((.*)$/;
    $rest =~ s/\)[^()]*?(__attribute__.*|;.*|\{.*)?$//;
    $result =~ s/\s+$//;
    my @parameters;
    my $depth = 0;
    for my $piece (split /([(),])/, $rest) {
        if ($piece eq ',' && $depth == 0) { push @parameters, ''; next }
        $depth += $piece eq '(' ? 1 : $piece eq ')' ? -1 : 0;
        push @parameters, '' unless @parameters;
        $parameters[-1] .= $piece;
    }
    return ($result, map { s/^\s+|\s+$//gr } @parameters);
}

sub function_page
{
    my ($version, $header, $d, $types) = @_;
    my $code = join "\n", @{ $d->{code} };
    my ($result, @parameters) = signature_of($code, $d->{name});
    my $body = ".Sh LIBRARY\nShoal (libshoal, \\-lshoal)\n.Sh SYNOPSIS\n.In $header->{file}\n"
        . ".Ft \"$result\"\n.Fo $d->{name}\n";
    $body .= ".Fa \"$_\"\n" for @parameters;
    $body .= ".Fc\n.Sh DESCRIPTION\n" . paragraphs(@{ $d->{comment} });
    my %shown;
    for my $word ($code =~ /\b(shoal_\w+)\b/g) {
        my $type = $types->{$word} or next;
        next if $shown{$word}++ || @{ $type->{code} } < 2 && $type->{kind} ne 'callback';
        $body .= ".Ss $word\n" . paragraphs(@{ $type->{comment} }) . display(@{ $type->{code} });
    }
    my $page = header_page($header->{file});
    $body .= ".Sh SEE ALSO\n.Xr shoal 3 ,\n.Xr $page 3\n";
    return page($version, $d->{name}, summary(@{ $d->{comment} }), $body);
}

# The table of errors, where error.def stands beside the header.
sub errors
{
    my ($folder) = @_;
    open my $in, '<', "$folder/error.def" or return '';
    my $list = ".Sh ERRORS\n.Bl -tag -width SHOAL_ERR_NOT_INTEGER\n";
    while (<$in>) {
        next unless /^SHOAL_ERROR\((\w+),\s*(-?\d+),\s*"(.*)"\)/;
        $list .= ".It Dv SHOAL_ERR_$1 ($2)\n" . plain($3) . "\n";
    }
    return "$list.El\n";
}

sub whole_header_page
{
    my ($version, $header) = @_;
    my @functions = grep { $_->{kind} eq 'function' } @{ $header->{declarations} };
    my @others    = grep { $_->{kind} ne 'function' && $_->{name} ne '' } @{ $header->{declarations} };
    my $body = ".Sh LIBRARY\nShoal (libshoal, \\-lshoal)\n.Sh SYNOPSIS\n.In $header->{file}\n"
        . ".Sh DESCRIPTION\n" . paragraphs(@{ $header->{text} });
    if (@functions) {
        $body .= ".Sh FUNCTIONS\n.Bl -tag -width Ds\n";
        $body .= ".It Xr $_->{name} 3\n" . ucfirst(summary(@{ $_->{comment} })) . ".\n" for @functions;
        $body .= ".El\n";
    }
    if (@others) {
        $body .= ".Sh TYPES AND CONSTANTS\n";
        $body .= ".Ss $_->{name}\n" . paragraphs(@{ $_->{comment} }) . display(@{ $_->{code} })
            for @others;
    }
    $body .= errors(dirname $header->{path}) if $header->{file} eq 'shoal/types.h';
    $body .= ".Sh SEE ALSO\n.Xr shoal 3\n";
    return page($version, header_page($header->{file}), plain($header->{title}), $body);
}

# ---- all of it ----

my ($version, $folder, @paths) = @ARGV;
die "usage: pages.pl VERSION FOLDER HEADER...\n" unless @paths;
my @headers = map { read_header($_) } @paths;
my %types;
for my $header (@headers) {
    $types{ $_->{name} } = $_
        for grep { $_->{kind} =~ /type|callback/ } @{ $header->{declarations} };
}
for my $header (@headers) {
    my %pages = (header_page($header->{file}) => whole_header_page($version, $header));
    $pages{ $_->{name} } = function_page($version, $header, $_, \%types)
        for grep { $_->{kind} eq 'function' } @{ $header->{declarations} };
    for my $name (sort keys %pages) {
        open my $out, '>', "$folder/$name.3" or die "$folder/$name.3: $!";
        print $out $pages{$name};
        close $out or die "$folder/$name.3: $!";
    }
}
