"""The command line: parameters, console, project file, and one module a command."""
