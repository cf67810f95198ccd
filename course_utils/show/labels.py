"""Names beside points and line ends, placed where they print over nothing.

Places are in points (1/72 inch), the unit of letters, so that what fits is known before drawing.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.textpath import TextPath

_LINE = 1.35  # from one line of text to the next, as a share of the letters' size
_RADIUS = 9.0  # of a marker, in points

Box = tuple[float, float, float, float]  # left, bottom, right, top


def name_points(
    axes,
    points,
    names: Sequence[str],
    size: float,
    lines: Sequence[float | None] = (),
) -> None:
    """Write each name near its point: right of it if that is free, else above, below, left.

    `lines` are heights of lines across the axes that names should keep off, None for absent. Set
    the axes' limits and scales first: the distances are those of the picture as drawn.
    """
    middles = _in_points(axes, points)
    frame = _frame(axes)
    taken: list[Box] = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in middles]
    for _, y in _in_points(axes, [(points[0][0], line) for line in lines if line is not None]):
        taken.append((frame[0], y - 2, frame[2], y + 2))
    for (x, y), point, name in zip(middles, points, names, strict=True):
        width, height = TextPath((0, 0), name, size=size).get_extents().width, _LINE * size
        boxes = list(_candidates(x, y, width, height))
        box = min(boxes, key=lambda b: (_cost(b, taken, frame), boxes.index(b)))
        taken.append(box)
        left, bottom, right, top = box
        far = max(abs((left + right) / 2 - x) - width / 2, abs((bottom + top) / 2 - y)) > 30
        axes.annotate(
            name,
            point,
            xytext=(left - x, (bottom + top) / 2 - y),
            textcoords="offset points",
            va="center",
            fontsize=size,
            arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 1} if far else None,
            annotation_clip=False,
        )


def name_ends(axes, points, names: Sequence[str], size: float, colours: Sequence[str]) -> None:
    """Write each line's name right of the axes, at the height of the line's last point."""
    heights = [y for _, y in _in_points(axes, points)]
    right = _frame(axes)[2]
    middles = _in_points(axes, points)
    for index, y in enumerate(spread(heights, _LINE * size)):
        axes.annotate(
            names[index],
            points[index],
            xytext=(right - middles[index][0] + 10, y - heights[index]),
            textcoords="offset points",
            va="center",
            fontsize=size,
            color=colours[index],
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The places moved so that neighbours are at least `gap` apart, their order kept.

    Places that are too close form a block, laid out evenly around the block's own mean; blocks
    that then touch are joined and laid out again.

    Returns:
        new places, in the order of the input.
    """

    def start(block: list[int]) -> float:
        return sum(places[index] for index in block) / len(block) - gap * len(block) / 2

    blocks: list[list[int]] = []
    for index in sorted(range(len(places)), key=places.__getitem__):
        blocks.append([index])
        while len(blocks) > 1 and start(blocks[-1]) < start(blocks[-2]) + gap * len(blocks[-2]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    moved = [0.0] * len(places)
    for block in blocks:
        for step, index in enumerate(block):
            moved[index] = start(block) + gap / 2 + step * gap
    return moved


def _candidates(x: float, y: float, width: float, height: float):
    """Boxes of this size around a point, the most natural first."""
    near = _RADIUS + 4
    rows = [0.0, *(sign * step * height for step in (0.6, 1.1, 1.7, 2.3) for sign in (1, -1))]
    for row in rows:
        for left in (x + near, x - near - width, x - width / 2):
            if left == x - width / 2 and abs(row) < height:
                continue  # a centred name this close would lie on its own point
            yield (left, y + row - height / 2, left + width, y + row + height / 2)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """Area printed over something else, plus what sticks out of the axes."""
    over = sum(_overlap(box, other) for other in taken)
    return over + (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _in_points(axes, points) -> list[tuple[float, float]]:
    axes.figure.draw_without_rendering()  # lays the picture out, so that places are final
    to_points = 72.0 / axes.figure.dpi
    return [(x * to_points, y * to_points) for x, y in map(axes.transData.transform, points)]


def _frame(axes) -> Box:
    box, to_points = axes.get_window_extent(), 72.0 / axes.figure.dpi
    return tuple(side * to_points for side in (box.x0, box.y0, box.x1, box.y1))
