"""The renderer: where things are seen, how light falls, and that our detectors take a rendered head for a face."""

from __future__ import annotations

import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.lab.presentations import gear, heads
from gatevault.lab.presentations.canvas import Canvas, Mesh, Sees, Surface
from gatevault.lab.presentations.carriers import Carrier, Paper, Sheet, bent
from gatevault.lab.presentations.challenge import BEGINS_S, IR, LED, RGB, draw_challenge
from gatevault.lab.presentations.figure import PIVOT, Mien
from gatevault.lab.presentations.light import Lights
from gatevault.lab.presentations.living import figure_of
from gatevault.lab.presentations.motion import WILLING, Bearing, Move, Pose, Wander, answer
from gatevault.lab.presentations.people import Identities, public_domain
from gatevault.lab.presentations.raster import Floats, Lens, rasterise
from gatevault.lab.presentations.scene import Person, Scene, draw_background
from gatevault.lab.presentations.sensor import draw_sensor, linear_from, pixels_from
from gatevault.lab.presentations.species import ATTACKS, SPECIES, draw
from gatevault.vision import models
from gatevault.vision.frame import Pixels
from gatevault.vision.models import Models

LENS = Lens(280.0, 180, 320)
NO_SWAY = (Wander((), (), ()),) * 6
CALM = Mien((), ())


@pytest.fixture(scope="module")
def networks() -> Models:
    return models.load()


@pytest.fixture(scope="module")
def people(portraits: tuple[Pixels, Pixels], networks: Models) -> Identities:
    """The demo's two people on built-in heads."""
    return public_domain(networks)


def lights(led: float = 0.8) -> Lights:
    return Lights(
        ambient=np.full(3, 0.6),
        lamp=np.full(3, 0.4),
        towards_lamp=np.array((0.0, -0.6, -0.8)),
        led=led,
        led_at=np.array((0.03, 0.0, 0.0)),
        infrared=0.3,
        infrared_led=1.0,
    )


def still(yaw: float = 0.0, distance: float = 0.6) -> Bearing:
    return Bearing(Pose(yaw, 0.0, 0.0, (0.0, 0.05, distance + 0.095)), (), NO_SWAY)


def person(people: Identities, yaw: float = 0.0, distance: float = 0.6) -> Person:
    return Person(figure_of(people.people[1], people), still(yaw, distance), CALM)


# --- geometry ------------------------------------------------------------------------------------------


def test_a_point_is_seen_where_a_pinhole_camera_sees_it() -> None:
    seen = LENS.project(np.array(((0.0, 0.0, 1.0), (0.1, -0.05, 0.5))))
    assert np.allclose(seen, ((159.5, 89.5), (159.5 + 280 * 0.2, 89.5 - 280 * 0.1)))


def test_attributes_are_interpolated_with_perspective() -> None:
    """A floor that runs away from the camera: a texture's place is linear in space, not in the picture."""
    points = np.array(((-1.0, 0.5, 1.0), (1.0, 0.5, 1.0), (1.0, 0.5, 3.0), (-1.0, 0.5, 3.0)))
    found = rasterise(LENS, points, np.array(((0, 1, 2), (0, 2, 3))), points[:, 2:3], cull=False)
    rows = found.places // LENS.width
    depth = 280 * 0.5 / (rows - 89.5)
    assert len(rows) > 1_000
    assert np.allclose(found.attributes[:, 0], depth, atol=1e-3)


def test_the_nearer_triangle_hides_the_farther_one_and_backs_are_not_drawn() -> None:
    near = np.array(((-0.1, 0.1, 0.5), (0.1, 0.1, 0.5), (0.0, -0.1, 0.5)))
    far = near * (2.0, 2.0, 2.0)
    points, depth = np.vstack((near, far)), np.repeat((0.5, 1.0), 3)[:, None]
    both = rasterise(LENS, points, np.array(((0, 1, 2), (3, 4, 5))), depth)
    assert len(np.unique(both.places)) == len(both.places)
    assert both.attributes[:, 0] == pytest.approx(0.5)
    assert len(rasterise(LENS, points, np.array(((0, 2, 1),)), depth).places) == 0


def test_two_triangles_leave_no_seam() -> None:
    points = np.array(((-0.2, 0.1, 0.5), (0.2, 0.1, 0.55), (0.2, -0.1, 0.6), (-0.2, -0.1, 0.5)))
    found = rasterise(LENS, points, np.array(((0, 1, 2), (0, 2, 3))), np.zeros((4, 1)))
    rows, columns = divmod(found.places, LENS.width)
    for row in np.unique(rows):
        across = np.sort(columns[rows == row])
        assert np.array_equal(across, np.arange(across[0], across[-1] + 1))


