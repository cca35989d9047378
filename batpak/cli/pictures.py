"""Commands that show what the schemas say: `batpak graph`, `docs`, `ir`, `schema`, `explain`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batpak.cli.manner import Manner, When, shared

if TYPE_CHECKING:
    from batpak_codegen.console import Outcome


class Picture(Enum):
    """The language of a diagram."""

    MERMAID = "mermaid"
    DOT = "dot"
    TEXT = "text"
    JSON = "json"


class Page(Enum):
    """How the catalog is written down."""

    MD = "md"
    HTML = "html"


@shared("graph", "form")
def graph(
    manner: Manner,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Order, or shop.orders.Order; default: all."),
    ] = None,
    *,
    picture: Annotated[
        Picture, typer.Option("--format", help="The language of the diagram.")
    ] = Picture.MERMAID,
) -> None:
    """Draw the machines and projections."""

    def action() -> Outcome:
        from batpak_codegen import console, graph, run

        project, texts = run.understand(manner.configured())
        drawn = graph.graph(project, picture.value, name)
        return console.Outcome(drawn, "", (), project.warnings, texts)

    manner.run(action)


@shared("docs", "form")
def docs(
    manner: Manner,
    *,
    page: Annotated[
        Page, typer.Option("--format", help="Markdown, or one HTML page that needs nothing else.")
    ] = Page.MD,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write catalog.md or catalog.html there.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="Begin with what is new since lock, git:REF or a directory."
        ),
    ] = None,
) -> None:
    """Write the catalog of events, machines and gates."""

    def action() -> Outcome:
        from batpak_codegen import commands

        return commands.docs(manner.configured(), page.value, out, against)

    manner.run(action)


@shared("ir", "form")
def ir(manner: Manner) -> None:
    """Print what the schemas mean, as JSON."""

    def action() -> Outcome:
        from batpak_codegen import console, plain, run

        project, texts = run.understand(manner.configured())
        return console.Outcome(plain.project_json(project), "", (), project.warnings, texts)

    manner.run(action)


def schema() -> None:
    """Print the JSON Schema of the language, for editors."""
    manner = Manner(
        "schema", None, (), None, When.AUTO, quiet=False, verbose=False, exit_zero=False
    )

    def action() -> Outcome:
        from batpak_codegen import console, language

        return console.Outcome(language.language_schema())

    manner.run(action)


def explain(
    topic: Annotated[str, typer.Argument(metavar="CODE", help="A code, or `versions`.")],
) -> None:
    """Tell what a code means."""
    from batpak_codegen.codes import table

    told = table.explain(topic)
    if told is None:
        near = table.nearest(topic)
        hint = f"; did you mean {near}?" if near else ""
        typer.echo(f"batpak explain: there is no code {topic!a}{hint}", err=True)
        raise typer.Exit(2)
    typer.echo(told, nl=False)
