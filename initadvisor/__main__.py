"""`python -m initadvisor`."""

from initadvisor.cli import main

if __name__ == "__main__":
    main()
