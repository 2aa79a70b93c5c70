"""The only room that sees pixels: a process of its own, without keys, names, stores or network.

    camera   where frames come from (`live` hardware, `pictures` on a bench, `frame` their port)
    models   the weight files, hashed and loaded from the same bytes
    detect   where the faces are, and which one counts
    embed    landmarks, chip, quality, vector
    look     one look from open to closed camera
    worker   the socket to the daemon

OpenCV reads these limits once, when it is first imported, so they are set here, before any module
of this room imports it.
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
