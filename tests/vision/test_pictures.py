"""The bench's cameras and the pictures people will really put in front of them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.errors import BenchOnlyError, CameraError
from gatevault.vision import MAX_PIXELS, pictures
from gatevault.vision.camera import open_camera
from gatevault.vision.frame import Frame, Pixels
from gatevault.vision.pictures import read_picture


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write RGB (or grey, or RGBA) pixels by path name."""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, order[pixels.shape[2]])
    assert cv2.imwrite(str(path), stored)
    return path


def frames(uri: str, repeat: bool = False, most: int = 100) -> list[Frame]:
    given: list[Frame] = []
    with open_camera(uri, bench=True, repeat=repeat) as camera:
        while len(given) < most and (frame := camera.read()) is not None:
            given.append(frame)
    return given


def test_rgb_order_and_layout(tmp_path: Path) -> None:
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 255
    pixels = read_picture(save(tmp_path / "red.png", red))
    assert np.array_equal(pixels, red)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


def test_greyscale_alpha_and_sixteen_bits_become_rgb(tmp_path: Path) -> None:
    grey = read_picture(save(tmp_path / "grey.png", np.full((5, 7), 99, np.uint8)))
    assert grey.shape == (5, 7, 3)
    assert (grey == 99).all()
    glass = np.dstack([np.full((5, 7), v, np.uint8) for v in (10, 20, 30, 0)])
    assert (read_picture(save(tmp_path / "glass.png", glass)) == (10, 20, 30)).all()
    deep = np.full((5, 7, 3), 200 * 256, np.uint16)
    assert (read_picture(save(tmp_path / "deep.png", deep)) == 200).all()


def test_a_palette_becomes_rgb(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image").new("P", (7, 5), 1)
    image.putpalette([0, 0, 0, 200, 30, 10])
    for name in ("palette.png", "clear.png"):
        image.save(tmp_path / name, **({"transparency": 1} if name == "clear.png" else {}))
        assert (read_picture(tmp_path / name) == (200, 30, 10)).all()
    assert read_picture(tmp_path / name).shape == (5, 7, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".bmp", ".webp", ".tiff", ".ppm"])
def test_other_formats(tmp_path: Path, suffix: str, astronaut: Pixels) -> None:
    path = save(tmp_path / f"a picture with spaces{suffix}", astronaut)
    assert read_picture(path).shape == astronaut.shape
    (frame,) = frames(f"file:{path}")
    assert frame.pixels.shape == astronaut.shape


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert read_picture(save(tmp_path / "dot.png", np.zeros((1, 1, 3), np.uint8))).shape == (1, 1, 3)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    whole = cv2.imencode(".jpg", np.zeros((40, 80, 3), np.uint8))[1].tobytes()
    # APP1 with one IFD entry: orientation (0x0112, SHORT) = 6, "turn right".
    tiff = b"MM\x00*\x00\x00\x00\x08" + b"\x00\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + b"\x00" * 4
    body = b"Exif\x00\x00" + tiff
    path = tmp_path / "phone.jpg"
    path.write_bytes(whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:])
    assert read_picture(path).shape == (80, 40, 3)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.9999])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_cut_short_is_refused_by_name(
    tmp_path: Path, astronaut: Pixels, suffix: str, share: float
) -> None:
    path = save(tmp_path / f"cut{suffix}", astronaut)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CameraError, match=rf"cut\{suffix}"):
        read_picture(path)


def test_a_cut_jpeg_is_not_saved_by_its_thumbnail(tmp_path: Path, astronaut: Pixels) -> None:
    whole = cv2.imencode(".jpg", astronaut)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", astronaut[::8, ::8])[1].tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[:2] + segment + whole[2 : len(whole) * 9 // 10])
    with pytest.raises(CameraError, match=r"cut\.jpg"):
        read_picture(path)
    path.write_bytes(whole[:2] + segment + whole[2:])
    assert read_picture(path).shape == astronaut.shape


@pytest.mark.parametrize("data", [b"", b"no picture at all", b"\xff\xd8", b"\xff\xd8\xff\xff\xff", png(0, 0)])
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.jpg"
    path.write_bytes(data)
    with pytest.raises(CameraError, match=r"odd\.jpg"):
        read_picture(path)


