"""IR to text: one function per artefact, one Jinja environment, every file parsed afterwards.

Templates lay out and do not decide. A template that prints anything but the wrappers of `text`
raises, and so does one that names something that is not there. What was rendered is parsed, and
its classes and fields are compared with the IR: a difference is a defect of the generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from batpak_codegen import former_view as formers
from batpak_codegen import gate_view as gating
from batpak_codegen import hook, names
from batpak_codegen import machine_view as machines
from batpak_codegen import payload_view as payloads
from batpak_codegen import projection_view as folds
from batpak_codegen.checks import Checks, is_plain
from batpak_codegen.expr.emit import Condition
from batpak_codegen.hooks_door import with_upcasts
from batpak_codegen.hop import Past
from batpak_codegen.ir import EventDef, GateDef, MachineDef, Named, PackageDef, Project
from batpak_codegen.layout import Call, statement
from batpak_codegen.namespace import Namespace, as_itself, constant, import_key, listing
from batpak_codegen.outline import Outline, verified
from batpak_codegen.scenario_view import scenario_items
from batpak_codegen.strategies import Functions, Kit, functions
from batpak_codegen.template import fill
from batpak_codegen.text import Code, Doc, code, doc, python_literal
from batpak_codegen.types import AliasType, EnumType, FieldType, StructType, UnionType

# A condition that says too much (`is DHL, and is not UPS`) is the schema's business and no error;
# type checkers that narrow what a literal is held against would object to the generated line.
UNJUDGED: Final = (
    code('# mypy: disable-error-code="comparison-overlap, redundant-expr, unreachable"'),
    code("# pyright: reportUnnecessaryComparison=false, reportUnnecessaryContains=false"),
)
# A move of an event that is deprecated makes one; that is the machine's business, not the caller's.
OLD: Final = (
    code('# mypy: disable-error-code="deprecated"'),
    code("# pyright: reportDeprecated=false"),
)

_HANDLING: Final = ("Handler", "Listener", "Reactor")


def render(project: Project) -> dict[str, str]:
    """Return path below `out` → text, for all files of a project, in the order of the paths.

    Raises:
        SchemaError: E0705, a file that does not say what the IR says: a defect of ours.
    """
    common = _Common(functions(project.packages))
    if project.system:
        files = {"system.py": _Package(project, project.packages[0], common).system()}
        return dict(sorted(files.items()))
    files = {"__init__.py": _frame(), "py.typed": ""}
    for package in project.packages:
        for depth in range(1, len(package.parts)):
            files["/".join((*package.parts[:depth], "__init__.py"))] = _frame()
    for package in project.packages:
        files |= _Package(project, package, common).files()
        files |= _door(package, files)
    files["registry.py"] = _registry(project, _hooks(project, files))
    return dict(sorted(files.items()))


class _Common:
    """What the packages of a project find out once: strategies, and structs as `Checks` has it."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.reaches: dict[tuple[str, str], bool] = {}


