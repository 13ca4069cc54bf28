"""`python -m s2fin_cli` is `s2fin`."""

from s2fin_cli.cli.main import main

main()