def test_forty_megapixels_are_read_and_one_row_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(8_000, 5_000, (b"\0" + b"\x10\x20\x30" * 8_000) * 5_000))
    pixels = read_picture(path)
    assert pixels.shape == (5_000, 8_000, 3)
    assert (pixels[0, 0] == (16, 32, 48)).all()
    path.write_bytes(png(8_000, 5_001, (b"\0" + bytes(24_000)) * 5_001))
    with pytest.raises(CameraError, match="40 million"):
        read_picture(path)


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    """In a process of its own: OpenCV takes the limit when it is first imported, here by others."""
    path = tmp_path / "huge.png"
    path.write_bytes(png(8_000, 6_000, bytes(8_000 * 6_000 * 3 + 6_000)))
    script = (
        "import resource, sys; from pathlib import Path; from gatevault.vision.pictures import read_picture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_picture(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", script, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert "40 million" in said[0]
    assert int(said[1]) < 20_000, "nothing was decoded (KiB)"
    assert MAX_PIXELS < 8_000 * 6_000


def test_a_huge_picture_is_refused_after_decoding_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenCV was imported before this room, its own limit is larger."""
    path = save(tmp_path / "large.png", np.zeros((10, 10, 3), np.uint8))
    vast = np.broadcast_to(np.uint8(0), (8_000, 6_000, 3))
    monkeypatch.setattr(pictures.cv2, "imdecode", lambda *_: vast)
    with pytest.raises(CameraError, match="40 million"):
        read_picture(path)


def test_the_files_bytes_are_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    decode = cv2.imdecode

    def keeping(data: np.ndarray, flags: int) -> np.ndarray:
        assert data.any()
        kept.append(data)
        return decode(data, flags)

    monkeypatch.setattr(pictures.cv2, "imdecode", keeping)
    read_picture(save(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8)))
    assert not kept[0].any()


def test_a_folder_is_read_in_order_of_name_once_or_again(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.png", 1), ("10.PNG", 0)):
        save(tmp_path / name, np.full((3, 3, 3), value, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_bytes(b"a Mac's shadow file")
    (tmp_path / "inner.png").mkdir()
    assert [int(f.pixels[0, 0, 0]) for f in frames(f"dir:{tmp_path}")] == [0, 1, 2]
    repeated = frames(f"dir:{tmp_path}/", repeat=True, most=7)
    assert [int(f.pixels[0, 0, 0]) for f in repeated] == [0, 1, 2, 0, 1, 2, 0]
    assert [f.index for f in repeated] == list(range(7))


def test_a_broken_picture_in_a_folder_is_named(tmp_path: Path) -> None:
    save(tmp_path / "1.png", np.zeros((3, 3, 3), np.uint8))
    (tmp_path / "2.jpg").write_bytes(b"half a picture")
    with pytest.raises(CameraError, match=r"2\.jpg"):
        frames(f"dir:{tmp_path}")


def test_a_relative_path_is_taken_from_where_the_process_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.png", np.zeros((3, 3, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert len(frames("file:a.png")) == 1
    assert len(frames("dir:.")) == 1


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("", "names no camera"),
        ("clip.mp4", "names no camera"),
        ("file:", "names no camera"),
        ("file:a\0b", "names no camera"),
        ("http://example.org/a.mp4", "no kind of camera"),
        ("rtsp:x", "no kind of camera"),
        ("picamera2:front", "numbered"),
        ("picamera2:²", "numbered"),
    ],
)
def test_what_names_no_camera(uri: str, says: str) -> None:
    with pytest.raises(CameraError, match=says):
        open_camera(uri, bench=True, repeat=False)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("file:{}/none.jpg", "no file"),
        ("file:{}/none.mp4", "no file"),
        ("file:{}", "is a folder"),
        ("dir:{}/none", "cannot be read"),
        ("dir:{}", "no pictures"),
        ("file:{}/clip.mp4", "does not open"),
        ("file:{}/empty.mp4", "is empty"),
        ("file:{}/pipe.mp4", "plain file"),
    ],
)
def test_what_cannot_be_opened_is_told(tmp_path: Path, uri: str, says: str) -> None:
    empty = uri.startswith("dir:")
    if not empty:
        (tmp_path / "clip.mp4").write_bytes(b"no clip" * 100)
        (tmp_path / "empty.mp4").touch()
        os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(CameraError, match=says):
        frames(uri.format(tmp_path))


def test_a_playlist_in_disguise_opens_no_address(tmp_path: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(CameraError):
        frames(f"file:{path}")


@pytest.mark.parametrize("uri", ["file:clip.mp4", "file:photo.jpg", "dir:photos/"])
def test_a_production_state_refuses_bench_cameras(uri: str) -> None:
    with pytest.raises(BenchOnlyError, match="bench"):
        open_camera(uri, bench=False, repeat=False)


def test_frames_hide_their_pixels_and_wipe_them() -> None:
    frame = Frame(np.full((2, 2, 3), 213, np.uint8), 1, 0)
    assert "213" not in repr(frame)
    frame.wipe()
    assert not frame.pixels.any()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 0, 3), np.uint8),
        np.zeros((2, 2, 3), np.uint16),
        np.zeros((2, 4, 3), np.uint8)[:, ::2],
        np.broadcast_to(np.uint8(1), (2, 2, 3)),
    ],
)
def test_a_frame_is_a_picture_that_can_be_wiped(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frame"):
        Frame(pixels, 1, 0)