class _Package:
    """The files of one package."""

    def __init__(self, project: Project, package: PackageDef, common: _Common) -> None:
        self.project, self.package, self.common = project, package, common
        self.where = f"{package.name} ({package.path})"
        self.past = project.pasts.get(package.name, Past((), (), (), {}))
        self.type_names = [definition.type.name for definition in package.types]
        self.events = {event.name: event for event in package.events}
        self.hooks = hook.hooks(package)
        self.event_names = list(self.events)
        self.event_names += [f"{group.name}Event" for group in package.groups]

    def files(self) -> dict[str, str]:
        """Return path → text; a file without content is not there."""
        found: dict[str, str] = {"__init__": self._front()}
        if self.package.types:
            found["types"] = self._types()
        if self.package.events or self.package.groups:
            found["events"] = self._events()
        found |= self._checks()
        if self.package.contexts:
            found["contexts"] = self._contexts()
        if self.hooks:
            found["hooks"] = self._hooks()
        if self.package.policies:
            found["policies"] = self._policies()
        if self.past.formers:
            found["former"] = self._former()
            found["upcasts"] = self._upcasts()
        if self.package.groups:
            found["handlers"] = self._handlers()
        if self.package.projections:
            found["projections"] = self._projections()
        for machine in self.package.machines:
            stem = names.snake(machine.name)
            found[f"{stem}_states"] = self._states(machine)
            if any(move.gates for move in machine.moves):
                found[f"{stem}_gates"] = self._gates(machine)
            found[f"{stem}_machine"] = self._machine(machine)
        if self.package.types or self.package.events:
            found["testing"] = self._testing()
        return {"/".join((*self.package.parts, f"{name}.py")): t for name, t in found.items()}

    def _space(self, module: str) -> Namespace:
        return Namespace(self.project, self.package, module)

    def _front(self) -> str:
        package = self.package
        pairs = [("checks", "")] if package.events else []
        pairs += [("upcasts", "")] if self.past.formers else []
        pairs += [(name, "events") for name in self.event_names]
        pairs += [(name, "types") for name in self.type_names]
        pairs.sort(key=lambda pair: (pair[1], import_key(pair[0])))
        lines = [code(as_itself(f".{module}", (name, name))) for name, module in pairs]
        shown = code(listing([name for name, _ in pairs])) if pairs else None
        body = fill("front", lines=lines, listing=shown)
        return _frame(doc(package.doc or f"Package {package.name}."), None, "", body)

    def _types(self) -> str:
        space = self._space("types")
        body = fill("types", items=payloads.type_items(space, self.package.types))
        text = _frame(doc(f"Types of {self.where}."), space, listing(self.type_names), body)
        return verified(text, {"__all__": (), **self._type_outline()})

    def _events(self) -> str:
        space = self._space("events")
        space.inner("require_abi")
        body = self._event_body(space)
        preamble = f"require_abi(1, __name__)\n\n{listing(self.event_names)}"
        text = _frame(doc(f"Events of {self.where}."), space, preamble, body)
        return verified(text, {"__all__": (), **self._event_outline()})

    def _event_body(self, space: Namespace) -> str:
        items = payloads.event_items(space, self.package.events)
        unions = payloads.event_unions(space, self.package.groups)
        return fill("events", events=items, unions=unions)

    def _checks(self) -> dict[str, str]:
        space = self._space("checks")
        body, outline = self._check_body(space)
        if not body:
            return {}
        name = self.package.name
        sentence = "They run when a payload is appended, never when one is read."
        text = _frame(doc(f"Constraints of {name}. {sentence}"), space, "", body)
        return {"checks": verified(text, outline)}

    def _check_body(self, space: Namespace) -> tuple[str, Outline]:
        checks = Checks(space, self.common.reaches)
        types, events = self.package.types, self.package.events
        constants = payloads.alias_constants(space, checks, types)
        functions = payloads.check_functions(space, checks, types, events)
        patterns = payloads.pattern_constants(checks)
        gap = code("\n" if self.project.system else "")  # there, classes stand before them
        constants = patterns + constants if constants else patterns[:-1]
        body = fill("checks", constants=constants, functions=functions, gap=gap)
        return body, dict.fromkeys(checks.patterns.names, ()) | _check_outline(self.package, checks)

    def _former(self) -> str:
        space = formers.FormerSpace(self.project, self.package, "former")
        body = fill("types", items=formers.relic_items(space, self.past))
        body += fill("former", formers=formers.former_items(space, self.past))
        relics = {r.name: _members(r) for r in self.past.relics if isinstance(r, formers.RELICS)}
        outline: Outline = {"__all__": (), **relics}
        for former in self.past.formers:
            outline[former.name] = ("KIND", "VERSION", *_field_names(former.fields))
        where = f"as frozen in {self.past.lock}: read, never appended."
        words = doc(f"Former versions of {self.package.name}, {where}")
        shown = listing([*relics, *(former.name for former in self.past.formers)])
        return verified(_frame(words, space, shown, body), outline)

    def _upcasts(self) -> str:
        space = formers.FormerSpace(self.project, self.package, "upcasts")
        left = formers.upcasts(space, self.past)
        functions = formers.hop_functions(space, self.past)
        body = fill("upcasts", functions=functions, left=left)
        declared = [hop for hop in self.past.hops if hop.values is not None]
        outline: Outline = {"__all__": ()} if left else {}
        outline |= {f"upcast_{names.snake(hop.former)}": () for hop in declared}
        if left:
            methods = [names.snake(h.former) for h in self.past.hops if h.values is None]
            outline[left.name.text] = tuple(methods)
            outline["install_upcasts"] = ()
        sentence = "They run when a former version is read; stored bytes never change."
        words = doc(f"Upcasts of {self.package.name}. {sentence}")
        shown = listing([left.name.text, "install_upcasts"]) if left else ""
        return verified(_frame(words, space, shown, body), outline)

    def _handlers(self) -> str:
        space = self._space("handlers")
        groups = self.package.groups
        items = payloads.handlers(space, groups)
        body = fill("handlers", handlers=items)
        sentence = "a new event is an error in every @final handler until it is handled."
        classes = [f"{group.name}{kind}" for group in groups for kind in _HANDLING]
        shown = listing(classes)
        text = _frame(doc(f"Exhaustive dispatch: {sentence}"), space, shown, body)
        outline: Outline = {"__all__": (), "R_co": ()}
        for group in groups:
            outline[f"_{constant(group.name)}"] = ()
        for group in groups:
            methods = [f"on_{names.snake(space.event(*event))}" for event in group.events]
            outline[f"{group.name}Handler"] = ("KINDS", *methods, "handles", "dispatch")
            outline[f"{group.name}Listener"] = (*methods,)
            outline[f"{group.name}Reactor"] = ("KINDS", *methods, "react")
        return verified(text, outline)

    def _projections(self) -> str:
        space = self._space("projections")
        found = self.package.projections
        body = fill("projections", projections=folds.projection_items(space, found))
        states, classes = map(folds.state_name, found), map(folds.class_name, found)
        sentence = f"Projections of {self.package.name}: state and dispatch are here,"
        shown = listing([*states, *classes])
        text = _frame(doc(f"{sentence} the fold is yours."), space, shown, body)
        outline: Outline = {"__all__": ()}
        outline |= {folds.state_name(each): _field_names(each.fields) for each in found}
        outline |= {folds.table_name(each): () for each in found}
        for each in found:
            first = ("initial",) * folds.has_start(each)
            members = ("NAME", "VERSION", "STATE", "KINDS", *first, *folds.methods(space, each))
            outline[folds.class_name(each)] = (*members, "apply")
        return verified(text, outline)

    def _states(self, machine: MachineDef) -> str:
        space = self._space(f"{names.snake(machine.name)}_states")
        states = [state.name for state in machine.states]
        data = f"{machine.name}Data"
        items = machines.state_items(space, machine)
        body = fill("states", states=items, union=machines.union(data, states))
        sentence = f"State data of machine {machine.name}: what is known in each state."
        text = _frame(doc(sentence), space, listing([*states, data]), body)
        outline = {state.name: _field_names(state.fields) for state in machine.states}
        return verified(text, {"__all__": (), **outline, data: ()})

    def _gates(self, machine: MachineDef) -> str:
        space = self._space(f"{names.snake(machine.name)}_gates")
        gates = gating.gate_items(space, machine.gates, machine)
        policies = gating.move_policy_items(space, machine)
        body = fill("gates", gates=gates, policies=policies)
        classes = [machine.policy(move.name) for move in machine.moves if move.gates]
        sentence = f"Gates and policies of machine {machine.name}."
        pragmas = _unjudged(gate.condition for gate in machine.gates)
        text = _frame(doc(sentence), space, listing(classes), body, pragmas)
        return verified(text, _gates_outline(machine.gates, classes))

    def _contexts(self) -> str:
        space = self._space("contexts")
        contexts = self.package.contexts
        body = fill("types", items=gating.context_items(space, contexts))
        sentence = f"Gate contexts of {self.package.name}:"
        more = "what a gate may look at besides state and event. Never stored."
        shown = listing([context.name for context in contexts])
        text = _frame(doc(f"{sentence} {more}"), space, shown, body)
        outline = {context.name: _field_names(context.fields) for context in contexts}
        return verified(text, {"__all__": (), **outline})

    def _hooks(self) -> str:
        space = Namespace(self.project, self.package, "hooks", reexports=True)
        body = fill("hooks", hooks=gating.hooks_item(space, self.hooks))
        name = hook.class_name(self.package.name)
        sentence = f"What the schema of {self.package.name} leaves to you."
        place = hook.user_file(self.project.out_module, self.package.parts)
        text = _frame(doc(f"{sentence} Subclass {name} in {place}."), space, "", body)
        outline: Outline = {item.result.name: () for item in self.hooks if item.codes}
        outline[name] = tuple(item.method for item in self.hooks)
        return verified(text, outline)

    def _policies(self) -> str:
        space = self._space("policies")
        policies = self.package.policies
        gates = {gate.name: gate for policy in policies for gate in policy.gates}
        items = gating.gate_items(space, gates.values())
        body = fill("gates", gates=items, policies=gating.policy_items(space, policies))
        classes = [policy.name for policy in policies]
        sentence = f"Policies of {self.package.name} for events that are not moves of a machine."
        pragmas = _unjudged(gate.condition for gate in gates.values())
        text = _frame(doc(sentence), space, listing(classes), body, pragmas)
        return verified(text, _gates_outline(gates.values(), classes))

    def _machine(self, machine: MachineDef) -> str:
        space = self._space(f"{names.snake(machine.name)}_machine")
        handles = [machine.handle(state.name) for state in machine.states]
        moves = [machine.transition(move.name) for move in machine.moves]
        state, name = f"{machine.name}State", f"{machine.name}Machine"
        body = fill(
            "machine",
            handles=machines.handle_items(space, machine, self.events),
            moves=machines.move_items(space, machine),
            machine=machines.machine_item(space, machine),
            union=machines.union(state, handles),
        )
        sentence = "one handle class per state, and moves only where they are legal."
        words = f"Machine {machine.name}: {sentence}\n\n{machines.diagram(machine)}\n"
        shown = listing([*moves, *handles, state, name])
        pragmas = _unjudged(value for move in machine.moves for _, value in move.sets)
        old = any(self.events[event].deprecated for event in machine.events)
        pragmas += OLD if old else ()
        # names and arrows only
        text = _frame(Doc(f'"""{words}"""'), space, shown, body, pragmas)
        return verified(text, _machine_outline(machine))

    def _testing(self) -> str:
        space = self._space("testing")
        kit = Kit(space, self.common.functions)
        strategies, scenarios = kit.strategies(), scenario_items(space, kit)
        outline: Outline = {strategy.name: () for strategy in strategies}
        outline |= {scenario.name: scenario.members for scenario in scenarios}
        body = fill("testing", strategies=strategies, scenarios=scenarios)
        kinds = "Hypothesis strategies and scenarios" if scenarios else "Hypothesis strategies"
        sentence = f"{kinds} of {self.package.name}. Only tests import this module."
        text = _frame(doc(sentence), space, listing([*outline]), body)
        return verified(text, {"__all__": (), **outline})

    def system(self) -> str:
        """Return the one module of the library's own events."""
        space = self._space("system")
        parts = [fill("types", items=payloads.type_items(space, self.package.types))]
        parts.append(self._event_body(space))
        body, outline = self._check_body(space)
        shown = listing([*self.type_names, *self.event_names])
        words = doc(self.package.doc or f"Package {self.package.name}.")
        text = _frame(words, space, shown, "".join(parts) + body)
        return verified(
            text, {"__all__": (), **self._type_outline(), **self._event_outline(), **outline}
        )

    def _type_outline(self) -> Outline:
        return {
            definition.type.name: _members(definition.type) for definition in self.package.types
        }

    def _event_outline(self) -> Outline:
        events = self.package.events
        outline = {event.name: _event_members(event) for event in events}
        return outline | {f"{group.name}Event": () for group in self.package.groups}


