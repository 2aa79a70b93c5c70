"""The only room that touches pins and wires: relay, lights, contacts, card readers.

Nothing is imported here, so that the relay's guard process stays small.
"""
