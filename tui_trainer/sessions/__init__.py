"""What is on disk: sessions, journal, checkpoints, locks."""
