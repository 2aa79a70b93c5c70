"""Thin commands over the control socket."""
