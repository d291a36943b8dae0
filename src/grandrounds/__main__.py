"""`python -m grandrounds` is `grandrounds`."""

from grandrounds.cli import main

if __name__ == "__main__":
    main()
