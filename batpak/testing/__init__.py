"""Tools for tests: a simulated machine whose power can be cut at any moment.

    platform    SimPlatform: the machine, its crashes and its faults; begin here
    crash       CrashModel: what may be left of a disk
    faults      Short, Partial: calls that are done in part
    clock       SimClock: set, stopped, turned back
    disk        SimDisk, and Call: what a trace and a hook show
    watched     any platform, the real one as well, whose calls of the disk are told
    sabotage    the engine with one line broken; switches.SWITCHES lists which
    model       a store as a plain list: what has to be answered

The others are how these are made. Guide: docs/how-to/cut-the-power.md.
"""
