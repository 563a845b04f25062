"""Losses, penalties, regularisers and augmentations: functions and small modules."""
