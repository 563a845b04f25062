"""A local page to play with a trained model: ``python cli.py demo``. It needs the extra demo."""
