"""The audit, on real servers: silent about what is right, and heard about everything else."""