def _members(type_: Named) -> tuple[str, ...]:
    if isinstance(type_, EnumType):
        known = tuple(member for member, _ in type_.members)
        return (*known, "UNRECOGNIZED") if type_.open else known
    return _field_names(type_.fields) if isinstance(type_, StructType) else ()


def _event_members(event: EventDef) -> tuple[str, ...]:
    more = ("DEPRECATED",) if event.deprecated else ()
    return ("KIND", "VERSION", *more, *_field_names(event.fields))


def _field_names(fields: Iterable[FieldType]) -> tuple[str, ...]:
    return tuple(field.name for field in fields)


def _check_outline(package: PackageDef, checks: Checks) -> Outline:
    types = [definition.type for definition in package.types]
    aliases = [t.name for t in types if isinstance(t, AliasType) and is_plain(t)]
    structs = [t for t in types if isinstance(t, StructType)]
    outline: Outline = {constant(name): () for name in aliases}
    outline |= {f"is_{names.snake(name)}": () for name in aliases}
    walked: list[Named] = [*structs, *(t for t in types if isinstance(t, UnionType))]
    outline |= {f"check_{names.snake(type_.name)}": () for type_ in walked}
    canonical = (type_.name for type_ in walked if checks.has_canonical(type_))
    outline |= {f"canonical_{names.snake(name)}": () for name in canonical}
    for event in package.events:
        outline[f"check_{names.snake(event.name)}"] = ()
        if any(checks.has_canonical(field.type) for field in event.fields):
            outline[f"canonical_{names.snake(event.name)}"] = ()
    return outline