@pytest.mark.parametrize("yaw", [-0.5, 0.35])
def test_the_nose_of_a_turned_head_runs_ahead_of_its_eyes_as_its_depth_demands(
    people: Identities, yaw: float
) -> None:
    someone = person(people, yaw)
    figure = someone.figure
    marks = np.stack([figure.landmark(n) for n in (heads.NOSE_TIP, 39, 42)])
    ahead = person(people).bearing.at(0.0).placed(marks, PIVOT)
    turned = someone.bearing.at(0.0).placed(marks, PIVOT)
    moved = LENS.project(turned)[:, 0] - LENS.project(ahead)[:, 0]
    depth = (marks[0, 2] - marks[1:, 2].mean()) / 1e3
    expected = 280 / 0.6 * depth * np.sin(yaw)  # to first order: the eyes lie at about 0.6 m
    assert moved[0] - moved[1:].mean() == pytest.approx(expected, rel=0.25)
    assert np.sign(moved[0]) == np.sign(yaw)  # their left is the picture's right


def test_landmarks_lie_where_the_mesh_is_drawn(people: Identities) -> None:
    """The drawn nose is nearest to the camera, at the place to which its landmark projects."""
    someone = person(people)
    mesh = someone.figure.meshes(someone.bearing, CALM, 0.0)[-1]
    found = rasterise(LENS, mesh.points, mesh.triangles, mesh.points[:, 2:3])
    nearest = found.places[np.argmin(found.attributes[:, 0])]
    tip = someone.bearing.at(0.0).placed(someone.figure.landmark(heads.NOSE_TIP)[None], PIVOT)
    seen = LENS.project(tip)[0]
    assert np.hypot(nearest % LENS.width - seen[0], nearest // LENS.width - seen[1]) < 5.0


def test_a_flat_sheet_stays_flat_and_a_bent_one_keeps_its_length() -> None:
    along = np.linspace(-100.0, 100.0, 401)
    x, z, _ = bent(along, 0.0)
    assert np.array_equal(x, along)
    assert not z.any()
    x, z, angle = bent(along, 1.0 / 120.0)
    assert np.hypot(np.diff(x), np.diff(z)).sum() == pytest.approx(200.0, rel=1e-4)
    assert z[0] == z.min() == pytest.approx(-120.0 * (1.0 - np.cos(100 / 120)))
    assert angle[-1] == pytest.approx(100 / 120)


def test_a_moved_print_moves_by_a_homography() -> None:
    """What a flat print shows in any pose is a plane: its corners tell where all its other points are."""
    albedo = np.zeros((60, 60, 4), np.float32)
    seen = []
    for yaw in (0.0, 0.6):
        bearing = Bearing(Pose(yaw, 0.1, 0.2, (0.02, 0.0, 0.5)), (), NO_SWAY)
        sheet = Sheet(-80.0, 80.0, -100.0, 100.0)
        carrier = Carrier(sheet, (60, 60), Paper(Surface(albedo), sheet, lights(), printer()), bearing)
        points, _, places = carrier._shape(0.0)
        seen.append(LENS.project(bearing.at(0.0).placed(points, np.zeros(3))))
    matrix = homography(seen[0][[0, 24, 350, 374]], seen[1][[0, 24, 350, 374]])
    moved = np.column_stack((seen[0], np.ones(len(seen[0])))) @ matrix.T
    assert np.allclose(moved[:, :2] / moved[:, 2:], seen[1], atol=1e-6)
    assert places.min() == 0.0


def printer(gloss: float = 0.0) -> gear.Printer:
    return gear.Printer(0.04, 0.85, 1.0, 1.0, 0.1, 0.8, 0.1, 0.0, gloss, 10.0)


def homography(first: Floats, second: Floats) -> Floats:
    rows = []
    for (x, y), (u, v) in zip(first, second, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    return np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)


# --- light ---------------------------------------------------------------------------------------------


def test_the_lamp_falls_off_with_the_square_of_the_distance_and_the_cosine() -> None:
    points = np.array(((0.03, 0.0, 0.6), (0.03, 0.0, 1.2), (0.03, 0.0, 0.6)))
    facing, aslant = (0.0, 0.0, -1.0), (0.0, np.sin(1.0), -np.cos(1.0))
    light = lights(0.8).on(points, np.array((facing, facing, aslant)))
    assert light[:, 3] == pytest.approx([0.8, 0.2, 0.8 * np.cos(1.0)], rel=1e-5)


def test_the_lamp_brightens_a_head_more_than_what_is_behind_it(people: Identities) -> None:
    chance = np.random.default_rng(5)
    background = draw_background(LENS, lights(), Sees(True, False), chance)
    canvas = Canvas(LENS, background.sees)
    places = Scene(LENS, lights(), background, (person(people),)).at(canvas, 0.0)
    gain = canvas.led[:, 1] / np.maximum(canvas.steady[:, 1], 1e-4)
    beside = np.ones(len(gain), np.bool_)
    beside[places] = False
    assert np.median(gain[places]) > 3.0 * np.median(gain[beside])


def test_light_has_relief_on_a_head_and_none_on_paper(people: Identities) -> None:
    """The log ratio lit/unlit, a quadratic removed: what the LED tier rests on."""
    chance = np.random.default_rng(3)
    background = draw_background(LENS, lights(), Sees(True, False), chance)
    sheet = Sheet(-90.0, 90.0, -100.0, 100.0)
    albedo = np.full((64, 64, 4), 0.4, np.float32)
    bearing = Bearing(Pose(0.3, 0.1, 0.0, (0.0, 0.0, 0.6)), (), NO_SWAY)
    paper = Carrier(sheet, (64, 64), Paper(Surface(albedo), sheet, lights(), printer()), bearing)
    relief = []
    for actor in (person(people), paper):
        canvas = Canvas(LENS, background.sees)
        places = Scene(LENS, lights(), background, (actor,)).at(canvas, 0.0)
        ratio = np.log(1.0 + canvas.led[places, 1] / np.maximum(canvas.steady[places, 1], 1e-4))
        y, x = (part / 100.0 for part in divmod(places, LENS.width))
        terms = np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), axis=1)
        rest = ratio - terms @ np.linalg.lstsq(terms, ratio, rcond=None)[0]
        relief.append(float(rest.std()))
    assert relief[0] > 10.0 * relief[1]


