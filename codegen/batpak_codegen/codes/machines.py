"""Codes of machines."""

from __future__ import annotations

from typing import Final

from batpak_codegen.codes.code import Code


def _machine(entity: str, states: str, *moves: str, name: str = "Order") -> str:
    lines = [f"  {name}:", f"    entity: {entity}", f"    states: {{{states}}}", "    moves:"]
    return "\n".join([*lines, *(f"      {move}" for move in moves)])


def _order(states: str, *moves: str, entity: str = "order:{order_id}") -> str:
    """Return the example of a machine: its states and its moves."""
    return f"machines:\n{_machine(entity, states, *moves)}"


_PLACE: Final = "place: {from: Draft, to: Placed, event: OrderPlaced}"

CODES: Final = (
    Code(
        "E0401",
        "the initial state",
        "Exactly one state is initial: that of an entity before its first event. Nothing is known "
        "of it but the key, so it has no data and extends no state.",
        _order("Draft: {}, Placed: {}", _PLACE),
    ),
    Code(
        "E0402",
        "a state that cannot be reached",
        "No sequence of moves leads from the initial state to this one. Add the move, or remove "
        "the state.",
        _order("Draft: {initial: true}, Placed: {}, Lost: {}", _PLACE),
    ),
    Code(
        "E0403",
        "a move out of a final state",
        "A final state is an end: no move leaves it. Drop `final`, or the move.",
        _order(
            "Draft: {initial: true}, Placed: {final: true}",
            _PLACE,
            "pay: {from: Placed, to: Draft, event: OrderPaid}",
        ),
    ),
    Code(
        "E0404",
        "the states of a move",
        "The states a move leads from and to exist, and a state and an event lead one way: when a "
        "history is read, nothing but the event says which move was made.",
        _order("Draft: {initial: true}, Placed: {}", _PLACE.replace("to: Placed", "to: Plced")),
    ),
    Code(
        "E0405",
        "an event of a move, and the key",
        "Each move has an event of the machine's own package, and every one of them has the field "
        "that names the entity, with one type.",
        _order("Draft: {initial: true}, Placed: {}", _PLACE.replace("OrderPlaced", "Noted")),
    ),
    Code(
        "E0406",
        "the entity template",
        "`entity` is a prefix and one placeholder, the key: order:{order_id}. The prefix is lower "
        "case and is not `batpak`.",
        _order("Draft: {initial: true}, Placed: {}", _PLACE, entity="'{order_id}'"),
    ),
    Code(
        "E0407",
        "a key that cannot name an entity",
        "The key becomes part of a coordinate. Ids, uuids and whole numbers always fit into one.",
        _order("Draft: {initial: true}, Placed: {}", _PLACE, entity="order:{price}"),
    ),
    Code(
        "E0408",
        "an entity prefix used twice",
        "Versions count per entity. Two machines with one prefix would count each other's events.",
        _order("Draft: {initial: true}, Placed: {}", _PLACE)
        + "\n"
        + _machine(
            "order:{order_id}",
            "New: {initial: true}, Old: {}",
            "age: {from: New, to: Old, event: OrderPaid}",
            name="Parcel",
        ),
    ),
    Code(
        "E0409",
        "what a state extends",
        "`extends` copies the data of another state of the same machine. That state exists, and no "
        "state extends itself, not even by way of others.",
        _order("Draft: {initial: true}, Placed: {extends: Plced}", _PLACE),
    ),
    Code(
        "E0410",
        "data of a state that nothing supplies",
        "When a move is made, each field of the target state is taken from the field of that name "
        "and type of the event, else of the state before. A field that neither has cannot be "
        "known: add it to the event.",
        _order("Draft: {initial: true}, Placed: {data: {email: string}}", _PLACE),
    ),
    Code(
        "E0411",
        "names of generated code that clash",
        "Generated modules define and import names of their own: OrderMachine, PlacedOrder, "
        "Mapping. A declared name, or one that is made from it, is one of them. Choose another.",
        "events:\n  Mapping: {id: 1, fields: {}}",
    ),
    Code(
        "E0412",
        "what a move computes",
        "`set` names fields of the target state, not its key, and each expression has the type of "
        "its field. Beside `evolve: python` nothing is computed: the method makes the whole state.",
        _order("Draft: {initial: true}, Placed: {}", _PLACE.replace("}", ", set: {total: 1}}")),
    ),
    Code(
        "W0401",
        "a state that no way leads out of",
        "From here no sequence of moves leads to a final state, so an entity would stay open for "
        "ever. Mark the state `final: true` if it is meant to be an end.",
        "Placed has no moves, and does not say `final: true`.",
    ),
    Code(
        "W0403",
        "an event that nothing handles",
        "The event is in no machine, policy, handler or projection. It can be appended by hand; "
        "often a move was forgotten.",
        "OrderNoted is declared, and no move has it.",
    ),
    Code(
        "W0404",
        "a state that changed under its version",
        "The state of this projection has other fields or types than when its version was frozen. "
        "What was kept of it is dropped and folded again in any case, but whoever reads it sees "
        "something else: raise `version`. If nothing that it means has changed, `batpak lock` "
        "freezes it as it is.",
        "Revenue has a field more, and still says version: 1.",
    ),
)
