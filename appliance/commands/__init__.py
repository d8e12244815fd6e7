"""What each command of the command line does; `appliance.cli` only reads arguments and calls these.

A command returns the process's exit code (0 done, 1 failed, 2 wrong usage, 3 not ready in time), writes one
document to standard output where `--json` asks for it, and everything for people to standard error.
"""
