#!/usr/bin/perl
# The checks are checked: a small tree that keeps every rule passes all of them, and each fault
# planted in a copy of it turns exactly the check red that is there for it.
use strict;
use warnings;
use File::Copy;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Tidy::Checks;
use Tidy::Tree;

my $BASE   = 'engine/base/word.c';
my $STORE  = 'engine/store/slot.c';
my $HEADER = 'engine/include/shoal/thing.h';

# Check, what is planted, the file, the text to add (before the last line of a header, else at the
# end), and what the complaint must say.
my @PLANTS = (
    ['layers', 'an include that points up', $BASE, "#include \"store/slot.h\"\n",
        qr{engine/base may not include "store/slot.h"}],
    ['layers', 'a header of the world outside', $STORE, "#include <time.h>\n",
        qr{engine/store may not include <time.h>}],
    ['layers', 'a room that the table does not know', 'engine/attic/x.c',
        "/* Attic. */\n#include <stdint.h>\n", qr{does not know the room engine/attic}],
    ['sizes', 'a function of 71 lines', $BASE, "\nvoid shoal_word_long(void)\n{\n"
        . "    ;\n" x 68 . "}\n", qr{shoal_word_long has 71 lines}],
    ['sizes', 'a function of six parameters', $BASE,
        "\nint shoal_word_many(int a, int b, int c, int (*d)(int, int), int e, int f)\n{\n"
        . "    return 0;\n}\n", qr{shoal_word_many has 6 parameters}],
    ['sizes', 'a file of 801 lines', $BASE, "/* */\n" x 801, qr{word\.c:800: \d+ lines}],
    ['sizes', 'a header of 401 lines', $HEADER, "/* */\n" x 400, qr{thing\.h:400: \d+ lines}],
    ['sizes', 'a line of 101 columns', $BASE, '/* ' . 'x' x 95 . " */\n", qr{101 columns}],
    ['words', 'a FIXME', $BASE, "/* FIXME */\n", qr{FIXME}],
    ['words', 'a TODO without a number', $STORE, "/* TODO later */\n", qr{TODO without}],
    ['words', 'a volatile', $STORE, "volatile int x;\n", qr{volatile}],
    ['orders', 'an atomic load of default order', $STORE,
        "int f(_Atomic int *x)\n{\n    return atomic_load(x);\n}\n",
        qr{atomic_load has the default order}],
    ['orders', 'a fetch-and-add of default order', $STORE,
        "int f(_Atomic int *x)\n{\n    return atomic_fetch_add(x, 1);\n}\n",
        qr{atomic_fetch_add has the default order}],
    ['orders', 'an order that bypasses the names of base/atomic.h', $STORE,
        "int f(_Atomic int *x)\n{\n    return atomic_load_explicit(x, memory_order_relaxed);\n}\n",
        qr{instead of base/atomic.h}],
    ['orders', 'an operation outside of the memory model', $BASE,
        "void f(int *x)\n{\n    __sync_fetch_and_add(x, 1);\n}\n", qr{bypasses}],
    ['pairs', 'a pair with one side', $STORE, "/* pair: lonely.word */\n",
        qr{lonely\.word is named once only}],
    ['shared', 'a shared word that the page does not know', $HEADER,
        "\n/* Two. */\ntypedef struct two {\n    _Atomic int32_t stray;\n} two;\n", qr{stray is not in docs/CONCURRENCY}],
    ['documented', 'a function without a comment', $HEADER, "\nint shoal_bare(void);\n",
        qr{not documented: int shoal_bare}],
    ['documented', 'a type without a comment', $HEADER, "\ntypedef struct bare {\n    int x;\n} bare;\n",
        qr{not documented: typedef struct bare}],
    ['documented', 'a macro without a comment', $HEADER, "\n#define SHOAL_BARE 1\n",
        qr{SHOAL_BARE is not documented}],
    ['documented', 'a file without its paragraph', 'engine/base/bare.c', "int x;\n",
        qr{bare\.c:1: no paragraph}],
    ['room_names', "another room's inner name", $STORE,
        "int32_t f(void)\n{\n    return shoal_word__next(1);\n}\n",
        qr{shoal_word__next is used in engine/base and engine/store}],
    ['density', 'functions that assert nothing', $BASE,
        "\nint shoal_a(void)\n{\n    return 1;\n}\n" x 2, qr{engine/base: 2 assertions in 4}],
    ['undefined', 'a call of malloc', $STORE,
        "#include <stdlib.h>\nvoid *shoal_slot_new(void)\n{\n    return malloc(64);\n}\n",
        qr{engine/store: slot\.c\.o needs malloc}],
    ['undefined', 'a call of a room above', $BASE,
        "int shoal_thing_weight(void *x);\nint shoal_up(void *x)\n{\n"
        . "    return shoal_thing_weight(x);\n}\n", qr{engine/base: .* needs shoal_thing_weight}],
    ['variables', 'a static counter', $STORE,
        "int shoal_slot_count(void)\n{\n    static int count;\n    return ++count;\n}\n",
        qr{variable count\S* in \.bss}],
    ['variables', 'a global with a value', $BASE, "int shoal_word_level = 3;\n",
        qr{variable shoal_word_level in \.data}],
    ['variables', 'a variable of each thread', $BASE, "_Thread_local int shoal_word_mine;\n",
        qr{variable shoal_word_mine in \.tbss}],
    ['exported', 'a function without the prefix', $STORE, "int weigh(void)\n{\n    return 1;\n}\n",
        qr{exports weigh}],
    ['tables', 'a page that was edited', 'docs/things.md', "More.\n", qr{docs/things.md differs}],
    ['format', 'a line that clang-format would change', $BASE, "int   x ;\n",
        qr{clang-format would change it}],
);

