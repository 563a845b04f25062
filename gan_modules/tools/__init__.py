"""What is done with a trained model, and with image files."""
