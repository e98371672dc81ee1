"""`python -m retab_frames` is the command `retab-frames`."""

from retab_frames.cli import main

if __name__ == "__main__":
    main()
