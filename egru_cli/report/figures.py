"""What all figures have in common: size, colours and fonts."""

from collections.abc import Sequence
from typing import Any

from bokeh.models import HoverTool, WheelZoomTool
from bokeh.plotting import figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by everyone, whatever they see of colours; by Okabe and Ito."""

WAITING = "#d8d8d8"
INK, FAINT = "#222222", "#e6e6e6"
HEIGHT = 320  # pixels; the width is the page's


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def plot(
    title: str,
    x: str,
    y: str,
    tooltips: Sequence[tuple[str, str]] = (),
    height: int = HEIGHT,
    **options: Any,
) -> Any:
    """An empty figure with labelled axes, to drag and to zoom."""
    made: Any = figure(
        title=title,
        x_axis_label=x,
        y_axis_label=y,
        height=height,
        sizing_mode="stretch_width",
        tools="xpan,box_zoom,reset,save",
        active_drag="xpan",
        toolbar_location="below",
        **options,
    )
    # With a key, as the wheel alone scrolls the page.
    zoom = WheelZoomTool(dimensions="width", modifiers="ctrl")
    made.add_tools(zoom)
    made.toolbar.active_scroll = zoom
    if tooltips:
        made.add_tools(HoverTool(tooltips=list(tooltips), visible=False))
    made.min_border_left = 70  # so that figures below each other are aligned
    made.toolbar.logo = None
    made.background_fill_color = made.border_fill_color = None
    made.outline_line_color = None
    made.title.text_color = INK
    made.title.text_font_size = "11pt"
    for grid in made.grid:
        grid.grid_line_color = FAINT
    for axis in made.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_line_color = axis.major_tick_line_color = "#999999"
        axis.minor_tick_line_color = None
    return made


def legend_above(made: Any) -> None:
    """Move the legend from the data to the space above them."""
    legend = made.legend[0]
    legend.orientation = "horizontal"
    legend.border_line_color = None
    legend.background_fill_alpha = 0
    legend.padding = legend.margin = 0
    legend.click_policy = "hide"
    made.add_layout(legend, "above")
