"""`python -m s2fin_cli` is `s2fin`."""

from s2fin_cli.main import main

main()
