"""Presentations to a gate, rendered: living heads, and attacks on them, seen by a simulated camera.

presentation  frames with times, prompts and lights; as a file too
species       every kind, drawn from a seed: `draw`
people        whose heads; those for tuning apart from those for figures
scene         background, actors, light, cameras: `film`
figure        a person: `heads` (shape), `skin` (texture), `motion`
raster, light, canvas, sensor        from meshes to pixels
"""
