"""The flows, top to bottom: configuration, access by face and card, administration, the daemon."""