sub spit
{
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
}

# A copy of the fixture in a folder of its own.
sub copy_of_fixture
{
    my $root = tempdir(CLEANUP => 1);
    system('cp', '-r', "$FindBin::Bin/fixture/.", $root) == 0 or die 'cp';
    copy("$FindBin::Bin/../../.clang-format", "$root/.clang-format") or die "copy: $!";
    make_path("$root/build/bin");
    spit("$root/build/bin/shoal-tables", "#!/bin/sh\necho Things. >\$1/things.md\n");
    chmod 0755, "$root/build/bin/shoal-tables";
    return $root;
}

# Adds `text` to the file: at its end, in a header before the last line.
sub plant
{
    my ($root, $path, $text) = @_;
    make_path("$root/$1") if $path =~ m{^(.*)/};
    my $old = '';
    if (open my $in, '<', "$root/$path") {
        local $/;
        $old = <$in>;
    }
    my $end = $path =~ /\.h$/ && $old =~ s/(#endif\n)\z// ? $1 : '';
    spit("$root/$path", $old . $text . $end);
}

# Compiles the rooms to where the build puts them.
sub compile
{
    my ($root) = @_;
    for my $source (glob "$root/engine/{base,store}/*.c") {
        my ($room, $name) = $source =~ m{engine/(\w+)/(\w+)\.c$};
        my $folder = "$root/build/engine/$room/CMakeFiles/shoal-$room.dir";
        make_path($folder);
        system('cc', '-std=gnu11', '-O1', '-fPIC', '-w', "-I$root/engine", "-I$root/engine/include",
            '-c', $source, '-o', "$folder/$name.c.o") == 0 or die "cc $source";
    }
}

my %checks = map { $_->{id} => $_ } Tidy::Checks::all();
my %objects = map { $_ => 1 } qw(undefined variables exported);

my $clean = copy_of_fixture();
compile($clean);
for my $id (sort keys %checks) {
    my @complaints = $checks{$id}{run}->(Tidy::Tree->new(root => $clean, build => "$clean/build"));
    is("@complaints", '', "the clean fixture passes: $id");
}

my %planted;
for my $plant (@PLANTS) {
    my ($id, $what, $path, $text, $expected) = @$plant;
    my $root = copy_of_fixture();
    plant($root, $path, $text);
    compile($root) if $objects{$id};
    my @complaints = $checks{$id}{run}->(Tidy::Tree->new(root => $root, build => "$root/build"));
    ok((grep { /$expected/ } @complaints), "$id complains about $what") or diag("@complaints");
    $planted{$id} = 1;
}
is(join(' ', grep { !$planted{$_} } sort keys %checks), '', 'every check has a planted fault');

done_testing();
