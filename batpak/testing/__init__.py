"""Tools for tests: of machines and their rules, and of stores that lose their power.

Of a domain:

    scenario    Scenario: given a history, when a move, then what is stored or denied; a walk
    ledger      MemoryLedger: what a machine needs of a store, in memory
    samples     sample: a valid value, the same one every time
    moves       strict_moves: a move that nobody applies fails the test
    contract    what the generated tests of a package hold it to

Of a store:

    platform    SimPlatform: the machine, its crashes and its faults; begin here
    crash       CrashModel: what may be left of a disk
    faults      Short, Partial: calls that are done in part
    clock       SimClock: set, stopped, turned back
    disk        SimDisk, and Call: what a trace and a hook show
    watched     any platform, the real one as well, whose calls of the disk are told
    sabotage    the engine with one line broken; switches.SWITCHES lists which
    model       a store as a plain list: what has to be answered

The others are how these are made. Guides: docs/how-to/test-your-domain.md and
docs/how-to/cut-the-power.md.
"""

from batpak.testing.contract import survives
from batpak.testing.given import Given, Then
from batpak.testing.ledger import MemoryLedger
from batpak.testing.moves import strict_moves
from batpak.testing.samples import sample
from batpak.testing.scenario import Scenario

__all__ = ["Given", "MemoryLedger", "Scenario", "Then", "sample", "strict_moves", "survives"]
