"""What is done with a trained model, with image files, and distributions in the plane."""
