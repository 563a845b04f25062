"""The training loop, written once for every variant, and its parts."""
