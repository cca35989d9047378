"""Templates, which print nothing but what a wrapper of `text` vouches for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batpak_codegen.diagnostic import Diagnostic, SchemaError
from batpak_codegen.text import Code, Doc, Ident, Literal

if TYPE_CHECKING:
    from jinja2 import Environment, Template

TEMPLATES: Final = Path(__file__).parent / "templates"


class TemplateDefect(TypeError):
    """A template prints something that no wrapper vouches for."""


def fill(template: str, **values: object) -> str:
    """Return a template with its values.

    Raises:
        TemplateDefect: It prints anything but one of the wrappers of `text`.
        UndefinedError: It names something that is not there.
    """
    return _template(template).render(values)


@cache
def _template(name: str) -> Template:
    return environment().get_template(f"{name}.py.jinja")


@cache
def environment() -> Environment:
    """Return the one environment; templates are compiled once per process.

    Raises:
        SchemaError: E0008.
    """
    try:  # here, not above: `check` fills no template, and this is a tenth of its time
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        message = f"the generator needs {error.name}: pip install 'batpak[gen]'"
        raise SchemaError([Diagnostic("E0008", message, None)]) from error

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=_only_wrapped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Python, not HTML; `_only_wrapped` guards what is printed
    )


def _only_wrapped(value: object) -> str:
    if isinstance(value, Ident | Literal | Doc | Code):
        return value.text
    raise TemplateDefect(f"a template prints a {type(value).__name__}")
