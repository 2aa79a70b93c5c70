"""Figures of the models: `python -m gatevault.lab.calibrate PEOPLE.npz GROUPS.npz --exclude PHOTOS`.

PEOPLE.npz has `identity` (n,) and embeddings by network: the reference population, with several photos of some.
GROUPS.npz has `group` (n,) and the same: one photo a person, some hundreds of people a group.

Half of each is used: people of even identity, and the even rows of each group. The others stay unseen, so that
the figures can be tried on them; so do the people of PHOTOS, who walk up in the tests. What is kept are means,
covariances and tails over at least 150 people, never a vector of anybody.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Source
from gatevault.core.errors import GateVaultError, UsageError
from gatevault.lab.fitting import CAUTION, SHIPPED, Fit
from gatevault.lab.leave_out import leave_out
from gatevault.lab.sets import MODELS, embeddings, read_set


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gatevault.lab.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("people", type=Path)
    parser.add_argument("groups", type=Path)
    parser.add_argument("--exclude", type=Path, metavar="PHOTOS", help="photographs of people to leave unseen")
    parser.add_argument("--out", type=Path, default=Path("gatevault/calibrations"))
    told = parser.parse_args(arguments)
    try:
        _write(told.people, told.groups, told.exclude, told.out)
    except GateVaultError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


def _write(people_file: Path, groups_file: Path, exclude: Path | None, out: Path) -> None:
    people, groups = read_set(people_file, "identity"), read_set(groups_file, "group")
    identity, group = people["identity"], groups["group"]
    if exclude is not None and "dlib" not in people:
        raise UsageError(f"{people_file} has no embeddings of dlib, by which --exclude knows its people.")
    unseen = leave_out(exclude, people["dlib"], identity).identities if exclude else frozenset()
    used_people = (identity % 2 == 0) & ~np.isin(identity, list(unseen))
    used_groups = np.zeros(len(group), bool)
    for name in np.unique(group):
        used_groups[np.flatnonzero(group == name)[::2]] = True
    sources = (_source(people_file, used_people), _source(groups_file, used_groups))
    out.mkdir(parents=True, exist_ok=True)
    for name, layouts in MODELS.items():
        rows, in_groups = embeddings(people, name), embeddings(groups, name)
        by_person = [rows[used_people & (identity == who)] for who in np.unique(identity[used_people])]
        by_group = {str(g): in_groups[used_groups & (group == g)] for g in np.unique(group)}
        data = Fit(by_group, by_person, layouts, SHIPPED, CAUTION).pack(name, sources)
        (out / f"{name}.cal").write_bytes(data)
        sys.stdout.write(f"{name}: {len(data)} bytes, {len(by_person)} people and {len(by_group)} groups\n")


def _source(path: Path, used: npt.NDArray[np.bool_]) -> Source:
    return Source(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), np.packbits(used).tobytes())


if __name__ == "__main__":
    sys.exit(main())
