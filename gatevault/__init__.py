"""GateVault: an on-device face-template vault for access gates."""
