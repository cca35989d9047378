"""Advice: what is right and yet probably not meant. Warnings, which end nothing.

W0401 a state from which no final one can be reached, W0402 a gate that nobody asks, W0403 an
event that nothing handles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from batpak_codegen.declarations import MachineDecl, SchemaFile
from batpak_codegen.diagnostic import Diagnostic
from batpak_codegen.nodes import TextNode


def advise(file: SchemaFile, handled: Set[str]) -> Iterator[Diagnostic]:
    """Yield the warnings about a file that has no error.

    `handled` are its events that are in a handler group or projection of any package.
    """
    for name, decl in file.machines:
        yield from _endless(name, decl)
    listed = [node for _, machine in file.machines for _, m in machine.moves for node in m.gates]
    listed += [node for _, policy in file.policies for node in policy.gates]
    asked = {node.value for node in listed}
    for name, _ in file.gates:
        if name.value not in asked:
            message = f"no move and no policy asks gate {name.value}"
            yield _warning("W0402", message, name, "list it under gates:, or delete it")
    yield from _unknown(file, handled)


def _endless(machine: TextNode, decl: MachineDecl) -> Iterator[Diagnostic]:
    """Warn of states that are not final and from which no final one can be reached.

    A machine without any final state goes round and round on purpose; there, only a state that
    nothing leaves is an oversight.
    """
    final = {node.value for node, state in decl.states if state.final and state.final.value}
    left = {node.value for _, move in decl.moves for node in move.from_}
    ends = set(final)
    before = -1
    while len(ends) > before:  # at most once per state
        before = len(ends)
        for _, move in decl.moves:
            if move.to.value in ends:
                ends |= {node.value for node in move.from_}
    for node, _ in decl.states:
        if node.value in ends or (not final and node.value in left):
            continue
        message = f"no way leads from state {node.value} of {machine.value} to a final state"
        hint = None if node.value in left else "mark it `final: true` if it is meant to be an end"
        yield _warning("W0401", message, node, hint)


def _unknown(file: SchemaFile, handled: Set[str]) -> Iterator[Diagnostic]:
    """Warn of events that no part of a package mentions, if it has parts that mention events."""
    if not file.machines and not file.policies:
        return  # its events are for plain appends
    known = {*_mentioned(file), *handled}
    for name, _ in file.events:
        if name.value not in known:
            message = f"event {name.value} is in no machine, policy, handler group or projection"
            yield _warning("W0403", message, name, "give it a move, or delete it")


def _mentioned(file: SchemaFile) -> Iterable[str]:
    """Return the events that the parts of a package mention."""
    moves = (move.event for _, machine in file.machines for _, move in machine.moves)
    policies = (policy.event for _, policy in file.policies)
    return [node.value for node in (*moves, *policies)]


def _warning(code: str, message: str, node: TextNode, hint: str | None) -> Diagnostic:
    return Diagnostic(code, message, node.span, hint)
