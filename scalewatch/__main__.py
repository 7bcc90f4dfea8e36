"""`python -m scalewatch`: the command line, where its script is not on the path."""

from scalewatch.cli import main

if __name__ == "__main__":
    main()
