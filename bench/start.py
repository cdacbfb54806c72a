"""One start of the program: everything imported and registered, under mocks. Run in a process of its own."""

import sys

from tests.recording import run_program

if __name__ == "__main__":
    print(len(run_program(sys.argv[1], peer_outputs={}).resources))
