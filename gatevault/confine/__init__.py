"""What a process of ours forbids itself, whoever started it: systemd, a shell, or another process of ours.

    process   marks of the whole process: undumpable, no new privileges, no core, no capabilities, no W+X memory
    calls     system calls that it gives up, by seccomp (libseccomp through pyseccomp)
    landlock  files that it gives up, by Landlock
    profiles  what vision and what the daemon give up: the page to read
    truth     what the kernel says of a process, for `status` and `doctor`

Nothing here can be taken back, and children inherit it. The units of systemd forbid the same from outside and more
(docs/sandbox.md says which layer forbids what); this holds where there is no unit, as in `make demo`.
"""
