"""Plots as SVG text: pure functions of numbers and names, fit for a page and for a file of their own.

A plot is one `<svg role="img">` with a title and a description, no ids, no scripts, no style attributes: it may stand
under a strict content security policy. Colours are attributes that any stylesheet overrules; `STYLE` ties them to
custom properties (`--ia-s1` ...), so that a page themes all plots at once. With `standalone=True` a plot brings its
heading, its background and that stylesheet, and follows the reader's preference for dark or light.
"""

from initadvisor.report.svg.bars import Bar, bars
from initadvisor.report.svg.histogram import histogram
from initadvisor.report.svg.line import line_plot
from initadvisor.report.svg.numbers import short
from initadvisor.report.svg.palette import DARK, LIGHT, STYLE
from initadvisor.report.svg.series import Series
from initadvisor.report.svg.sparkline import sparkline

__all__ = ["DARK", "LIGHT", "STYLE", "Bar", "Series", "bars", "histogram", "line_plot", "short", "sparkline"]
