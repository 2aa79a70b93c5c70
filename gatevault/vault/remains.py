"""Looks through the bytes of an SQLite file for what deleted rows have left there.

Every byte of the file belongs to the header, a page's own header and pointers, a live cell, or nothing. What
belongs to nothing must be zero, for `secure_delete` overwrites what it frees and VACUUM leaves no room:

    free pages          leaf pages whole; trunk pages beyond their list of leaves
    b-tree pages        between the pointers and the cells, in free blocks beyond their 4-byte header, and
                        fragments of 1 to 3 bytes between cells
    overflow pages      beyond the end of the payload
    pages of no tree    whole

Three leftovers of SQLite that hold nothing of a row are passed over: stale page numbers behind a trunk's list,
stale offsets of cells behind a page's pointers, and the header of a free block that the room before the cells
has swallowed (`_ghosts`). The format: https://www.sqlite.org/fileformat2.html

Seen with SQLite 3.40 and `secure_delete`: after VACUUM nothing remains in tables without rowid, elsewhere at most a
copy of a live index entry. Without VACUUM free pages are zero, but where SQLite moves cells between pages some
bytes of them stay in the room before the cells, now and then of a row that was deleted since.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_HEADER: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
_INTERIOR_TABLE: Final = 5
_LEAF_TABLE: Final = 13
_INTERIOR: Final = (2, _INTERIOR_TABLE)
_KINDS: Final = (*_INTERIOR, 10, _LEAF_TABLE)
_LEAST_CELL: Final = 4
_ROOT_COLUMN: Final = 3  # in a row of sqlite_schema: after type, name and tbl_name


class Where(StrEnum):
    """The places that belong to nothing."""

    FREE_PAGE = "a free page"
    FREE_LIST = "the list of free pages"
    ROOM = "the room between cells"
    OVERFLOW = "the end of a long row"
    NO_TREE = "a page that nothing refers to"


@dataclass(frozen=True, slots=True)
class Remain:
    """`count` bytes that are not zero in one place on `page` (from 1), the first of them at `offset`."""

    page: int
    offset: int
    count: int
    where: Where

    def __str__(self) -> str:
        return f"{self.count} bytes in {self.where} (page {self.page}, offset {self.offset})"


def remains(content: bytes) -> list[Remain]:
    """What is not zero in an SQLite file and belongs to nothing. ValueError for a file that cannot be followed.

    The file must be whole: its WAL brought into it, and no auto_vacuum.
    """
    try:
        return _Walk(content).found()
    except IndexError:
        raise ValueError("a page points beyond its end") from None


class _Walk:
    def __init__(self, content: bytes) -> None:
        if len(content) < _HEADER or content[:16] != _MAGIC or content[20] != 0 or any(content[52:56]):
            raise ValueError("not an SQLite file of ours")
        size = int.from_bytes(content[16:18], "big")
        self._size = 65536 if size == 1 else size
        self._content = content
        self._pages, rest = divmod(len(content), self._size or 1)
        if not self._size or rest:
            raise ValueError("not a whole number of pages")
        self._used = bytearray(self._pages + 1)
        self._remains: list[Remain] = []

    def found(self) -> list[Remain]:
        self._free_list()
        for root in self._tree(1, schema=True):
            self._tree(root)
        for page in range(1, self._pages + 1):
            if not self._used[page]:
                self._zero(page, 0, self._size, Where.NO_TREE)
        return sorted(self._remains, key=lambda remain: (remain.page, remain.offset))

    # --- pages -------------------------------------------------------------------------------

    def _take(self, number: int) -> bytes:
        """A page's bytes, once."""
        if not 1 <= number <= self._pages or self._used[number]:
            raise ValueError(f"page {number} is used twice, or not there")
        self._used[number] = 1
        return self._content[(number - 1) * self._size : number * self._size]

    def _zero(self, page: int, start: int, end: int, where: Where) -> None:
        begin = (page - 1) * self._size
        piece = self._content[begin + start : begin + end]
        if count := len(piece) - piece.count(0):
            first = len(piece) - len(piece.lstrip(b"\0"))
            self._remains.append(Remain(page, start + first, count, where))

    def _free_list(self) -> None:
        trunk, total = _u32(self._content, 32), _u32(self._content, 36)
        seen = 0
        while trunk:
            page = self._take(trunk)
            count = _u32(page, 4)
            if 8 + 4 * count > self._size:
                raise ValueError("a free list is longer than its page")
            end = 8 + 4 * count
            while end + 4 <= self._size and 0 < _u32(page, end) <= self._pages:
                end += 4
            self._zero(trunk, end, self._size, Where.FREE_LIST)
            for at in range(8, 8 + 4 * count, 4):
                leaf = _u32(page, at)
                self._take(leaf)
                self._zero(leaf, 0, self._size, Where.FREE_PAGE)
            seen += 1 + count
            trunk = _u32(page, 0)
        if seen != total:
            raise ValueError("the free list is not as long as the header says")

    def _tree(self, root: int, *, schema: bool = False) -> list[int]:
        """Follow one tree; the root pages that its rows name, if it is the schema's."""
        waiting, roots = [root], []
        while waiting:
            number = waiting.pop()
            page = self._take(number)
            start = _HEADER if number == 1 else 0
            kind, count = page[start], _u16(page, start + 3)
            if kind not in _KINDS:
                raise ValueError(f"page {number} is no page of a tree")
            pointers = start + 8
            if kind in _INTERIOR:
                waiting.append(_u32(page, start + 8))
                pointers += 4
            live: list[tuple[int, int]] = []
            for at in range(pointers, pointers + 2 * count, 2):
                begin = _u16(page, at)
                child, local, size, end = self._cell(page, kind, begin)
                waiting += [child] if child else []
                if size > end - local:
                    self._overflow(_u32(page, end), size - (end - local))
                    end += 4
                live.append((begin, max(end, begin + _LEAST_CELL)))
                if schema and kind == _LEAF_TABLE and (named := _root(page[local:end])):
                    roots.append(named)
            self._gaps(number, page, start, pointers + 2 * count, live)
        return roots

    def _cell(self, page: bytes, kind: int, at: int) -> tuple[int, int, int, int]:
        """Child page or 0; where the payload begins; its whole length; where its part on this page ends."""
        child, at = (_u32(page, at), at + 4) if kind in _INTERIOR else (0, at)
        size, at = _varint(page, at)
        if kind == _INTERIOR_TABLE:  # a row's number alone
            return child, at, 0, at
        most = (self._size - 12) * 64 // 255 - 23
        if kind == _LEAF_TABLE:
            most, (_, at) = self._size - 35, _varint(page, at)
        if size <= most:
            return child, at, size, at + size
        least = (self._size - 12) * 32 // 255 - 23
        kept = least + (size - least) % (self._size - 4)
        return child, at, size, at + (kept if kept <= most else least)

    def _overflow(self, number: int, left: int) -> None:
        while left > 0:
            page = self._take(number)
            used = min(left, self._size - 4)
            self._zero(number, 4 + used, self._size, Where.OVERFLOW)
            number, left = _u32(page, 0), left - used

    def _gaps(self, number: int, page: bytes, start: int, end: int, live: list[tuple[int, int]]) -> None:
        """What lies between the pointers, the cells and the headers of free blocks."""
        taken = sorted(live)
        block = _u16(page, start + 1)
        while block:
            taken.append((block, block + 4))
            following = _u16(page, block)
            if following and following <= block:
                raise ValueError("free blocks out of order")
            block = following
        content = min([begin for begin, _ in taken], default=self._size)
        while end + 2 <= content and 0 < _u16(page, end) < self._size:
            end += 2
        taken += _ghosts(page, end, content, {self._size, *(edge for cell in live for edge in cell)})
        for begin, after in sorted(taken):
            if begin < end:
                raise ValueError(f"cells overlap on page {number}")
            self._zero(number, end, begin, Where.ROOM)
            end = after
        if end > self._size:
            raise ValueError(f"a cell leaves page {number}")
        self._zero(number, end, self._size, Where.ROOM)


