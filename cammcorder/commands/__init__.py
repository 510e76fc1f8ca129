"""The verbs of the command line. Each module: a docstring, `add_arguments` and `run`."""
