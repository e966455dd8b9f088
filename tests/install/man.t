#!/usr/bin/perl
# The manual pages as they are installed: every function and every public header has one, mandoc finds
# nothing wrong with any, and those of the programs know every option that --help names.
use strict;
use warnings;
use File::Basename;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root   = "$FindBin::Bin/../..";
my $build  = $ENV{SHOAL_BUILD} // "$root/build/release";
my $prefix = tempdir(CLEANUP => 1);

my $complaints = `cmake --install '$build' --prefix '$prefix' 2>&1`;
is($?, 0, 'the pages install') or diag($complaints);
my $man = "$prefix/share/man";

sub content
{
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return scalar <$in>;
}

# ---- section 3 ----

my ($count, @missing, @unsaid) = (0);
for my $header (glob "$root/engine/include/shoal/*.h") {
    my $code = content($header) =~ s{/\*.*?\*/}{}gsr;
    my $page = 'shoal-' . basename($header, '.h');
    push @missing, $page unless -s "$man/man3/$page.3";
    while ($code =~ /^(?:SHOAL_API|static inline)\b[^;{=]*?\b(shoal_\w+)\s*\(/mg) {
        my $name = $1;
        my $text = content("$man/man3/$name.3");
        $count++;
        push @missing, $name if $text eq '';
        push @unsaid,  $name unless $text =~ /^\.Nd \S/m && $text =~ /^\.Fo \Q$name\E$/m
            && $text =~ /^\.Sh DESCRIPTION\n[^.]/m && content("$man/man3/$page.3") =~ /^\.It Xr $name 3$/m;
    }
}
cmp_ok($count, '>', 60, 'the headers declare functions');
is("@missing", '', 'every function and every header has a page');
is("@unsaid",  '', 'which says what it does, and stands in the list of its header');
ok(-s "$man/man3/$_.3", "$_(3) is there") for qw(shoal libshoal);

# ---- all of them ----

my @pages = grep { !/libshoal/ } glob "$man/man[13]/*";
my @found = grep { !/referenced manual not found/ } split /\n/, `mandoc -Tlint -W warning @pages 2>&1`;
is(join("\n", @found), '', 'mandoc has no complaint about ' . @pages . ' pages');

# ---- section 1 ----

for my $program (qw(shoal-backup shoal-server shoal-sim shoal-top)) {
    my $page = content("$man/man1/$program.1") =~ s/\\-/-/gr;
    my $help = `'$build/bin/$program' --help 2>&1`;
    my @options = grep { !/^(port|cluster-enabled|dir|loglevel|directive)$/ }
        $help =~ /(?<![\w-])--([a-z][\w-]*)/g;
    my @silent = grep { $page !~ /\bFl Fl $_\b/ } @options;
    ok(@options > 0, "$program has options");
    is("@silent", '', "$program(1) names all that --help does");
    my @commands = $help =~ /^  $program ([a-z]+)/mg;
    my @hidden = grep { $page !~ /^\.Cm $_\b/m } @commands;
    is("@hidden", '', "and every command") if $program =~ /backup|sim/;
}
done_testing();
