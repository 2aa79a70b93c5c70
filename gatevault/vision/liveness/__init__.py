"""Measuring whether a face lives, on the pixels of one track: what `core.liveness` judges.

track     one face from its first frame to the verdict; the only maker of a `LiveTrack`
"""

from gatevault.vision.liveness.track import LiveTrack, NotLive, Pending, Track

__all__ = ["LiveTrack", "NotLive", "Pending", "Track"]
