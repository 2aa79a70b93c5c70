"""What installs a gate from a bundle: the standard library alone, no network, nothing left half-done.

main        the command: options, and which flow they ask for
flow        install, upgrade, roll back: the order of things, and what is undone when one fails
removal     uninstall, and the destruction of the vault
bundle      the bundle: manifest, hashes, which wheels fit
machine     the machine or image that is installed into: architecture, Python, paths, programs run there
releases    /opt/gatevault: releases side by side, `current`, and unpacking wheels
system      units, drop-ins, users, directories, udev: put in place and taken away
state       the gate's state: its format, its ledger, how it is
"""
