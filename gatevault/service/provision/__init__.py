"""From an installed package to a working gate: the wizard's flow.

talk        whom it asks: a terminal, or an answer file
workbench   the real pins, before a daemon has them; the relay always ends released
parts       one test for each part that is wired
making      the answers as a state: whole or not at all
running     the gate started, the camera aimed, the records made
sheet       the handover sheet
flow        all of it, from top to bottom
"""