def _ghosts(page: bytes, end: int, content: int, edges: set[int]) -> list[tuple[int, int]]:
    """Headers (next block, size) of freed room that lay first: each ends at a cell's edge or another of them."""
    found: list[tuple[int, int]] = []
    while (last := len(page[:content].rstrip(b"\0"))) > end:
        for start in (last - 4, last - 3):  # the size's low byte may be zero
            if end <= start <= content - 4 and start + _u16(page, start + 2) in edges:
                break
        else:
            break
        found.append((start, start + 4))
        edges.add(start)
        content = start
    return found


def _root(payload: bytes) -> int:
    """The root page that a row of sqlite_schema names; 0 for a view or trigger."""
    header, at = _varint(payload, 0)
    kinds = []
    while at < header:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    begin, kind = header + sum(map(_length, kinds[:_ROOT_COLUMN])), kinds[_ROOT_COLUMN]
    return int.from_bytes(payload[begin : begin + _length(kind)], "big") or (1 if kind == 9 else 0)


def _length(kind: int) -> int:
    """Bytes of a value by its serial type."""
    return (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]


def _u16(page: bytes, at: int) -> int:
    return page[at] << 8 | page[at + 1]


def _u32(page: bytes, at: int) -> int:
    return _u16(page, at) << 16 | _u16(page, at + 2)


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for end in range(at + 1, at + 9):
        byte = page[end - 1]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, end
    return value << 8 | page[at + 8], at + 9
