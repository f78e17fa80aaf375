"""`python -m edgesdk`."""

from edgesdk.cli.app import main

if __name__ == "__main__":
    main()