def test_rows_of_a_rolling_shutter_see_an_edge_of_the_lamp_one_after_the_other() -> None:
    sensor = draw_sensor(np.random.default_rng(1), 0.2, gear.Camera(0.02, 0.5, 0.002, 0.01, 0))
    lit = sensor.lit(((1.0, True), (1.1, False)), 1.03, 100)
    assert np.all(np.diff(lit) >= 0.0)
    assert sensor.lit(((1.0, True), (1.1, False)), 1.09, 100).min() == pytest.approx(1.0, abs=1e-5)
    assert sensor.lit(((1.0, True), (1.1, False)), 0.99, 100).max() == 0.0
    assert sensor.lit((), 1.0, 100).max() == 0.0
    assert sensor.lit(((1.0, False),), 0.99, 100).min() == pytest.approx(1.0, abs=1e-5), "lit until then"


def test_light_becomes_pixels_and_light_again() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    assert np.abs(pixels_from(linear_from(pixels)).astype(int) - pixels).max() <= 1
    assert pixels_from(np.array((-1.0, 2.0), np.float32)).tolist() == [0, 255]


def test_infrared_inks_differ() -> None:
    """A print of dyes is pale in the near infrared; carbon black shows."""
    from dataclasses import replace

    from gatevault.lab.presentations.carriers import printed

    picture = np.full((8, 8, 3), 0.05, np.float32)
    chance = np.random.default_rng(1)
    dye, carbon = (printed(picture, replace(printer(), infrared_ink=ink), 1.0, chance) for ink in (0.0, 1.0))
    assert dye[..., 3].min() == pytest.approx(0.8, abs=1e-5)
    assert carbon[..., 3].max() < 0.2


# --- presentations -------------------------------------------------------------------------------------


def test_a_movement_is_smooth_and_stays_where_it_went() -> None:
    move = Move(1.0, 0.5, 0.5)
    times = np.arange(0.0, 3.0, 0.01)
    angles = np.array([move.at(float(at)) for at in times])
    assert not angles[times <= 1.0].any()
    assert angles[times >= 1.5] == pytest.approx(0.5)
    assert np.abs(np.diff(angles)).max() < 0.5 * 1.9 / 0.5 * 0.01


def yaw(moves: tuple[Move, ...], at: float) -> float:
    return sum(move.at(at) for move in moves)


