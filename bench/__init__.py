"""What the program costs, measured against a baseline in the same run."""