def _unjudged(conditions: Iterable[Condition | None]) -> tuple[Code, ...]:
    return UNJUDGED if any(one is not None and one.narrows for one in conditions) else ()


def _gates_outline(gates: Iterable[GateDef], classes: Iterable[str]) -> Outline:
    outline: Outline = {"__all__": ()}
    outline |= {f"judge_{gate.name}": () for gate in gates}
    return outline | dict.fromkeys(classes, ("POLICY", "__init__"))


def _machine_outline(machine: MachineDef) -> Outline:
    outline: Outline = {"__all__": (), "_MOVES": ()}
    for state in machine.states:
        moves = (move.name for move in machine.moves if state.name in move.sources)
        outline[machine.handle(state.name)] = ("STATE", "DATA", "MOVES", "__slots__", *moves)
    outline[f"{machine.name}State"] = ()
    outline |= {machine.transition(move.name): () for move in machine.moves}
    derived = (move for move in machine.moves if not move.is_evolved_by_hand)
    outline |= {f"_evolve_{move.name}": () for move in derived}
    constants = ("NAME", "SCOPE", "ENTITY", "KEY", "HANDLES", "EDGES", "KINDS")
    outline[f"{machine.name}Machine"] = (*constants, "__init__", "new", "load", "replay")
    return outline


