"""GateVault: an on-device face-template vault for access gates."""

import os

# Before numpy is loaded: one search takes microseconds, and a pool of threads for it only contends
# with vision for a Pi's cores. Whoever sets it otherwise is heard.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
