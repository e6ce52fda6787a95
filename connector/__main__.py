"""`python -m connector`, and what the script `connector` runs: signals first, then all else is imported."""

import gc

from connector.cli.stopping import catch_signals, exit_code


def main() -> None:
    """Run the command that the arguments name, to its end or to that of a signal."""
    gc.set_threshold(10_000)  # imports make many objects and little garbage: a tenth of a start went into looking
    try:
        catch_signals()
        from connector.cli.app import run

        run()
    except BaseException:  # an interrupt may have become anything on its way here; what is none is raised again
        if code := exit_code():
            import os
            import sys

            sys.stdout.flush()
            os._exit(code)  # threads that are still at work are not waited for
        raise
    finally:
        gc.freeze()  # what is left goes with the process, and need not be looked through first


if __name__ == "__main__":
    main()
