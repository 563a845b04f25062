"""Models that are rebuilt from files which hold plain values only."""
