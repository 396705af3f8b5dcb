"""Plots as SVG text: bars of stacked parts, and lines over a logarithmic axis. No more than the report needs."""

from html import escape
from math import log10

WIDTH, LABEL, ROW, LINES = 760, 250, 30, 300
COLOURS = ("#2b6cb0", "#dd6b20", "#718096", "#2f855a", "#b83280", "#805ad5", "#d69e2e")


def bars(title, rows, unit):
    """`rows`: [(label, {part: value})], drawn from top to bottom, the parts side by side from left to right."""
    parts = list(dict.fromkeys(part for _, values in rows for part in values))
    most = max(sum(values.values()) for _, values in rows)
    scale = (WIDTH - LABEL - 90) / most
    drawn = []
    for number, (label, values) in enumerate(rows):
        top, left = 60 + number * ROW, float(LABEL)
        drawn.append(text(LABEL - 8, top + 14, label, anchor="end"))
        for part, value in values.items():
            colour = COLOURS[parts.index(part)]
            drawn.append(f'<rect x="{left:.1f}" y="{top}" width="{value * scale:.1f}" height="20" fill="{colour}"/>')
            left += value * scale
        drawn.append(text(left + 6, top + 14, f"{sum(values.values()):.3g} {unit}"))
    return figure(title, parts, drawn, 60 + len(rows) * ROW + 10)


def lines(title, series, unit):
    """`series`: {label: [(x, value)]}; both axes logarithmic, the x values written where they are."""
    points = [point for found in series.values() for point in found]
    places = sorted({x for x, _ in points})
    least, most = min(value for _, value in points) / 1.5, max(value for _, value in points) * 1.5

    def across(x):
        first, last = log10(places[0]), log10(places[-1])
        return 60 + (WIDTH - 160) * (log10(x) - first) / ((last - first) or 1)

    def down(value):
        return 60 + (LINES - 60) * (log10(most) - log10(value)) / (log10(most) - log10(least))

    drawn = [text(across(x), LINES + 22, f"{x:,}", anchor="middle") for x in places]
    for number, found in enumerate(series.values()):
        path = " ".join(f"{across(x):.1f},{down(value):.1f}" for x, value in found)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[number]}" stroke-width="2"/>')
        for x, value in found:
            drawn.append(f'<circle cx="{across(x):.1f}" cy="{down(value):.1f}" r="3" fill="{COLOURS[number]}"/>')
        drawn.append(text(across(found[-1][0]) + 8, down(found[-1][1]) + 4, f"{found[-1][1]:.3g} {unit}"))
    return figure(title, list(series), drawn, LINES + 40)


def figure(title, legend, drawn, height):
    head = [text(10, 22, title, weight="bold")]
    left = 10
    for number, label in enumerate(legend):
        head.append(f'<rect x="{left}" y="36" width="10" height="10" fill="{COLOURS[number]}"/>')
        head.append(text(left + 14, 45, label))
        left += 30 + 7 * len(label)
    body = "\n".join([*head, *drawn])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def text(x, y, said, *, anchor="start", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(said)}</text>'
