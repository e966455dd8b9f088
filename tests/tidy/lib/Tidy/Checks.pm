# The list of all checks: what each one states, and how to run it.
package Tidy::Checks;

use strict;
use warnings;
use Tidy::Format;
use Tidy::Objects;
use Tidy::Tables;
use Tidy::Text;

my @CHECKS = (
    ['layers'     => 'every include is allowed by docs/LAYERS',               \&Tidy::Text::layers],
    ['sizes'      => 'functions, files, lines and parameters keep their limits', \&Tidy::Text::sizes],
    ['words'      => 'no FIXME, no TODO without a number, no volatile',       \&Tidy::Text::words],
    ['orders'     => 'every atomic operation names its order',                \&Tidy::Text::orders],
    ['pairs'      => 'every pair is named on both sides',                     \&Tidy::Text::pairs],
    ['shared'     => 'every shared word is in docs/CONCURRENCY.md',            \&Tidy::Text::shared],
    ['documented' => 'every declaration of a header is documented',           \&Tidy::Text::documented],
    ['room_names' => 'names with two underscores stay in their room',         \&Tidy::Text::room_names],
    ['density'    => 'functions assert as much as their room has to',         \&Tidy::Text::density],
    ['undefined'  => 'rooms call only what docs/SYMBOLS and the layers allow', \&Tidy::Objects::undefined],
    ['variables'  => 'no room keeps a mutable variable',                      \&Tidy::Objects::variables],
    ['exported'   => 'all exported names begin with shoal_',                  \&Tidy::Objects::exported],
    ['tables'     => 'the pages made from tables are up to date',            \&Tidy::Tables::tables],
    ['format'     => 'clang-format would change nothing',                     \&Tidy::Format::format],
);

# All checks, as hashes with id, name and run.
sub all
{
    return map { { id => $_->[0], name => $_->[1], run => $_->[2] } } @CHECKS;
}

1;
