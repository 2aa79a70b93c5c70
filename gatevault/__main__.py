"""`python -m gatevault` is the `gatevault` command."""

from gatevault.cli.app import main

if __name__ == "__main__":
    main()
