"""
Charts of the console, drawn by the Chart.js that django-unfold brings, each with its words and its table.

A chart is what `templates/admin/chart.html` shows. Exact decimals become the floats that a drawing needs here, and
nowhere else.
"""

import json
from typing import NamedTuple

# The colours of lines and bars, readable in light and dark. The first is the console's own.
COLORS = ("var(--color-primary-500)", "#d97706", "#0d9488", "#9333ea", "#dc2626")
MAX_TABLE_ROWS = 24
MAX_POINTS = 40  # of more, a line shows its way and not each point


class Series(NamedTuple):
    """A line or a row of bars: one value for each label; None leaves a gap."""

    name: str
    values: list
    is_filled: bool = False
    is_dashed: bool = False


class Chart(NamedTuple):
    kind: str
    title: str
    summary: str  # what a person who cannot see the chart is told
    data: str
    options: str
    head: list
    rows: list  # the same as a table, thinned to MAX_TABLE_ROWS


def line(title, labels, series, *, summary, unit="", label="Time (UTC)"):
    return _chart("line", title, labels, series, summary=summary, unit=unit, label=label)


def bar(title, labels, series, *, summary, unit="", label=""):
    return _chart("bar", title, labels, series, summary=summary, unit=unit, label=label)


def _chart(kind, title, labels, series, *, summary, unit, label):
    datasets = []
    for number, one in enumerate(series):
        color = COLORS[number % len(COLORS)]
        datasets.append(
            {
                "label": one.name,
                "data": [None if value is None else float(value) for value in one.values],
                "borderColor": color,
                "backgroundColor": color,
                "fill": "origin" if one.is_filled else False,
                "borderDash": [6, 4] if one.is_dashed else [],
                "spanGaps": True,
                "pointRadius": 2 if len(labels) <= MAX_POINTS else 0,
                "maxBarThickness": 32,
                "categoryPercentage": 0.9,
            }
        )
    options = {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "grouped": True,
        "interaction": {"mode": "index", "intersect": False},
        "scales": {
            "x": {"ticks": {"maxTicksLimit": 9, "maxRotation": 0}},
            "y": {"title": {"display": bool(unit), "text": unit}},
        },
        "plugins": {"legend": {"display": len(series) > 1, "align": "end", "labels": {"boxWidth": 12}}},
    }
    step = -(-len(labels) // MAX_TABLE_ROWS) or 1
    chosen = sorted({*range(0, len(labels), step), len(labels) - 1}) if labels else []
    return Chart(
        kind=kind,
        title=title,
        summary=summary,
        data=json.dumps({"labels": list(labels), "datasets": datasets}),
        options=json.dumps(options),
        head=[label or "", *(f"{one.name} ({unit})" if unit else one.name for one in series)],
        rows=[[labels[index], *(one.values[index] for one in series)] for index in chosen],
    )
