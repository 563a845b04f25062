"""What papers of a kind share."""
