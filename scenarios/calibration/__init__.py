"""Calibrates the prober on a path whose black holes are made, and told, by somebody else."""
