"""The console command `petseg`, also as `python -m petseg`."""

from petseg.processes import prepare


def main() -> None:
    """Runs the command line and exits."""
    prepare()
    from pipeline.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
