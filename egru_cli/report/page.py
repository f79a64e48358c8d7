"""One HTML page from figures and facts; it opens from disk and loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """Figures under a title, with a sentence that says what they show."""

    title: str
    text: str
    figures: Sequence[Any]


def page(
    title: str,
    subtitle: str,
    summary: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    facts: dict[str, Any],
) -> str:
    """The page.

    Args:
        summary: the most important figures, shown as they are.
        facts: everything else, as in a JSON report; shown in tables.
    """
    figures = [figure for section in sections for figure in section.figures]
    script, places = components(figures) if figures else ("", ())
    rest = iter(places)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    library = "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)
    return environment.get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        summary=summary,
        sections=[
            {
                "title": section.title,
                "text": section.text,
                "places": [Markup(next(rest)) for _ in section.figures],
            }
            for section in sections
        ],
        facts=_tables(facts),
        library=Markup(library),
        script=Markup(script),
    )


def _tables(facts: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """A table of what is simple, then one for each group of facts."""
    tables: dict[str, list[tuple[str, str]]] = {"report": []}
    for key, value in facts.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            tables[name] = [(k.replace("_", " "), _text(v)) for k, v in value.items()]
        else:
            tables["report"].append((name, _text(value)))
    return tables


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    return "none" if value is None else str(value)