def _door(package: PackageDef, files: Mapping[str, str]) -> dict[str, str]:
    """Return `hooks.py` of a package whose upcasts have to be seen through it."""
    folder = "/".join(package.parts)
    if (upcasts := files.get(f"{folder}/upcasts.py")) is None:
        return {}
    words = doc(f"What the schema of {package.name} leaves to you, for your hooks file.")
    text = with_upcasts(files.get(f"{folder}/hooks.py"), upcasts, _frame(words))
    return {} if text is None else {f"{folder}/hooks.py": text}


def _hooks(project: Project, files: Mapping[str, str]) -> list[str]:
    """Return the modules of users that the rendered packages need."""
    needs = (p.name for p in project.packages if "/".join((*p.parts, "hooks.py")) in files)
    return [project.hooks[name] for name in needs if name in project.hooks]


def _registry(project: Project, hooks: Sequence[str] = ()) -> str:
    entries: dict[int, str] = {}
    for package in project.packages:
        module = ".".join((project.out_module, *package.parts, "events"))
        for event in package.events:
            place = (module, event.name, event.version)
            entries[event.kind] = f"0x{event.kind:04X}: {python_literal(place)}"
    rows = tuple(entries[kind] for kind in sorted(entries))
    head = "KINDS: Final[Mapping[int, tuple[str, str, int]]] = "
    kinds = statement(head, Call("{", rows, "}", display=True, open=bool(rows)))
    kinds += f"\n\n{_retired(project)}"
    imports = (
        "from collections.abc import Mapping\n"
        "from importlib import import_module\n"
        "from typing import Final"
    )
    sentence = "Every kind of this project: where its class lives."
    more = "Importing this module imports none of them."
    modules = Call("(", tuple(map(python_literal, hooks)), ",)" if len(hooks) == 1 else ")", True)
    found = code(statement("HOOKS: Final[tuple[str, ...]] = ", modules)) if hooks else None
    also = " and every hooks module" if hooks else ""
    load = doc(f"Import every payload class{also}: then any event decodes.")
    text = fill(
        "module",
        pragmas=(),
        doc=doc(f"{sentence} {more}"),
        imports=code(imports),
        preamble=code(kinds),
        body=code(fill("registry", hooks=found, doc=load).removesuffix("\n")),
    )
    shown = ("KINDS", "RETIRED", "HOOKS", "load") if hooks else ("KINDS", "RETIRED", "load")
    return verified(text, dict.fromkeys(shown, ()))


def _retired(project: Project) -> str:
    """Return the table of the kinds that were given up, with the names that had them."""
    gone = sorted(entry for package in project.packages for entry in package.retired)
    rows = tuple(f"0x{kind:04X}: {python_literal(name)}" for kind, name in gone)
    head = "RETIRED: Final[Mapping[int, str]] = "
    return statement(head, Call("{", rows, "}", display=True, open=bool(rows)))


def _frame(
    words: Doc | None = None,
    space: Namespace | None = None,
    preamble: str = "",
    body: str = "",
    pragmas: tuple[Code, ...] = (),
) -> str:
    """Return a module: the three fixed lines, docstring, imports, and what follows."""
    return fill(
        "module",
        pragmas=pragmas,
        doc=words,
        imports=code(space.imports()) if space else None,
        preamble=code(preamble) if preamble else None,
        body=code(body.removesuffix("\n")) if body else None,
    )
