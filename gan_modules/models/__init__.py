"""The papers, one a file: objective and networks, nothing else."""
