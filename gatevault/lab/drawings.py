"""`python -m gatevault.lab.drawings [FOLDER]`: write the wiring drawings and the profiles' schema into `hardware/`.

One SVG a board and language; a board that is on no real header is not drawn.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gatevault.core.board import Board, Header, schema
from gatevault.core.drawing import Language, sheet

HARDWARE = Path(__file__).parents[2] / "hardware"


def texts(hardware: Path) -> Iterator[tuple[Path, str]]:
    """Each file that is made from the profiles of `hardware/boards`, and its content."""
    yield hardware / "boards" / "schema.json", json.dumps(schema(), indent=2) + "\n"
    for path in sorted((hardware / "boards").glob("*.toml")):
        board = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Board)
        if board.header is Header.PI:
            for language in Language:
                yield hardware / "drawings" / f"{board.name}.{language.value}.svg", sheet(board, language)


def main(arguments: list[str]) -> int:
    for path, text in texts(Path(arguments[0]) if arguments else HARDWARE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
