"""Let `python -m remit` be the command `remit`."""

from .cli import main

if __name__ == "__main__":
    main()
