#!/usr/bin/env bash
# The laboratory finds planted faults: one of votes, one of durability, one of replication, one of
# clients, each within the first ten seeds. tests/sim/mutants, which ./dev soak runs, is about all.
cd "$(dirname "$0")/../.." || exit 1
build=${SHOAL_BUILD:-build/release}
SHOAL_BUILD=$build tests/sim/mutants --seeds 10 --tap vote-twice vote-undurable sync-uncleared serves-all
