"""Measuring whether a face lives, on the pixels of one track: what `core.liveness` judges.

track       one face from its first frame to the verdict; the only maker of a `LiveTrack`
continuity  whether it still is the same face
session     what is measured at each tier
points      points on the face and beside it, followed
head        a generic head: depths and normals
turn        the turn of a head by parallax, and what paper can do
surround    whether what is beside the face sways as a hand does
lamp        the answer of skin to a flickering lamp: amplitude, texture, relief
infrared    whether the face is there in near infrared
veto        an added network's opinion, which only vetoes
"""

from gatevault.vision.liveness.track import LiveTrack, NotLive, Pending, Track
from gatevault.vision.liveness.veto import Veto

__all__ = ["LiveTrack", "NotLive", "Pending", "Track", "Veto"]
