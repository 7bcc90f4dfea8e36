"""Draws `docs/rooms.svg`: the rooms on their floors, and who takes from whom. `make picture` runs it.

An arrow stands for imports between two rooms, unless a way over other arrows says the same; all rooms may take from the
words on the ground, and no arrow says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.house import ROOT, sources
from tests.test_house import DOOR, FLOORS, GROUND, WHEEL, room_of

PICTURE = ROOT / "docs" / "rooms.svg"
#: The face of the whole package is everywhere and nowhere.
LEFT_OUT = (DOOR, "__main__", *GROUND)
WIDTH, ROW, TOP, LEFT = 980, 96, 24, 74
BOX_HEIGHT, LETTER, ASIDE = 34, 8.4, 42


def rooms() -> dict[int, list[str]]:
    """The rooms of each floor above the ground that hold a file."""
    there = {room_of(source.module) for source in sources(*WHEEL)}
    floors: dict[int, list[str]] = {}
    for room, floor in FLOORS.items():
        if room in there and room not in LEFT_OUT:
            floors.setdefault(floor, []).append(room)
    return floors


def takes_from() -> dict[str, set[str]]:
    """The rooms that each room imports."""
    drawn = {room for floor in rooms().values() for room in floor}
    taken: dict[str, set[str]] = {room: set() for room in drawn}
    for source in sources(*WHEEL):
        here = room_of(source.module)
        if here in drawn:
            others = {there for found in source.imports if (there := room_of(found.name)) in drawn}
            # what a face hands on for people lies above it: no file of the project takes it there
            taken[here] |= {there for there in others if there is not None and FLOORS[there] < FLOORS[here]}
    return taken


def arrows(taken: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """The pairs that no way over others says."""
    reached: dict[str, set[str]] = {}
    for room in sorted(taken, key=lambda room: FLOORS[room]):
        reached[room] = taken[room].union(*(reached.get(below, set()) for below in taken[room]))
    return [
        (room, below)
        for room in sorted(taken)
        for below in sorted(taken[room])
        if not any(below in reached[other] for other in taken[room] - {below})
    ]


def boxes(floors: Mapping[int, list[str]]) -> dict[str, tuple[float, float, float]]:
    """Left, top and width of the box of each room."""
    placed = {}
    highest = max(floors)
    for floor, names in floors.items():
        share = (WIDTH - LEFT - 2 * ASIDE) / len(names)
        first = LEFT + ASIDE + ASIDE * (-1) ** floor  # every other floor aside, so that fewer arrows run behind a box
        for place, name in enumerate(names):
            width = len(name) * LETTER + 24
            placed[name] = (first + share * (place + 0.5) - width / 2, TOP + ROW * (highest - floor), width)
    return placed


def lines() -> Iterator[str]:
    """The picture, line by line."""
    floors = rooms()
    placed, highest = boxes(floors), max(floors)
    height = TOP + ROW * highest + BOX_HEIGHT + TOP
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
    yield 'font-family="monospace" font-size="14">'
    yield '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path d="M0 0 L8 4 L0 8 z" fill="#5b6b7f"/></marker></defs>'
    yield f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    for floor in range(highest + 1):
        y = TOP + ROW * (highest - floor)
        yield f'<rect y="{y - 12}" width="{WIDTH}" height="{BOX_HEIGHT + 24}" fill="#f3f5f8"/>'
        yield f'<text x="14" y="{y + 22}" fill="#5b6b7f">floor {floor}</text>'
    for room, below in arrows(takes_from()):
        (x, y, width), (to_x, to_y, to_width) = placed[room], placed[below]
        start, end, bottom = x + width / 2, to_x + to_width / 2, y + BOX_HEIGHT
        bend = min(0.5 * (to_y - bottom), 60.0)
        way = f"M{start:.0f} {bottom} C{start:.0f} {bottom + bend:.0f} {end:.0f} {to_y - bend:.0f} {end:.0f} {to_y}"
        yield f'<path d="{way}" fill="none" stroke="#5b6b7f" stroke-width="1.2" marker-end="url(#tip)"/>'
    for room, (x, y, width) in placed.items():
        size = f'width="{width:.0f}" height="{BOX_HEIGHT}"'
        yield f'<rect x="{x:.0f}" y="{y}" {size} rx="5" fill="#fff" stroke="#23364d"/>'
        yield _words(x + width / 2, y + 22, room)
    y = TOP + ROW * highest
    words = [*GROUND]
    for row, part in enumerate((words[: len(words) // 2], words[len(words) // 2 :])):
        yield _words((LEFT + WIDTH) / 2, y + 13 + 20 * row, " ".join(part))
    yield "</svg>"


def _words(middle: float, y: float, text: str) -> str:
    return f'<text x="{middle:.0f}" y="{y}" text-anchor="middle" fill="#23364d">{text}</text>'


def picture() -> str:
    """The whole picture as SVG."""
    return "\n".join(lines()) + "\n"


def main(path: Path = PICTURE) -> None:
    """Write it."""
    path.write_text(picture(), "utf-8")


if __name__ == "__main__":
    main()
