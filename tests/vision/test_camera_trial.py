"""What the trial measures of a camera, on the fake one."""

from __future__ import annotations

import json

import pytest

from gatevault.vision import camera_trial, live
from gatevault.vision.camera_trial import FRAMES, main
from tests.vision.webcam import Webcam

URI = "v4l2:/dev/null"


def tried(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], webcam: Webcam) -> tuple[int, dict]:
    monkeypatch.setattr(live.cv2, "VideoCapture", webcam)
    monkeypatch.setattr(camera_trial, "PAUSE_S", 0.0)
    status = main([URI, "--looks", "2"])
    assert not webcam.opened
    assert not any(picture.any() for picture in webcam.kept)
    return status, json.loads(capsys.readouterr().out)


def test_a_good_camera(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = tried(monkeypatch, capsys, Webcam())
    assert (status, told["findings"], len(told["looks"])) == (0, [], 2)
    look = told["looks"][0]
    assert look["state"]["exposure"] == "held"
    assert look["unknown_ages"] == 0
    assert look["age_ms"]["least"] >= 30.0


def test_a_camera_that_does_not_do_as_it_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = tried(monkeypatch, capsys, Webcam(obeys=False, holds=False, ages_ms=[900.0] * 300))
    assert status == 1
    assert told["looks"][0]["refused"] == FRAMES
    assert len(told["findings"]) == 3


def test_no_camera(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["v4l2:/dev/no-such-camera"]) == 1
    assert "no camera at" in capsys.readouterr().err
    assert main(["file:clip.mp4"]) == 1, "it measures real cameras"
