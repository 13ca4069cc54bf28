"""Completion in the shell: the values of options, and the scripts for bash, zsh and fish."""
