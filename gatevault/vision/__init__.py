"""The only room that sees pixels: a process of its own, without keys, names, stores or network.

    camera   where frames come from (`live` hardware, `pictures` on a bench, `frame` their port)
    models   which networks, loaded from the bytes that were hashed (`weights`)
    broken   frames that are half a picture, or torn
    detect   where the faces are, and which one counts (`hog` and `yunet` its detectors)
    follow   what of a frame is searched, and how finely
    embed    landmarks, chip, quality, vector (`networks`, `align`, `runtime`)
    export   dlib's network to ONNX (`dlib_file`): a command of its own
    look     one look from open to closed camera
    worker   the socket to the daemon

OpenCV and onnxruntime read their limits once, when they are first imported, so they are set here, before any
module of this room imports them.
"""

import os
from typing import Final

MAX_PIXELS: Final = 40_000_000
"""Largest picture decoded: above every gate camera and common phone, 120 MB as RGB, so that a
hostile header of a few bytes cannot take the memory of a 1 GB board."""

os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
# A camera that stops delivering would otherwise hold a read, and the look's limit, for 10 s.
os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = "1"
# A clip may be a playlist in disguise: FFmpeg opens files here and nothing else.
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"
# Native decoders' chatter would go to the log; our own sentences say what went wrong.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
# onnxruntime's Linux wheels from 1.29 on send events to their maker and keep a device id in ~/.cache, unless this
# is set. We ask for an older one (docs/adr/0011); should a newer one be installed, it is silent all the same.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