def test_people_look_where_an_arrow_is_lit_for_as_long_as_it_is() -> None:
    chance = np.random.default_rng(1)
    for _ in range(50):
        moves = answer(
            chance, ((0.5, "ahead"), (1.0, "left"), (4.0, "left"), (7.0, "right"), (10.0, "ahead")), WILLING
        )
        assert 0.2 <= moves[0].begins - 1.0 <= 1.5, "within the time that a gate gives"
        assert yaw(moves, 1.2) == 0.0
        assert yaw(moves, 7.0) > np.radians(17.0 * 0.8) > 0.0
        assert yaw(moves, 10.0) < -np.radians(17.0 * 0.8)
        assert yaw(moves, 13.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("tier", [RGB, LED, IR])
def test_a_challenge_is_the_gates_own(tier: str) -> None:
    challenge = draw_challenge(tier, np.random.default_rng(1))
    if tier == RGB:
        assert len(challenge.prompts) == 3
        assert challenge.prompts[0][0] >= BEGINS_S
    edges = challenge.led if tier == LED else challenge.ir_led
    assert [lit for _, lit in edges] == [n % 2 == 1 for n in range(len(edges))]
    assert (len(edges) > 0) is (tier != RGB)
    with pytest.raises(ValueError, match="no tier"):
        draw_challenge("thermal", np.random.default_rng(1))


def test_the_same_seed_gives_the_same_pixels_another_split_others(people: Identities) -> None:
    first, again, other = (
        draw("print-moved", LED, 1, people, split, rate=4.0, size=(90, 160)) for split in ("tune", "tune", "test")
    )
    assert np.array_equal(first.frames, again.frames)
    assert first.parameters == again.parameters
    assert first.led == again.led
    assert first.parameters["identity"] != other.parameters["identity"]
    assert first.led != other.led


def test_a_second_try_is_the_same_person_under_another_challenge(people: Identities) -> None:
    first, second = (draw("bona-fide", RGB, 3, people, "tune", rate=2.0, size=(45, 80), attempt=n) for n in (0, 1))
    assert first.parameters["identity"] == second.parameters["identity"]
    assert first.parameters["manner"] == second.parameters["manner"]
    assert first.prompts != second.prompts


def test_tuning_and_testing_share_no_person_and_no_gear(people: Identities) -> None:
    labels = [{person.label for person in people.of(split)} for split in ("tune", "test")]
    assert not labels[0] & labels[1]
    for makes in (gear.cameras, gear.printers, gear.phones, gear.tablets):
        assert not set(makes("tune")) & set(makes("test"))
    with pytest.raises(UsageError, match="no split"):
        people.of("both")


def test_unknown_kinds_are_refused_with_those_that_there_are(people: Identities) -> None:
    with pytest.raises(UsageError, match="print-moved"):
        draw("mask-3d", RGB, 1, people, "tune")
    with pytest.raises(UsageError, match="rgb, led, ir"):
        draw("relay", "thermal", 1, people, "tune")


@pytest.mark.parametrize("species", list(SPECIES))
def test_every_species_shows_a_face(species: str, people: Identities, networks: Models) -> None:
    """dlib's detector finds one in every presentation, and the infrared camera has as many frames."""
    shown = draw(species, IR, 2, people, "tune", rate=2.0)
    assert shown.species == species
    assert shown.ir is not None
    assert shown.ir.shape == shown.frames.shape[:3]
    assert shown.frames.flags.c_contiguous
    faces = networks.detector.find(np.array(shown.frames[1]), 0.0, 1)
    assert faces
    assert 70 < faces[0].box.width < 260


def test_screens_are_dark_in_the_infrared(people: Identities) -> None:
    shown = draw("replay-tablet", IR, 4, people, "tune", rate=2.0, size=(180, 320))
    alive = draw("bona-fide", IR, 4, people, "tune", rate=2.0, size=(180, 320))
    assert shown.ir is not None
    assert alive.ir is not None
    middle = (slice(None), slice(80, 100), slice(150, 170))
    assert np.median(shown.ir[middle]) < 0.5 * np.median(alive.ir[middle])


def test_the_built_in_head_is_found_by_dlib_in_every_frame_of_a_turn(people: Identities, networks: Models) -> None:
    shown = draw("bona-fide", RGB, 1, people, "test", rate=3.0)
    found = [bool(networks.detector.find(np.array(frame), None, 1)) for frame in shown.frames]
    assert np.mean(found) >= 0.9


def test_species_are_those_of_the_table() -> None:
    assert set(ATTACKS) == set(SPECIES) - {"bona-fide"}


def test_a_mesh_outside_the_picture_draws_nothing() -> None:
    canvas = Canvas(LENS, Sees(False, False))
    surface = Surface(np.ones((4, 4, 4), np.float32))
    points = np.array(((5.0, 0.0, 1.0), (5.1, 0.0, 1.0), (5.0, 0.1, 1.0)))
    mesh = Mesh(points, np.array(((0, 1, 2),)), np.zeros((3, 2)), np.tile((0.0, 0.0, -1.0), (3, 1)), surface)
    assert len(canvas.draw(mesh, lights(), cull=False)) == 0
    behind = Mesh(points - (5.0, 0.0, 3.0), mesh.triangles, mesh.places, mesh.normals, surface)
    assert len(canvas.draw(behind, lights(), cull=False)) == 0
