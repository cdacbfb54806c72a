"""The parts of one Region of the pair, one ComponentResource in each file."""
